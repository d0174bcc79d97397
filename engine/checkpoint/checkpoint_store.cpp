#include "engine/checkpoint/checkpoint_store.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace twinspan::engine {

namespace {

constexpr std::uint64_t kMergeAtLeast = 16ull << 20;  // smaller chains are cheaper to replay than to fold
constexpr std::size_t kMergeAtEpochs = 120;
constexpr const char* kEpochs = "epochs";
constexpr const char* kBases = "bases";
constexpr const char* kMeta = "meta.json";

std::string epoch_name(Epoch e) { return fmt::format("{:020}", e.value); }

std::optional<Epoch> parse_epoch_name(const std::string& name) {
  std::uint64_t v = 0;
  if (name.size() != 20) return std::nullopt;
  const auto r = std::from_chars(name.data(), name.data() + 20, v);
  if (r.ec != std::errc() || r.ptr != name.data() + 20) return std::nullopt;
  return Epoch(v);
}

// "<step>@<shard>of<shards>.delta" or "<step>.base"
struct StateFile {
  std::string step;
  unsigned shard = 0, shards = 1;
};
std::optional<StateFile> parse_state_file(const std::string& name) {
  if (name.ends_with(".base")) return StateFile{name.substr(0, name.size() - 5), 0, 1};
  const std::size_t at = name.rfind('@');
  if (at == std::string::npos || !name.ends_with(".delta")) return std::nullopt;
  StateFile f{name.substr(0, at), 0, 1};
  const char* end = name.data() + name.size();
  auto r = std::from_chars(name.data() + at + 1, end, f.shard);
  if (r.ec != std::errc() || end - r.ptr < 2 || r.ptr[0] != 'o' || r.ptr[1] != 'f') return std::nullopt;
  r = std::from_chars(r.ptr + 2, end, f.shards);
  if (r.ec != std::errc() || f.shards == 0 || f.shard >= f.shards) return std::nullopt;
  return f;
}

std::uint64_t bytes_of(const RestoredState& state) {
  std::uint64_t total = 0;
  for (const auto& b : state.bytes) total += b->size();
  return total;
}

// The epochs that lead from `start` (0: from the very first) to the newest that can be reached, ascending, by what the
// manifests say. Unreadable ones break the way; an epoch that nothing newer stands on is passed over.
std::vector<Epoch> newest_path(const std::vector<Epoch>& epochs, const std::map<Epoch, Epoch>& previous, Epoch start) {
  for (auto tip = epochs.rbegin(); tip != epochs.rend() && *tip > start; ++tip) {
    std::vector<Epoch> path;
    Epoch at = *tip;
    for (auto it = previous.find(at); at > start && it != previous.end() && it->second < at; it = previous.find(at)) {
      path.push_back(at);
      at = it->second;
    }
    if (at != start) continue;
    std::reverse(path.begin(), path.end());
    return path;
  }
  return {};
}

}  // namespace

CheckpointStore::CheckpointStore(FileSystem& files, std::string root) : files_(files), root_(std::move(root)) {}

std::string CheckpointStore::place(const char* parent, Epoch epoch) const {
  return root_ + "/" + parent + "/" + epoch_name(epoch);
}

Status CheckpointStore::open() {
  highest_ = Epoch();
  for (const char* parent : {kEpochs, kBases}) {
    const std::string directory = root_ + "/" + parent;
    TS_TRYV(make_durable_directories(files_, directory));
    TS_TRY(names, files_.list(directory));
    auto& list = parent == kEpochs ? epochs_ : bases_;
    list.clear();
    for (const std::string& name : names) {
      if (name.ends_with(".tmp")) {
        TS_TRYV(files_.remove_all(directory + "/" + name));
      } else if (auto epoch = parse_epoch_name(name)) {
        list.push_back(*epoch);
      }
    }
    std::sort(list.begin(), list.end());
    if (!list.empty()) highest_ = std::max(highest_, list.back());
  }
  TS_TRY(damaged, files_.list(root_ + "/quarantine"));  // "epochs-<number>"
  for (const std::string& name : damaged)
    if (auto epoch = parse_epoch_name(name.substr(name.rfind('-') + 1))) highest_ = std::max(highest_, *epoch);
  return ok();
}

Result<Manifest> CheckpointStore::read_manifest(const char* parent, Epoch epoch) {
  TS_TRY(bytes, files_.read(place(parent, epoch) + "/manifest"));
  TS_TRY(manifest, parse_manifest(bytes));
  if (manifest.epoch != epoch || manifest.kind != (parent == kEpochs ? "epoch" : "base"))
    return permanent_error(fmt::format("'{}' holds {} {}", place(parent, epoch), manifest.kind, manifest.epoch.value));
  return manifest;
}

Result<Manifest> CheckpointStore::verify(const char* parent, Epoch epoch, Contents& contents) {
  TS_TRY(manifest, read_manifest(parent, epoch));
  for (const ManifestFile& f : manifest.files) {
    TS_TRY(content, files_.read(place(parent, epoch) + "/" + f.name));
    if (content.size() != f.size || content_sum(content) != f.sum)
      return permanent_error(fmt::format("'{}/{}' does not match its checksum", place(parent, epoch), f.name));
    contents.push_back(std::make_unique<std::string>(std::move(content)));
  }
  return manifest;
}

Result<CheckpointStore::Chain> CheckpointStore::read_chain() {
  Chain chain;
  for (Epoch e : epochs_) {
    auto manifest = read_manifest(kEpochs, e);
    if (manifest)
      chain[e] = manifest.value().previous;
    else if (manifest.error().kind == ErrorKind::transient)
      return manifest.error();
  }
  return chain;
}

Status CheckpointStore::load_base(Epoch base, RestoredState& into) {
  Contents contents;
  TS_TRY(manifest, verify(kBases, base, contents));
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    if (manifest.files[i].name == kMeta) into.meta = *contents[i];
    const auto file = parse_state_file(manifest.files[i].name);
    if (!file) continue;
    TS_TRYV(into.state.apply(file->step, 0, 1, *contents[i]));
  }
  for (auto& c : contents) into.bytes.push_back(std::move(c));
  into.epoch = base;
  return ok();
}

Status CheckpointStore::apply_epoch(Epoch epoch, RestoredState& into) {
  Contents contents;
  TS_TRY(manifest, verify(kEpochs, epoch, contents));
  // Checked before anything is applied: a delta that is half folded in cannot be taken back.
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    DeltaReader reader(manifest.files[i].name == kMeta ? std::string_view{} : std::string_view(*contents[i]));
    StateEntry entry;
    for (;;) {
      TS_TRY(more, reader.next(entry));
      if (!more) break;
    }
  }
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    if (manifest.files[i].name == kMeta) {
      into.meta = *contents[i];
      continue;
    }
    const auto file = parse_state_file(manifest.files[i].name);
    if (!file)
      return permanent_error(fmt::format("epoch {} holds an unknown file '{}'", epoch.value, manifest.files[i].name));
    TS_TRYV(into.state.apply(file->step, file->shard, file->shards, *contents[i]));
  }
  for (auto& c : contents) into.bytes.push_back(std::move(c));
  into.epoch = epoch;
  return ok();
}

void CheckpointStore::quarantine(const char* parent, Epoch epoch, const std::string& why,
                                 std::vector<std::string>& warnings) {
  const std::string directory = root_ + "/quarantine";
  const std::string name = std::string(parent) + "-" + epoch_name(epoch);
  warnings.push_back(fmt::format("{} {} is set aside ({}): '{}/{}'", parent == kBases ? "base" : "epoch", epoch.value,
                                 why, directory, name));
  if (!files_.make_directories(directory)) return;
  (void)files_.remove_all(directory + "/" + name);
  (void)files_.rename(place(parent, epoch), directory + "/" + name);
  (void)files_.sync_directory(directory);
  (void)files_.sync_directory(root_ + "/" + parent);
  (void)files_.sync_directory(root_);
}

Result<std::optional<RestoredState>> CheckpointStore::restore() {
  if (epochs_.empty() && bases_.empty()) {
    if (highest_ == Epoch()) return std::optional<RestoredState>();
    return permanent_error(fmt::format("no checkpoint in '{}' can be used: all are in quarantine", root_));
  }
  std::vector<std::string> warnings;
  // No descriptors, no permission: that says nothing of the files, so nothing is set aside.
  TS_TRY(chain, read_chain());
  // Newest base first; without any, the chain must begin with the first epoch ever written.
  std::vector<Epoch> starts(bases_.rbegin(), bases_.rend());
  starts.push_back(Epoch());
  for (const Epoch start : starts) {
    RestoredState out;
    if (start != Epoch()) {
      if (auto loaded = load_base(start, out); !loaded) {
        if (loaded.error().kind == ErrorKind::transient) return loaded.error();
        quarantine(kBases, start, loaded.error().message, warnings);
        std::erase(bases_, start);
        continue;
      }
    }
    const std::uint64_t base_bytes = bytes_of(out);
    // A base that was removed and came back after a crash: the deltas that stood on it are gone.
    const auto above = std::upper_bound(epochs_.begin(), epochs_.end(), start);
    if (above != epochs_.end() && chain.contains(*above) && chain.at(*above) > start) continue;
    std::vector<Epoch> kept(epochs_.begin(), above);  // the older base needs them
    std::map<Epoch, std::string> damaged;
    std::size_t applied = 0;
    for (const Epoch e : newest_path(epochs_, chain, start)) {
      if (auto done = apply_epoch(e, out); !done) {
        if (done.error().kind == ErrorKind::transient) return done.error();
        damaged[e] = done.error().message;
        break;
      }
      kept.push_back(e);
      ++applied;
    }
    if (start == Epoch() && applied == 0) continue;
    for (auto it = above; it != epochs_.end(); ++it) {
      if (std::binary_search(kept.begin(), kept.end(), *it)) continue;
      const std::string why = damaged.contains(*it)  ? damaged[*it]
                              : !chain.contains(*it) ? "its manifest is damaged"
                                                     : "what it stands on is damaged, or another epoch took its place";
      quarantine(kEpochs, *it, why, warnings);
    }
    for (const Epoch b : bases_)
      if (b > out.epoch) quarantine(kBases, b, "newer than what can be restored", warnings);
    epochs_ = std::move(kept);
    std::erase_if(bases_, [&](Epoch b) { return b > out.epoch; });
    out.warnings = std::move(warnings);
    base_bytes_ = base_bytes;
    delta_bytes_since_base_ = bytes_of(out) - base_bytes;
    epochs_since_base_ = applied;
    return std::optional<RestoredState>(std::move(out));
  }
  std::string text = "no checkpoint in '" + root_ + "' can be used";
  for (const auto& w : warnings) text += "; " + w;
  return permanent_error(text);
}

Status CheckpointStore::write_directory(const char* parent, Manifest manifest,
                                        const std::vector<std::pair<std::string, std::string_view>>& files,
                                        std::uint64_t& bytes) {
  const std::string final_place = place(parent, manifest.epoch);
  const std::string temporary = final_place + ".tmp";
  bool renamed = false;
  const auto attempt = [&]() -> Status {
    TS_TRYV(files_.remove_all(temporary));
    // Only of a write that failed and could not be cleaned up: the caller never writes a number twice.
    if (files_.exists(final_place)) TS_TRYV(files_.remove_all(final_place));
    TS_TRYV(files_.make_directories(temporary));
    manifest.kind = parent == kEpochs ? "epoch" : "base";
    for (const auto& [name, content] : files) {
      TS_TRYV(files_.write_and_sync(temporary + "/" + name, {content}));
      manifest.files.push_back({name, content.size(), content_sum(content)});
      bytes += content.size();
    }
    TS_TRYV(replace_file(files_, temporary, "manifest", to_json(manifest)));
    TS_TRYV(files_.rename(temporary, final_place));
    renamed = true;
    return files_.sync_directory(root_ + "/" + parent);
  };
  auto result = attempt();
  if (!result) {
    (void)files_.remove_all(temporary);
    if (renamed) (void)files_.remove_all(final_place);
  }
  return result;
}

Status CheckpointStore::write(const PreparedEpoch& epoch) {
  TS_CHECK(epochs_.empty() || epochs_.back() < epoch.epoch);
  std::vector<std::pair<std::string, std::string_view>> files{{kMeta, epoch.meta}};
  for (const StepDelta& d : epoch.deltas)
    if (!d.bytes.empty()) files.emplace_back(fmt::format("{}@{}of{}.delta", d.step, d.shard, d.shards), d.bytes);
  std::uint64_t bytes = 0;
  Manifest manifest;
  manifest.epoch = epoch.epoch;
  manifest.previous = epochs_.empty() ? Epoch() : epochs_.back();
  TS_TRYV(write_directory(kEpochs, std::move(manifest), files, bytes));
  epochs_.push_back(epoch.epoch);
  highest_ = std::max(highest_, epoch.epoch);
  bytes_written_ += bytes;
  last_epoch_bytes_ = bytes;
  delta_bytes_since_base_ += bytes;
  ++epochs_since_base_;
  return ok();
}

bool CheckpointStore::merge_due() const {
  return epochs_since_base_ >= kMergeAtEpochs ||
         (delta_bytes_since_base_ > kMergeAtLeast && delta_bytes_since_base_ > 2 * base_bytes_);
}

Status CheckpointStore::merge() {
  if (epochs_.empty()) return ok();
  const Epoch epoch = epochs_.back();
  if (!bases_.empty() && bases_.back() == epoch) return collect_garbage();
  RestoredState image;
  Epoch start;
  while (start == Epoch() && !bases_.empty()) {
    start = bases_.back();
    if (load_base(start, image)) break;
    // Damaged while we ran: the older base and the deltas since give the same. A restore reports and sets it aside.
    bases_.pop_back();
    start = Epoch();
    image = RestoredState();
  }
  TS_TRY(chain, read_chain());
  const std::vector<Epoch> path = newest_path(epochs_, chain, start);
  if (path.empty() || path.back() != epoch)
    return permanent_error(
        fmt::format("epochs {} to {} in '{}' cannot be merged: one is damaged", start.value + 1, epoch.value, root_));
  for (const Epoch e : path) TS_TRYV(apply_epoch(e, image));
  std::vector<std::pair<std::string, std::string>> contents{{kMeta, image.meta}};
  for (const std::string& step : image.state.steps()) {
    std::string bytes = image.state.serialize(step);
    if (!bytes.empty()) contents.emplace_back(step + ".base", std::move(bytes));
  }
  std::vector<std::pair<std::string, std::string_view>> files(contents.begin(), contents.end());
  std::uint64_t bytes = 0;
  Manifest manifest;
  manifest.epoch = epoch;
  TS_TRYV(write_directory(kBases, std::move(manifest), files, bytes));
  bases_.push_back(epoch);
  base_bytes_ = bytes;
  delta_bytes_since_base_ = 0;
  epochs_since_base_ = 0;
  return collect_garbage();
}

Status CheckpointStore::collect_garbage() {
  while (bases_.size() > 2) {
    TS_TRYV(files_.remove_all(place(kBases, bases_.front())));
    bases_.erase(bases_.begin());
  }
  if (bases_.size() < 2) return ok();
  // The epoch a base stands on is kept: it says what the next one's `previous` means.
  while (!epochs_.empty() && epochs_.front() < bases_.front()) {
    TS_TRYV(files_.remove_all(place(kEpochs, epochs_.front())));
    epochs_.erase(epochs_.begin());
  }
  return ok();
}

}  // namespace twinspan::engine

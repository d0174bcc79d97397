#include "engine/checkpoint/checkpoint_store.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>

#include "engine/checkpoint/state_file.h"
#include "engine/checkpoint/state_merge.h"

namespace twinspan::engine {

namespace {

constexpr std::uint64_t kMergeAtLeast = 16ull << 20;  // smaller chains are cheaper to replay than to fold
// With many small deltas a restart opens many files. But a base is rewritten whole: not for a few of them.
constexpr std::size_t kMergeAtEpochs = 120, kMergeAlwaysAtEpochs = 960;
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

bool is_segment(const std::string& name) { return name.ends_with(".seg"); }

// "<step>@<shard>of<shards>.delta", the same with ".<number>.seg", or "<step>.base"
struct StateFile {
  std::string step;
  unsigned shard = 0, shards = 1;
  std::string segment;  // "<number>.seg" of one
};
std::optional<StateFile> parse_state_file(const std::string& name) {
  if (name.ends_with(".base")) return StateFile{name.substr(0, name.size() - 5), 0, 1, {}};
  const std::size_t at = name.rfind('@');
  if (at == std::string::npos || !(name.ends_with(".delta") || is_segment(name))) return std::nullopt;
  StateFile f{name.substr(0, at), 0, 1, {}};
  const char* end = name.data() + name.size();
  auto r = std::from_chars(name.data() + at + 1, end, f.shard);
  if (r.ec != std::errc() || end - r.ptr < 2 || r.ptr[0] != 'o' || r.ptr[1] != 'f') return std::nullopt;
  r = std::from_chars(r.ptr + 2, end, f.shards);
  if (r.ec != std::errc() || f.shards == 0 || f.shard >= f.shards) return std::nullopt;
  if (is_segment(name)) f.segment = r.ptr + 1;
  return f;
}

std::uint64_t bytes_of(const Manifest& manifest) {
  std::uint64_t total = 0;
  for (const ManifestFile& f : manifest.files)
    if (!is_segment(f.name)) total += f.size;  // those are links
  return total;
}

std::uint64_t linked_bytes(const Manifest& manifest) {
  std::uint64_t total = 0;
  for (const ManifestFile& f : manifest.files)
    if (is_segment(f.name)) total += f.size;
  return total;
}

bool is_damage(const Error& e) {
  return e.kind == ErrorKind::data || e.kind == ErrorKind::permanent || e.kind == ErrorKind::not_found;
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
  std::lock_guard lock(mutex_);
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
    const std::string path = place(parent, epoch) + "/" + f.name;
    if (is_segment(f.name)) {
      if (!parse_state_file(f.name))
        return permanent_error(fmt::format("{} {} holds an unknown file '{}'", manifest.kind, epoch.value, f.name));
      contents.push_back(std::make_unique<std::string>());
      continue;
    }
    TS_TRY(content, files_.read(path));
    const bool plain = f.name == kMeta;
    if (content.size() != f.size || (plain && content_sum(content) != f.sum))
      return permanent_error(fmt::format("'{}' does not match its checksum", path));
    if (!plain) {
      if (auto view = StateFileView::open(content, f.sum); !view)
        return permanent_error(fmt::format("'{}' {}", path, view.error().message));
      if (!parse_state_file(f.name))
        return permanent_error(fmt::format("{} {} holds an unknown file '{}'", manifest.kind, epoch.value, f.name));
    }
    contents.push_back(std::make_unique<std::string>(std::move(content)));
  }
  return manifest;
}

Status CheckpointStore::verify_segments(const char* parent, Epoch epoch, Verified& verified) {
  TS_TRY(manifest, read_manifest(parent, epoch));
  for (const ManifestFile& f : manifest.files) {
    if (!is_segment(f.name)) continue;
    const auto [known, fresh] = verified.try_emplace({f.name, f.sum});
    if (fresh) {
      const Status whole = verify_segment(files_, {f.name, place(parent, epoch) + "/" + f.name, f.size, f.sum});
      if (!whole && !is_damage(whole.error())) return whole;
      if (!whole) known->second = whole.error().message;
    }
    if (!known->second.empty()) return data_error(known->second);
  }
  return ok();
}

Result<CheckpointStore::Chain> CheckpointStore::read_chain(const std::vector<Epoch>& epochs) {
  Chain chain;
  for (Epoch e : epochs) {
    auto manifest = read_manifest(kEpochs, e);
    if (manifest)
      chain[e] = manifest.value().previous;
    else if (manifest.error().kind == ErrorKind::transient)
      return manifest.error();
  }
  return chain;
}

// Everything is verified before anything is applied: a delta that is half folded in cannot be taken back.
Status CheckpointStore::load(const char* parent, Epoch epoch, RestoredState& into) {
  Contents contents;
  TS_TRY(manifest, verify(parent, epoch, contents));
  std::set<std::string> before;
  for (const StepSegments& s : into.segments)
    for (const SegmentFile& f : s.files) before.insert(f.sum);
  std::uint64_t sealed = 0;
  for (const ManifestFile& f : manifest.files)
    if (is_segment(f.name) && !before.contains(f.sum)) sealed += f.size;
  into.segments.clear();  // an epoch names all it has
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    const ManifestFile& f = manifest.files[i];
    if (is_segment(f.name)) {
      const StateFile file = *parse_state_file(f.name);
      auto of = std::find_if(into.segments.begin(), into.segments.end(), [&](const StepSegments& s) {
        return s.step == file.step && s.shard == file.shard && s.shards == file.shards;
      });
      if (of == into.segments.end()) of = into.segments.insert(of, {file.step, file.shard, file.shards, {}});
      of->files.push_back({file.segment, place(parent, epoch) + "/" + f.name, f.size, f.sum});
      continue;
    }
    if (f.name == kMeta) {
      into.meta = *contents[i];
      continue;
    }
    const StateFile file = *parse_state_file(f.name);
    TS_TRY(view, StateFileView::open(*contents[i], f.sum));
    TS_TRYV(into.state.apply(file.step, file.shard, file.shards, view.drops(), view.frames()));
  }
  for (auto& c : contents) into.bytes.push_back(std::move(c));
  into.epoch = epoch;
  if (parent == kEpochs)
    sizes_[epoch] = {bytes_of(manifest), sealed};
  else
    base_sealed_ = linked_bytes(manifest);
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
  std::lock_guard lock(mutex_);
  if (epochs_.empty() && bases_.empty()) {
    if (highest_ == Epoch()) return std::optional<RestoredState>();
    return permanent_error(fmt::format("no checkpoint in '{}' can be used: all are in quarantine", root_));
  }
  std::vector<std::string> warnings;
  // No descriptors, no permission: that says nothing of the files, so nothing is set aside.
  TS_TRY(chain, read_chain(epochs_));
  Verified verified;
  // Newest base first; without any, the chain must begin with the first epoch ever written.
  std::vector<Epoch> starts(bases_.rbegin(), bases_.rend());
  starts.push_back(Epoch());
  for (const Epoch start : starts) {
    RestoredState out;
    const auto load_base = [&]() -> Status {
      out = {};
      return start == Epoch() ? Status(ok()) : load(kBases, start, out);
    };
    const auto set_base_aside = [&](const Error& why) {
      quarantine(kBases, start, why.message, warnings);
      std::erase(bases_, start);
    };
    if (auto loaded = load_base(); !loaded) {
      if (loaded.error().kind == ErrorKind::transient) return loaded.error();
      set_base_aside(loaded.error());
      continue;
    }
    std::uint64_t base_bytes = 0;
    for (const auto& b : out.bytes) base_bytes += b->size();
    // A base that was removed and came back after a crash: the deltas that stood on it are gone.
    const auto above = std::upper_bound(epochs_.begin(), epochs_.end(), start);
    if (above != epochs_.end() && chain.contains(*above) && chain.at(*above) > start) continue;
    std::map<Epoch, std::string> damaged;
    std::vector<Epoch> path = newest_path(epochs_, chain, start);
    // Segments are needed of the newest epoch alone: what older ones link beside them has expired.
    for (bool whole = false; !whole;) {
      const Epoch tip = path.empty() ? start : path.back();
      if (tip != Epoch()) {
        const Status segments = verify_segments(path.empty() ? kBases : kEpochs, tip, verified);
        if (!segments && segments.error().kind == ErrorKind::transient) return segments.error();
        if (!segments) {
          damaged[tip] = segments.error().message;
          if (path.empty()) break;
          path.pop_back();
          continue;
        }
      }
      whole = true;
      for (std::size_t i = 0; i < path.size() && whole; ++i) {
        const auto done = load(kEpochs, path[i], out);
        if (done) continue;
        if (done.error().kind == ErrorKind::transient) return done.error();
        damaged[path[i]] = done.error().message;
        path.resize(i);
        whole = false;
        TS_TRYV(load_base());
      }
    }
    if (damaged.contains(start)) {
      set_base_aside(data_error(damaged[start]));
      continue;
    }
    if (start == Epoch() && path.empty()) continue;
    std::vector<Epoch> kept(epochs_.begin(), above);  // the older base needs them
    kept.insert(kept.end(), path.begin(), path.end());
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
    figures_.base_bytes = base_bytes;
    return std::optional<RestoredState>(std::move(out));
  }
  std::string text = "no checkpoint in '" + root_ + "' can be used";
  for (const auto& w : warnings) text += "; " + w;
  return permanent_error(text);
}

Status CheckpointStore::write_plain(Draft& draft, const std::string& name, std::string_view content) {
  TS_TRYV(files_.write_and_sync(draft.directory + "/" + name, {content}));
  draft.files.push_back({name, content.size(), content_sum(content)});
  return ok();
}

Status CheckpointStore::write_directory(const char* parent, Manifest manifest,
                                        const std::function<Status(Draft&)>& fill, std::uint64_t& bytes) {
  const std::string final_place = place(parent, manifest.epoch);
  Draft draft{final_place + ".tmp", {}};
  bool renamed = false;
  const auto attempt = [&]() -> Status {
    TS_TRYV(files_.remove_all(draft.directory));
    // Only of a write that failed and could not be cleaned up: the caller never writes a number twice.
    if (files_.exists(final_place)) TS_TRYV(files_.remove_all(final_place));
    TS_TRYV(files_.make_directories(draft.directory));
    TS_TRYV(fill(draft));
    manifest.kind = parent == kEpochs ? "epoch" : "base";
    manifest.files = draft.files;
    bytes = bytes_of(manifest);
    TS_TRYV(replace_file(files_, draft.directory, "manifest", to_json(manifest)));
    TS_TRYV(files_.rename(draft.directory, final_place));
    renamed = true;
    return files_.sync_directory(root_ + "/" + parent);
  };
  auto result = attempt();
  if (!result) {
    (void)files_.remove_all(draft.directory);
    if (renamed) (void)files_.remove_all(final_place);
  }
  return result;
}

Status CheckpointStore::write(const PreparedEpoch& epoch) {
  Manifest manifest;
  manifest.epoch = epoch.epoch;
  {
    std::lock_guard lock(mutex_);
    TS_CHECK(epochs_.empty() || epochs_.back() < epoch.epoch);
    manifest.previous = epochs_.empty() ? Epoch() : epochs_.back();
  }
  std::uint64_t bytes = 0;
  TS_TRYV(write_directory(
      kEpochs, std::move(manifest),
      [&](Draft& draft) -> Status {
        TS_TRYV(write_plain(draft, kMeta, epoch.meta));
        for (const StepDelta& d : epoch.deltas) {
          if (d.bytes.empty()) continue;
          const std::string name = fmt::format("{}@{}of{}.delta", d.step, d.shard, d.shards);
          TS_TRY(written, write_state_file(files_, draft.directory + "/" + name, d.bytes));
          draft.files.push_back({name, written.size, std::move(written.sum)});
        }
        for (const StepSegments& s : epoch.segments) {
          for (const SegmentFile& f : s.files) {
            const std::string name = fmt::format("{}@{}of{}.{}", s.step, s.shard, s.shards, f.name);
            TS_TRYV(files_.link(f.path, draft.directory + "/" + name));
            draft.files.push_back({name, f.size, f.sum});
          }
        }
        return ok();
      },
      bytes));
  std::lock_guard lock(mutex_);
  epochs_.push_back(epoch.epoch);
  sizes_[epoch.epoch] = {bytes, epoch.sealed_bytes};
  highest_ = std::max(highest_, epoch.epoch);
  figures_.epoch_bytes += bytes + epoch.sealed_bytes;
  figures_.last_epoch_bytes = bytes + epoch.sealed_bytes;
  return ok();
}

Epoch CheckpointStore::last_epoch() const {
  std::lock_guard lock(mutex_);
  return highest_;
}

CheckpointStore::Figures CheckpointStore::figures() const {
  std::lock_guard lock(mutex_);
  Figures f = figures_;
  f.delta_bytes = since_base().bytes;
  return f;
}

CheckpointStore::Since CheckpointStore::since_base() const {
  Since since;
  for (auto it = sizes_.upper_bound(bases_.empty() ? Epoch() : bases_.back()); it != sizes_.end(); ++it) {
    since.bytes += it->second.bytes;
    since.sealed += it->second.sealed;
    ++since.epochs;
  }
  return since;
}

bool CheckpointStore::merge_due() const {
  std::lock_guard lock(mutex_);
  const Since since = since_base();
  return (since.epochs >= kMergeAtEpochs && 4 * since.bytes >= figures_.base_bytes) ||
         since.epochs >= kMergeAlwaysAtEpochs ||
         (since.bytes > kMergeAtLeast && since.bytes > 2 * figures_.base_bytes) ||
         (since.sealed > kMergeAtLeast && since.sealed > 2 * base_sealed_);
}

Status CheckpointStore::merge(std::stop_token stop) {
  std::vector<Epoch> epochs, bases;
  {
    std::lock_guard lock(mutex_);
    epochs = epochs_;
    bases = bases_;
  }
  if (epochs.empty()) return ok();
  if (!bases.empty() && bases.back() == epochs.back()) return collect_garbage();
  for (;;) {
    const Epoch start = bases.empty() ? Epoch() : bases.back();
    auto merged = merge_from(start, epochs, stop);
    if (merged) break;
    if (start == Epoch() || !is_damage(merged.error())) return merged.error();
    // Is it the base? Damaged while we ran: the older base and the deltas since give the same. A restore reports and
    // sets it aside.
    Contents contents;
    if (auto whole = verify(kBases, start, contents); whole || !is_damage(whole.error())) return merged.error();
    bases.pop_back();
    std::lock_guard lock(mutex_);
    std::erase(bases_, start);
  }
  return collect_garbage();
}

Result<Epoch> CheckpointStore::merge_from(Epoch base, const std::vector<Epoch>& epochs, std::stop_token stop) {
  const std::vector<Epoch> above(std::upper_bound(epochs.begin(), epochs.end(), base), epochs.end());
  TS_TRY(chain, read_chain(above));
  std::vector<Epoch> path = newest_path(above, chain, base);
  if (path.empty() || path.back() != epochs.back())
    return permanent_error(fmt::format("epochs {} to {} in '{}' cannot be merged: one is damaged", base.value + 1,
                                       epochs.back().value, root_));
  std::map<std::string, std::vector<MergeInput>> steps;
  const auto add = [&](const char* parent, Epoch epoch) -> Status {
    TS_TRY(manifest, read_manifest(parent, epoch));
    for (const ManifestFile& f : manifest.files) {
      if (f.name == kMeta || is_segment(f.name)) continue;
      const auto file = parse_state_file(f.name);
      if (!file)
        return permanent_error(fmt::format("{} {} holds an unknown file '{}'", manifest.kind, epoch.value, f.name));
      steps[file->step].push_back(
          {place(parent, epoch) + "/" + f.name, f.size, f.sum, epoch.value, file->shard, file->shards});
    }
    return ok();
  };
  if (base != Epoch()) TS_TRYV(add(kBases, base));
  Epoch upto = base;
  for (const Epoch e : path) {
    const auto most = [&] {
      std::size_t n = 0;
      for (const auto& [step, inputs] : steps) n = std::max(n, inputs.size());
      return n;
    };
    if (upto != base && most() >= kMergeFiles) break;
    TS_TRYV(add(kEpochs, e));
    upto = e;
  }
  std::uint64_t bytes = 0, read = 0, linked = 0;
  Manifest manifest;
  manifest.epoch = upto;
  TS_TRYV(write_directory(
      kBases, std::move(manifest),
      [&](Draft& draft) -> Status {
        TS_TRY(meta, files_.read(place(kEpochs, upto) + "/" + kMeta));
        TS_TRYV(write_plain(draft, kMeta, meta));
        TS_TRY(newest, read_manifest(kEpochs, upto));
        linked = linked_bytes(newest);
        for (const ManifestFile& f : newest.files) {
          if (!is_segment(f.name)) continue;
          TS_TRYV(files_.link(place(kEpochs, upto) + "/" + f.name, draft.directory + "/" + f.name));
          draft.files.push_back(f);
        }
        for (const auto& [step, inputs] : steps) {
          const std::string name = step + ".base";
          TS_TRY(merged, merge_state_files(files_, inputs, draft.directory + "/" + name, stop));
          read += merged.bytes_read;
          if (merged.entries > 0) draft.files.push_back({name, merged.size, std::move(merged.sum)});
        }
        return ok();
      },
      bytes));
  std::lock_guard lock(mutex_);
  bases_.push_back(upto);
  figures_.base_bytes = bytes;
  base_sealed_ = linked;
  ++figures_.merges;
  figures_.merge_read_bytes += read;
  figures_.merge_written_bytes += bytes;
  return upto;
}

Status CheckpointStore::collect_garbage() {
  const auto first_of = [this](bool bases) -> std::optional<Epoch> {
    std::lock_guard lock(mutex_);
    if (bases) return bases_.size() > 2 ? std::optional(bases_.front()) : std::nullopt;
    // The epoch a base stands on is kept: it says what the next one's `previous` means.
    if (bases_.size() < 2 || epochs_.empty() || epochs_.front() >= bases_.front()) return std::nullopt;
    return epochs_.front();
  };
  while (const auto base = first_of(true)) {
    TS_TRYV(files_.remove_all(place(kBases, *base)));
    std::lock_guard lock(mutex_);
    std::erase(bases_, *base);
  }
  while (const auto epoch = first_of(false)) {
    TS_TRYV(files_.remove_all(place(kEpochs, *epoch)));
    std::lock_guard lock(mutex_);
    std::erase(epochs_, *epoch);
    sizes_.erase(*epoch);
  }
  return ok();
}

}  // namespace twinspan::engine

#include "engine/checkpoint/checkpoint_store.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace twinspan::engine {

namespace {

constexpr std::uint64_t kMergeAtLeast = 16ull << 20;  // smaller chains are cheaper to replay than to fold
constexpr std::size_t kMergeAtEpochs = 120;

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

}  // namespace

CheckpointStore::CheckpointStore(FileSystem& files, std::string root) : files_(files), root_(std::move(root)) {}

Status CheckpointStore::open() {
  for (const char* sub : {"/epochs", "/bases"}) {
    const std::string parent = root_ + sub;
    TS_TRYV(files_.make_directories(parent));
    TS_TRY(names, files_.list(parent));
    auto& list = sub == std::string("/epochs") ? epochs_ : bases_;
    list.clear();
    for (const std::string& name : names) {
      if (name.ends_with(".tmp")) {
        TS_TRYV(files_.remove_all(parent + "/" + name));
      } else if (auto epoch = parse_epoch_name(name)) {
        list.push_back(*epoch);
      }
    }
    std::sort(list.begin(), list.end());
  }
  TS_TRYV(files_.sync_directory(root_));
  return ok();
}

Result<Manifest> CheckpointStore::verify(const std::string& directory, std::vector<std::unique_ptr<std::string>>& contents) {
  TS_TRY(bytes, files_.read(directory + "/manifest"));
  TS_TRY(manifest, parse_manifest(bytes));
  for (const ManifestFile& f : manifest.files) {
    TS_TRY(content, files_.read(directory + "/" + f.name));
    if (content.size() != f.size || content_sum(content) != f.sum)
      return permanent_error(fmt::format("'{}/{}' does not match its checksum", directory, f.name));
    contents.push_back(std::make_unique<std::string>(std::move(content)));
  }
  return manifest;
}

Status CheckpointStore::load_base(Epoch base, RestoredState& into) {
  std::vector<std::unique_ptr<std::string>> contents;
  TS_TRY(manifest, verify(root_ + "/bases/" + epoch_name(base), contents));
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    const auto file = parse_state_file(manifest.files[i].name);
    if (!file) continue;
    TS_TRYV(into.state.apply(file->step, 0, 1, *contents[i]));
  }
  for (auto& c : contents) into.bytes.push_back(std::move(c));
  into.epoch = base;
  return ok();
}

Status CheckpointStore::apply_epoch(Epoch epoch, RestoredState& into) {
  std::vector<std::unique_ptr<std::string>> contents;
  TS_TRY(manifest, verify(root_ + "/epochs/" + epoch_name(epoch), contents));
  // Checked before anything is applied: a delta that is half folded in cannot be taken back.
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    DeltaReader reader(manifest.files[i].name == "meta.json" ? std::string_view{} : std::string_view(*contents[i]));
    StateEntry entry;
    for (;;) {
      TS_TRY(more, reader.next(entry));
      if (!more) break;
    }
  }
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    if (manifest.files[i].name == "meta.json") {
      into.meta = *contents[i];
      continue;
    }
    const auto file = parse_state_file(manifest.files[i].name);
    if (!file) return permanent_error(fmt::format("epoch {} holds an unknown file '{}'", epoch.value, manifest.files[i].name));
    TS_TRYV(into.state.apply(file->step, file->shard, file->shards, *contents[i]));
  }
  for (auto& c : contents) into.bytes.push_back(std::move(c));
  into.epoch = epoch;
  return ok();
}

void CheckpointStore::quarantine(const std::string& parent, Epoch epoch, const std::string& why, std::vector<std::string>& warnings) {
  const std::string place = root_ + "/quarantine";
  const std::string name = parent + "-" + epoch_name(epoch);
  warnings.push_back(fmt::format("{} {} is damaged ({}); moved to '{}/{}'", parent == "bases" ? "base" : "epoch", epoch.value, why, place, name));
  if (!files_.make_directories(place)) return;
  (void)files_.remove_all(place + "/" + name);
  (void)files_.rename(root_ + "/" + parent + "/" + epoch_name(epoch), place + "/" + name);
  (void)files_.sync_directory(root_ + "/" + parent);
}

Result<std::optional<RestoredState>> CheckpointStore::restore() {
  if (epochs_.empty() && bases_.empty()) return std::optional<RestoredState>();
  std::vector<std::string> warnings;
  // Newest base first; without any, the chain must begin with the first epoch ever written.
  std::vector<std::optional<Epoch>> starts(bases_.rbegin(), bases_.rend());
  starts.push_back(std::nullopt);
  for (const auto& start : starts) {
    RestoredState out;
    if (start) {
      if (auto loaded = load_base(*start, out); !loaded) {
        quarantine("bases", *start, loaded.error().message, warnings);
        std::erase(bases_, *start);
        continue;
      }
      // The base's own epoch directory has the meta; state of it is already in the base.
      std::vector<std::unique_ptr<std::string>> contents;
      auto manifest = verify(root_ + "/epochs/" + epoch_name(*start), contents);
      if (manifest)
        for (std::size_t i = 0; i < manifest.value().files.size(); ++i)
          if (manifest.value().files[i].name == "meta.json") out.meta = *contents[i];
    } else if (epochs_.empty() || epochs_.front() != Epoch(1)) {
      break;
    }
    Epoch expected(start ? start->value + 1 : 1);
    std::size_t damaged_from = epochs_.size();
    for (std::size_t i = 0; i < epochs_.size(); ++i) {
      if (start && epochs_[i] <= *start) continue;
      std::string why;
      if (epochs_[i] != expected) {
        why = fmt::format("epoch {} is missing before it", expected.value);
      } else if (auto applied = apply_epoch(epochs_[i], out); !applied) {
        why = applied.error().message;
      }
      if (!why.empty()) {
        damaged_from = i;
        warnings.push_back(fmt::format("restoring epoch {}: {}", expected.value - 1, why));
        break;
      }
      expected = Epoch(expected.value + 1);
    }
    if (out.meta.empty()) continue;  // nothing usable on this base: try the older one
    for (std::size_t i = damaged_from; i < epochs_.size(); ++i)
      quarantine("epochs", epochs_[i], i == damaged_from ? "damaged" : "after a damaged epoch", warnings);
    epochs_.resize(damaged_from);
    std::erase_if(bases_, [&](Epoch b) { return b > out.epoch; });
    out.warnings = std::move(warnings);
    delta_bytes_since_base_ = 0;
    for (const auto& b : out.bytes) delta_bytes_since_base_ += b->size();
    epochs_since_base_ = expected.value - 1 - (start ? start->value : 0);
    return std::optional<RestoredState>(std::move(out));
  }
  std::string text = "no checkpoint in '" + root_ + "' can be used";
  for (const auto& w : warnings) text += "; " + w;
  return permanent_error(text);
}

Status CheckpointStore::write_directory(const std::string& parent, Epoch epoch, const std::string& kind,
                                        const std::vector<std::pair<std::string, std::string_view>>& files, std::uint64_t& bytes) {
  const std::string directory = root_ + "/" + parent;
  const std::string temporary = directory + "/" + epoch_name(epoch) + ".tmp";
  const auto attempt = [&]() -> Status {
    TS_TRYV(files_.remove_all(temporary));
    TS_TRYV(files_.make_directories(temporary));
    Manifest manifest;
    manifest.kind = kind;
    manifest.epoch = epoch;
    for (const auto& [name, content] : files) {
      TS_TRYV(files_.write_and_sync(temporary + "/" + name, {content}));
      manifest.files.push_back({name, content.size(), content_sum(content)});
      bytes += content.size();
    }
    TS_TRYV(replace_file(files_, temporary, "manifest", to_json(manifest)));
    TS_TRYV(files_.rename(temporary, directory + "/" + epoch_name(epoch)));
    return files_.sync_directory(directory);
  };
  auto result = attempt();
  if (!result) {
    (void)files_.remove_all(temporary);
    (void)files_.remove_all(directory + "/" + epoch_name(epoch));
  }
  return result;
}

Status CheckpointStore::write(const PreparedEpoch& epoch) {
  TS_CHECK(epochs_.empty() || epochs_.back() < epoch.epoch);
  std::vector<std::pair<std::string, std::string_view>> files{{"meta.json", epoch.meta}};
  for (const StepDelta& d : epoch.deltas)
    if (!d.bytes.empty()) files.emplace_back(fmt::format("{}@{}of{}.delta", d.step, d.shard, d.shards), d.bytes);
  std::uint64_t bytes = 0;
  TS_TRYV(write_directory("epochs", epoch.epoch, "epoch", files, bytes));
  epochs_.push_back(epoch.epoch);
  bytes_written_ += bytes;
  last_epoch_bytes_ = bytes;
  delta_bytes_since_base_ += bytes;
  ++epochs_since_base_;
  return ok();
}

bool CheckpointStore::merge_due() const {
  return epochs_since_base_ >= kMergeAtEpochs || (delta_bytes_since_base_ > kMergeAtLeast && delta_bytes_since_base_ > 2 * base_bytes_);
}

Status CheckpointStore::merge() {
  if (epochs_.empty()) return ok();
  RestoredState image;
  std::optional<Epoch> start;
  if (!bases_.empty()) {
    start = bases_.back();
    TS_TRYV(load_base(*start, image));
  }
  for (Epoch e : epochs_)
    if (!start || e > *start) TS_TRYV(apply_epoch(e, image));
  std::vector<std::pair<std::string, std::string>> contents;
  for (const std::string& step : image.state.steps()) {
    std::string bytes = image.state.serialize(step);
    if (!bytes.empty()) contents.emplace_back(step + ".base", std::move(bytes));
  }
  std::vector<std::pair<std::string, std::string_view>> files(contents.begin(), contents.end());
  std::uint64_t bytes = 0;
  const Epoch epoch = epochs_.back();
  TS_TRYV(write_directory("bases", epoch, "base", files, bytes));
  bases_.push_back(epoch);
  base_bytes_ = bytes;
  delta_bytes_since_base_ = 0;
  epochs_since_base_ = 0;
  return collect_garbage();
}

Status CheckpointStore::collect_garbage() {
  while (bases_.size() > 2) {
    TS_TRYV(files_.remove_all(root_ + "/bases/" + epoch_name(bases_.front())));
    bases_.erase(bases_.begin());
  }
  if (bases_.size() < 2) return ok();
  // The epoch a base stands on is kept for its meta.
  while (!epochs_.empty() && epochs_.front() < bases_.front()) {
    TS_TRYV(files_.remove_all(root_ + "/epochs/" + epoch_name(epochs_.front())));
    epochs_.erase(epochs_.begin());
  }
  return ok();
}

}  // namespace twinspan::engine

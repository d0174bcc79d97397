#include "engine/checkpoint/state_merge.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <memory>

namespace twinspan::engine {

namespace {

constexpr std::int64_t kNothing = std::numeric_limits<std::int64_t>::min();
constexpr std::size_t kLookAround = 4096;  // entries between two looks at the stop token

using Floors = std::array<std::int64_t, kKeyGroups>;  // by key group: entries with a smaller tag have ended

struct Source {
  const MergeInput* input = nullptr;
  std::unique_ptr<StateFileCursor> cursor;
  std::map<std::uint8_t, Floors> floors;  // by space, from the drops of later files
  bool alive() const {
    const StateEntry& e = cursor->entry();
    const auto it = floors.find(e.space);
    return it == floors.end() || e.tag >= it->second[e.key_group];
  }
};

// Whether x is merged after y: the heap keeps the entry to come first on top, of equal ones the newest.
bool later(const Source* x, const Source* y) {
  const int order = compare_entries(x->cursor->entry(), x->cursor->hash(), y->cursor->entry(), y->cursor->hash());
  return order != 0 ? order > 0 : x->input->order < y->input->order;
}

// Newest file first: what its drops end is known to all older ones.
void spread_drops(std::vector<Source>& sources) {
  std::vector<Source*> newest;
  for (Source& s : sources) newest.push_back(&s);
  std::stable_sort(newest.begin(), newest.end(),
                   [](const Source* a, const Source* b) { return a->input->order > b->input->order; });
  std::map<std::uint8_t, Floors> floors;
  for (std::size_t i = 0; i < newest.size();) {
    std::size_t end = i;
    for (; end < newest.size() && newest[end]->input->order == newest[i]->input->order; ++end)
      newest[end]->floors = floors;
    for (; i < end; ++i) {
      const Source& s = *newest[i];
      for (const SpaceDrop& d : s.cursor->drops()) {
        auto [it, fresh] = floors.try_emplace(d.space);
        if (fresh) it->second.fill(kNothing);
        for (std::uint16_t g = 0; g < kKeyGroups; ++g)
          if (shard_of_group(g, s.input->shards) == s.input->shard) it->second[g] = std::max(it->second[g], d.below);
      }
    }
  }
}

}  // namespace

Result<MergeResult> merge_state_files(FileSystem& files, const std::vector<MergeInput>& inputs, const std::string& out,
                                      std::stop_token stop) {
  std::vector<Source> sources(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    sources[i].input = &inputs[i];
    TS_TRY(cursor, StateFileCursor::open(files, inputs[i].path, inputs[i].size, inputs[i].sum));
    sources[i].cursor = std::move(cursor);
  }
  spread_drops(sources);
  std::vector<Source*> heap;
  for (Source& s : sources) {
    s.cursor->skip_below([&s](std::uint8_t space) {
      const auto it = s.floors.find(space);
      if (it == s.floors.end()) return kNothing;
      std::int64_t all = std::numeric_limits<std::int64_t>::max();
      for (std::uint16_t g = 0; g < kKeyGroups; ++g)
        if (shard_of_group(g, s.input->shards) == s.input->shard) all = std::min(all, it->second[g]);
      return all;
    });
    TS_TRY(more, s.cursor->next());
    if (more) heap.push_back(&s);
  }
  std::make_heap(heap.begin(), heap.end(), later);

  std::unique_ptr<StateFileWriter> writer;
  StateEntry done;  // the last key seen, in a copy: its cursor moves on
  std::string done_key;
  std::uint64_t done_hash = 0;
  bool any = false;
  for (std::size_t n = 0; !heap.empty(); ++n) {
    if (n % kLookAround == 0 && stop.stop_requested()) return Error{ErrorKind::shutdown, "the merge was stopped"};
    std::pop_heap(heap.begin(), heap.end(), later);
    Source& s = *heap.back();
    const StateEntry& e = s.cursor->entry();
    if (!any || compare_entries(e, s.cursor->hash(), done, done_hash) != 0) {
      any = true;
      done_key.assign(e.key);
      done = e;
      done.key = done_key;
      done.value = {};
      done_hash = s.cursor->hash();
      if (e.kind == StateEntry::Kind::put && s.alive()) {
        if (writer == nullptr) {
          TS_TRY(file, files.create(out));
          writer = std::make_unique<StateFileWriter>(std::move(file));
        }
        TS_TRYV(writer->add(e, SortedDelta::frame_of(e)));
      }
    }
    TS_TRY(more, s.cursor->next());
    if (more)
      std::push_heap(heap.begin(), heap.end(), later);
    else
      heap.pop_back();
  }
  MergeResult result;
  for (const Source& s : sources) result.bytes_read += s.cursor->bytes_read();
  if (writer == nullptr) return result;
  TS_TRY(sum, writer->finish());
  result.entries = writer->entries();
  result.size = writer->size();
  result.sum = std::move(sum);
  return result;
}

}  // namespace twinspan::engine

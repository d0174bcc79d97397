#include "engine/operators/join_pager.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace twinspan::engine {

namespace {
constexpr std::size_t kWordAt = 16;  // of JoinRow: previous and flags
static_assert(offsetof(JoinRow, size) == kWordAt + 8);
}  // namespace

// The mutable words that lie on a page (one never lies on two): f(ordinal, offset of the word).
template <class F>
void JoinPager::for_words_of(const Spilled& s, std::size_t page, F&& f) {
  const std::size_t begin = page * kPage, end = begin + kPage;
  auto at = std::lower_bound(s.places.begin(), s.places.end(), begin,
                             [](std::uint32_t place, std::size_t b) { return place * 8ull + kWordAt < b; });
  for (; at != s.places.end() && *at * 8ull + kWordAt < end; ++at)
    f(static_cast<std::size_t>(at - s.places.begin()), *at * 8ull + kWordAt);
}

void JoinPager::spill(std::uint64_t number, std::shared_ptr<SegmentMemory> memory, std::size_t used) {
  Spilled& s = segments_[number];
  s.memory = std::move(memory);
  s.used = used;
  const char* base = s.memory->pages.data();
  for (std::size_t at = 0; at < used;) {
    const auto* row = reinterpret_cast<const JoinRow*>(base + at);
    s.places.push_back(static_cast<std::uint32_t>(at / 8));
    std::uint64_t word = 0;
    std::memcpy(&word, base + at + kWordAt, 8);
    s.words.push_back(word);
    at += (row->size + 7u) & ~std::size_t{7};
  }
  s.places.shrink_to_fit();
  s.words.shrink_to_fit();
  s.mean_size = used / s.places.size();
  s.present.resize((used + kPage - 1) / kPage / 64 + 1);
  s.memory->pages.release();
  side_bytes_ += s.places.size() * 12 + s.present.size() * 8 + sizeof(Spilled);
  spilled_bytes_ += used;
}

void JoinPager::drop(std::uint64_t number) {
  const auto at = segments_.find(number);
  if (at == segments_.end()) return;
  const Spilled& s = at->second;
  side_bytes_ -= s.places.size() * 12 + s.present.size() * 8 + sizeof(Spilled);
  spilled_bytes_ -= s.used;
  std::erase_if(loaded_, [number](const Page& p) { return p.number == number; });
  std::erase_if(wanted_, [number](const Page& p) { return p.number == number; });
  segments_.erase(at);
}

void JoinPager::need(const Spilled& s, std::uint64_t number, std::size_t begin, std::size_t end) {
  for (std::size_t page = begin / kPage; page * kPage < std::min(end, s.used); ++page)
    if (!s.has(page)) wanted_.push_back({number, static_cast<std::uint32_t>(page)});
}

void JoinPager::want(std::uint64_t number, std::size_t offset) {
  const Spilled& s = segments_.find(number)->second;
  need(s, number, offset, offset + std::min(std::max(s.mean_size, sizeof(JoinRow)), kPage));
}

void JoinPager::fetch() {
  if (wanted_.empty()) return;
  std::sort(wanted_.begin(), wanted_.end());
  wanted_.erase(std::unique(wanted_.begin(), wanted_.end()), wanted_.end());
  reads_.clear();
  for (const Page& p : wanted_) {
    const std::size_t at = p.page * kPage;
    reads_.push_back(
        {join_file_number(side_, p.number), at, std::min(kPage, segments_.find(p.number)->second.used - at), {}});
  }
  if (auto read = store_.read(reads_); !read) throw SpillFailure{read.error()};
  for (std::size_t i = 0; i < wanted_.size(); ++i) {
    const Page& p = wanted_[i];
    Spilled& s = segments_.find(p.number)->second;
    char* base = s.memory->pages.data();
    std::memcpy(base + p.page * kPage, reads_[i].bytes.data(), reads_[i].size);
    for_words_of(s, p.page, [&](std::size_t row, std::size_t at) { std::memcpy(base + at, &s.words[row], 8); });
    s.present[p.page / 64] |= std::uint64_t{1} << (p.page % 64);
    loaded_.push_back(p);
  }
  pages_read_ += wanted_.size();
  wanted_.clear();
}

JoinRow* JoinPager::row(std::uint64_t number, std::size_t offset) {
  const Spilled& s = segments_.find(number)->second;
  auto* row = reinterpret_cast<JoinRow*>(s.memory->pages.data() + offset);
  // What others want for later is not fetched for this row's sake.
  const auto bring = [&](std::size_t end) {
    const std::size_t wanted = wanted_.size();
    need(s, number, offset, end);
    if (wanted_.size() > wanted) fetch();
  };
  bring(offset + sizeof(JoinRow));
  bring(offset + row->size);
  return row;
}

void JoinPager::release() {
  std::sort(loaded_.begin(), loaded_.end());
  for (std::size_t i = 0; i < loaded_.size();) {
    const std::uint64_t number = loaded_[i].number;
    Spilled& s = segments_.find(number)->second;
    const char* base = s.memory->pages.data();
    for (; i < loaded_.size() && loaded_[i].number == number; ++i) {
      const std::size_t page = loaded_[i].page;
      for_words_of(s, page, [&](std::size_t row, std::size_t at) { std::memcpy(&s.words[row], base + at, 8); });
    }
    std::fill(s.present.begin(), s.present.end(), 0);
    s.memory->pages.release();
  }
  loaded_.clear();
}

}  // namespace twinspan::engine

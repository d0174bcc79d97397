#pragma once
// What the next snapshot has to look at: appended to by rows, taken from the front by the portions of a snapshot. It
// lies in pieces, so that growing copies nothing and what is done goes back piece by piece: neither rows nor a portion
// wait for megabytes to be moved or freed. Owned by an operator. Thread: shard.

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace twinspan::engine {

template <class T>
class SaveList {
 public:
  SaveList() = default;
  SaveList(SaveList&& other) noexcept
      : pieces_(std::move(other.pieces_)),
        first_(std::exchange(other.first_, 0)),
        taken_(std::exchange(other.taken_, 0)) {
    other.pieces_.clear();
  }
  SaveList& operator=(SaveList&& other) noexcept {
    pieces_ = std::exchange(other.pieces_, {});
    first_ = std::exchange(other.first_, 0);
    taken_ = std::exchange(other.taken_, 0);
    return *this;
  }

  bool empty() const { return first_ == pieces_.size(); }
  void push_back(T value) {
    if (first_ == pieces_.size() || pieces_.back().size() == kPiece) [[unlikely]]
      add_piece();
    pieces_.back().push_back(std::move(value));
  }
  // The next ones in order, at most `most` (> 0) of them; none: that was all. Good until the next call.
  std::span<T> take(std::size_t most) {
    if (!empty() && taken_ == pieces_[first_].size()) next_piece();
    if (empty()) return {};
    std::vector<T>& piece = pieces_[first_];
    const std::size_t n = std::min(most, piece.size() - taken_);
    const std::span<T> out(piece.data() + taken_, n);
    taken_ += n;
    return out;
  }
  std::size_t bytes() const {
    std::size_t n = pieces_.capacity() * sizeof pieces_[0];
    for (std::size_t i = first_; i < pieces_.size(); ++i) n += pieces_[i].capacity() * sizeof(T);
    return n;
  }

 private:
  static constexpr std::size_t kPiece = 16'384;

  void add_piece() {
    pieces_.emplace_back();
    if (pieces_.size() - first_ > 1) pieces_.back().reserve(kPiece);  // the first one grows by itself: most stay small
  }
  void next_piece() {
    pieces_[first_++] = {};
    taken_ = 0;
    if (first_ < pieces_.size()) return;
    pieces_ = {};
    first_ = 0;
  }

  std::vector<std::vector<T>> pieces_;
  std::size_t first_ = 0, taken_ = 0;  // the first piece with something left, and how much of it is gone
};

}  // namespace twinspan::engine

#pragma once
// Zeroed memory straight from the kernel, for what a join keeps: given back whole on destruction, so that expiry
// shrinks the process at once, and in huge pages where the kernel has them (random probes are TLB bound; performance.md
// D.7). Owner: the log segment or table that lives in it. Thread: shard.

#include <cstddef>
#include <utility>

namespace twinspan::engine {

class PageBlock {
 public:
  PageBlock() = default;
  explicit PageBlock(std::size_t bytes);  // rounded up to pages; throws std::bad_alloc
  ~PageBlock();
  PageBlock(PageBlock&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  PageBlock& operator=(PageBlock&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  // The pages go back to the kernel and read as zeros; written to, they come back one by one.
  void release();

  char* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace twinspan::engine

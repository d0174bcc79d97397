#include "engine/operators/join_memory.h"

#include <new>

#include <sys/mman.h>

namespace twinspan::engine {

namespace {
constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = 2u << 20;
}  // namespace

PageBlock::PageBlock(std::size_t bytes) : size_((bytes + kPage - 1) & ~(kPage - 1)) {
  void* p = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<char*>(p);
  if (size_ >= kHugePage) ::madvise(p, size_, MADV_HUGEPAGE);  // a hint: nothing depends on it
}

void PageBlock::release() {
  ::madvise(data_, size_, MADV_NOHUGEPAGE);
  ::madvise(data_, size_, MADV_DONTNEED);
}

PageBlock::~PageBlock() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace twinspan::engine

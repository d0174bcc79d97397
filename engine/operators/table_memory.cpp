#include "engine/operators/table_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

namespace twinspan::engine {

namespace {

struct Kept {
  struct Block {
    void* at;
    std::size_t size;
  };
  std::vector<Block> blocks;  // the oldest first
  std::size_t bytes = 0;

  ~Kept();
};

// Tables that outlive the thread's own objects give back to the system.
thread_local bool kept_is_gone = false;
thread_local Kept kept;

Kept::~Kept() {
  kept_is_gone = true;
  for (const Block& b : blocks) munmap(b.at, b.size);
}

char* take_kept(std::size_t size) {
  if (kept_is_gone) return nullptr;
  for (auto b = kept.blocks.rbegin(); b != kept.blocks.rend(); ++b) {
    if (b->size != size) continue;
    char* at = static_cast<char*>(b->at);
    kept.blocks.erase(b.base() - 1);
    kept.bytes -= size;
    return at;
  }
  return nullptr;
}

// Maps more, and gives back what lies before the first and behind the last huge page.
char* map(std::size_t size) {
  constexpr std::size_t kHuge = TableMemory::kHuge;
  void* all = mmap(nullptr, size + kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) throw std::bad_alloc();
  char* first = static_cast<char*>(all);
  char* p = reinterpret_cast<char*>((reinterpret_cast<std::uintptr_t>(first) + kHuge - 1) & ~(kHuge - 1));
  if (p != first) munmap(first, static_cast<std::size_t>(p - first));
  if (const std::size_t rest = static_cast<std::size_t>(first + kHuge - p); rest != 0) munmap(p + size, rest);
  madvise(p, size, MADV_HUGEPAGE);
  return p;
}

}  // namespace

char* TableMemory::allocate(std::size_t bytes, bool zeroed, std::size_t& mapped, bool& clean) {
  constexpr std::size_t kLine = 64;
  if (bytes < kHuge) {
    const std::size_t size = (std::max<std::size_t>(bytes, 1) + kLine - 1) / kLine * kLine;
    void* p = std::aligned_alloc(kLine, size);
    if (p == nullptr) throw std::bad_alloc();
    if (zeroed) std::memset(p, 0, size);
    mapped = 0;
    clean = zeroed;
    return static_cast<char*>(p);
  }
  mapped = (bytes + kHuge - 1) & ~(kHuge - 1);
  if (char* p = take_kept(mapped)) {
    if (zeroed) std::memset(p, 0, bytes);
    clean = zeroed;
    return p;
  }
  clean = true;
  return map(mapped);
}

void TableMemory::free(void* p, std::size_t mapped) {
  if (mapped == 0) return std::free(p);
  if (kept_is_gone || mapped > kKept) {
    munmap(p, mapped);
    return;
  }
  madvise(p, mapped, MADV_FREE);
  kept.blocks.push_back({p, mapped});
  kept.bytes += mapped;
  while (kept.bytes > kKept) {
    munmap(kept.blocks.front().at, kept.blocks.front().size);
    kept.bytes -= kept.blocks.front().size;
    kept.blocks.erase(kept.blocks.begin());
  }
}

}  // namespace twinspan::engine

#pragma once
// The memory of tables. Tables of megabytes are hit at random, and most of what that costs is address translation: they
// lie in huge pages where the system gives them. Windows end and others begin of about the same size, so what is given
// back is kept for a while by the thread, up to kKept bytes: fresh pages cost more than everything else that a window
// does with them (measured: 3.7 GB/s for pages that the kernel clears, 10 to 18 for memset). The kernel may take what
// is kept when it needs memory (MADV_FREE). Thread: any; what one frees it keeps for itself.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace twinspan::engine {

class TableMemory {
 public:
  static constexpr std::size_t kHuge = std::size_t{2} << 20;
  static constexpr std::size_t kKept = std::size_t{32} << 20;

  // Throws std::bad_alloc. Aligned to 64 bytes. `clean`: whether all of it is zero; with `zeroed` it is.
  static char* allocate(std::size_t bytes, bool zeroed, std::size_t& mapped, bool& clean);
  static void free(void* p, std::size_t mapped);
};

struct FreeMemory {
  std::size_t mapped = 0;  // bytes; 0: from malloc
  void operator()(void* p) const { TableMemory::free(p, mapped); }
};
template <class T>
using TableArray = std::unique_ptr<T[], FreeMemory>;

template <class T>
TableArray<T> zeroed_array(std::size_t n) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::size_t mapped = 0;
  bool clean = false;
  char* p = TableMemory::allocate(n * sizeof(T), true, mapped, clean);
  return TableArray<T>(reinterpret_cast<T*>(p), FreeMemory{mapped});
}

}  // namespace twinspan::engine

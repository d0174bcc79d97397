#pragma once
// What a kernel is: a plain function over whole columns, chosen when the expression is compiled. It reads arguments
// (dense columns or one constant), writes `rows` values to `out`, and marks rows it cannot compute. Everything about
// NULL that is the same for most functions (NULL in, NULL out) is done before the kernel runs. Thread: shard.

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/batch.h"
#include "engine/base/types.h"

namespace twinspan::engine {

// Memory of one evaluation that is used again by the next: a bump allocator whose blocks stay. Owned by an executor.
class Scratch {
 public:
  void* allocate(std::size_t bytes) {
    bytes = (bytes + 15) & ~std::size_t{15};
    while (block_ < blocks_.size() && used_ + bytes > blocks_[block_].size) ++block_, used_ = 0;
    if (block_ == blocks_.size()) {
      const std::size_t size = bytes > kBlock ? bytes : kBlock;
      blocks_.push_back({std::unique_ptr<char[]>(new char[size]), size});
      used_ = 0;
    }
    void* p = blocks_[block_].data.get() + used_;
    used_ += bytes;
    return p;
  }
  template <class T>
  T* make(std::size_t n) {
    return static_cast<T*>(allocate(n * sizeof(T)));
  }
  void reset() { block_ = used_ = 0; }

 private:
  static constexpr std::size_t kBlock = 64 * 1024;
  struct Block {
    std::unique_ptr<char[]> data;
    std::size_t size;
  };
  std::vector<Block> blocks_;
  std::size_t block_ = 0, used_ = 0;
};

// A value during evaluation. `stride` 0 is a constant: one value for all rows. `errors`: 0 = none, else 1 + the index
// of the row's message; nullptr = no row failed. A row with an error is always also NULL.
struct Value {
  const void* data = nullptr;
  const std::uint8_t* valid = nullptr;
  const std::uint32_t* errors = nullptr;
  std::uint32_t stride = 1;

  template <class T>
  const T& at(std::size_t row) const {
    return static_cast<const T*>(data)[row * stride];
  }
  bool is_null(std::size_t row) const { return valid != nullptr && valid[row * stride] == 0; }
};

// What was fixed when the expression was compiled: scales, units, a compiled pattern.
struct KernelParams {
  std::int64_t a = 0, b = 0, c = 0;
  std::shared_ptr<const void> state;

  template <class T>
  const T& as() const {
    return *static_cast<const T*>(state.get());
  }
};

struct KernelCall {
  const Value* args;
  std::uint32_t count;
  std::uint32_t rows;
  void* out;
  const std::uint8_t* valid;  // rows to compute; nullptr = all (always so for a kernel that handles NULL itself)
  const KernelParams* params;
  DataType type;  // of the result
  Arena* bytes;   // for string results
  Scratch* scratch;
  std::vector<std::string>* messages;
  std::uint8_t* own_valid = nullptr;
  std::uint32_t* errors = nullptr;

  template <class T>
  T* result() const {
    return static_cast<T*>(out);
  }
  bool computes(std::size_t row) const { return valid == nullptr || valid[row] != 0; }

  // Runs f(row) for every row to compute; other rows get an empty value.
  template <class T, class F>
  void each(F&& f) {
    T* to = result<T>();
    const std::uint8_t* ok = valid;
    if (ok == nullptr) {
      for (std::uint32_t i = 0; i < rows; ++i) to[i] = f(i);
    } else {
      for (std::uint32_t i = 0; i < rows; ++i) to[i] = ok[i] != 0 ? f(i) : T{};
    }
  }
  // Runs f(a, b) on the first two arguments of every row, computed or not: f may do that with anything. The loops know
  // which side is constant, so that the compiler can vectorise them.
  template <class T, class R, class F>
  void each_pair(F&& f) {
    R* to = result<R>();
    const T *a = static_cast<const T*>(args[0].data), *b = static_cast<const T*>(args[1].data);
    if (args[0].stride != 0 && args[1].stride != 0) {
      for (std::uint32_t i = 0; i < rows; ++i) to[i] = f(a[i], b[i]);
    } else if (args[0].stride != 0) {
      const T y = *b;
      for (std::uint32_t i = 0; i < rows; ++i) to[i] = f(a[i], y);
    } else if (args[1].stride != 0) {
      const T x = *a;
      for (std::uint32_t i = 0; i < rows; ++i) to[i] = f(x, b[i]);
    } else {
      const R r = f(*a, *b);
      for (std::uint32_t i = 0; i < rows; ++i) to[i] = r;
    }
  }
  void set_null(std::uint32_t row);
  void fail(std::uint32_t row, std::string_view message);  // the row is NULL and carries an error
};

using Kernel = void (*)(KernelCall&);

// A kernel with what the scheduler must know of it.
struct KernelChoice {
  Kernel run = nullptr;
  DataType type;
  KernelParams params;
  bool strict = true;       // NULL when any argument is NULL: merged before the call
  bool reuses_arg = false;  // the result is the first argument's own memory under another type
  int cost = 1;             // nanoseconds a row, roughly: decides whether a branch is run on fewer rows
};

// Bytes of one text or packed value that a function may put together: expressions can double what they are given at
// every step.
inline constexpr std::size_t kMaxValue = 16 << 20;
inline constexpr const char* kValueTooLong = "the value would be longer than 16 MiB";

constexpr Decimal power_of_ten(unsigned n) {
  Decimal v = 1;
  for (unsigned i = 0; i < n; ++i) v *= 10;
  return v;
}
// Rounds half away from zero. The divisor is positive.
constexpr Decimal divide_half_up(Decimal v, Decimal divisor) {
  const Decimal q = v / divisor, r = v % divisor;
  const Decimal magnitude = r < 0 ? -r : r;
  return magnitude >= divisor - magnitude ? (v < 0 ? q - 1 : q + 1) : q;
}
inline constexpr Decimal kDecimalLimit = power_of_ten(38);  // magnitudes stay below

// Kernels by family; each picks by type and says nothing (run == nullptr) when there is none.
enum class CompareOp : std::uint8_t { eq, ne, lt, le, gt, ge };
KernelChoice compare_kernel(CompareOp op, DataType a, DataType b, bool a_constant, bool b_constant);
KernelChoice arithmetic_kernel(char op, DataType a, DataType b);  // + - * / %
KernelChoice negate_kernel(DataType x);
bool is_fixed_divisor(std::int64_t d);        // a constant that division by multiplication takes
KernelChoice divisible_kernel(bool negated);  // x % d = 0, of int64 and such a constant
KernelChoice range_kernel();                  // x BETWEEN two constants, the lesser first: int64, timestamp, duration
KernelChoice cast_kernel(DataType from, DataType to, bool safe);
KernelChoice not_kernel();
KernelChoice is_null_kernel(bool negated);
KernelChoice is_bool_kernel(bool wanted, bool negated);
KernelChoice is_distinct_kernel(DataType type, bool negated);

// x IN (constants), all of one type; NULLs among them are told by `has_null` (no match is then NULL).
struct ConstantSet;
std::shared_ptr<const ConstantSet> make_set(DataType type, const std::vector<Value>& values, bool has_null);
KernelChoice in_set_kernel(DataType type, std::shared_ptr<const ConstantSet> set);

// LIKE with a constant pattern (prefix, suffix, containment and equality have their own kernels) or one of each row.
// `escape` 0 = none. nullptr state and a message when the pattern ends in the escape character.
KernelChoice like_kernel(std::string_view pattern, char escape, std::string& error);
KernelChoice like_kernel_dynamic(char escape);

bool is_ascii(std::string_view s);
std::size_t utf8_length(std::string_view s);                 // code points; stray bytes count one each
std::size_t utf8_offset(std::string_view s, std::size_t n);  // byte offset of code point n, or s.size()
bool is_utf8(std::string_view s);

}  // namespace twinspan::engine

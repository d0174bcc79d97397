#pragma once
// Bounded ring between exactly one producing and one consuming thread; move-only elements; no locks, no allocation
// after construction. Each side caches the other's index, so that an uncontended push or pop touches one shared line
// (Rigtorp's SPSCQueue, FastForward). Capacity is rounded up to a power of two.

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <utility>

namespace twinspan {

template <class T>
class SpscRing {
 public:
  explicit SpscRing(std::size_t capacity) : mask_(std::bit_ceil(capacity) - 1), slots_(new Slot[mask_ + 1]) {}
  ~SpscRing() {
    while (try_pop()) {
    }
  }
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  // Producer. false: full, `value` is untouched.
  bool try_push(T& value) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - cached_head_ > mask_) {
      cached_head_ = head_.load(std::memory_order_acquire);
      if (tail - cached_head_ > mask_) return false;
    }
    new (slots_[tail & mask_].bytes) T(std::move(value));
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // Consumer.
  std::optional<T> try_pop() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == cached_tail_) {
      cached_tail_ = tail_.load(std::memory_order_acquire);
      if (head == cached_tail_) return std::nullopt;
    }
    T* slot = std::launder(reinterpret_cast<T*>(slots_[head & mask_].bytes));
    std::optional<T> value(std::move(*slot));
    slot->~T();
    head_.store(head + 1, std::memory_order_release);
    return value;
  }

  // Either side or an observer: a moment's view. Head first: it may only fall behind, never run past the tail.
  std::size_t size() const {
    const std::size_t head = head_.load(std::memory_order_acquire);
    return std::min(tail_.load(std::memory_order_acquire) - head, capacity());
  }
  std::size_t capacity() const { return mask_ + 1; }

 private:
  struct Slot {
    alignas(T) unsigned char bytes[sizeof(T)];
  };
  const std::size_t mask_;
  std::unique_ptr<Slot[]> slots_;
  alignas(64) std::atomic<std::size_t> head_{0};
  std::size_t cached_tail_ = 0;
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::size_t cached_head_ = 0;
};

}  // namespace twinspan

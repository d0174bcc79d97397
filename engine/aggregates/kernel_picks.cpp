// first, last, min_by, max_by: the value of one row, chosen by its event time or by another value. Where values are
// equal the earlier event time decides, where times are equal the row that came first, for last the one that came last.
// (Parts that are merged are parts of time, so arrival alone would not be known.)

#include "engine/aggregates/kernel.h"
#include "engine/aggregates/value_bytes.h"

namespace twinspan::engine {

namespace {

using F = AggregateFunction;

struct HeldText {
  char* p;
  std::uint32_t size, capacity;
  std::string_view get() const { return {p, size}; }
  void set(std::string_view v, BlockMemory& memory) {
    if (v.size() > capacity || p == nullptr) {
      if (p != nullptr) memory.give(p, capacity);
      capacity = static_cast<std::uint32_t>(BlockMemory::rounded(v.size()));
      p = memory.take(capacity);
    }
    size = static_cast<std::uint32_t>(v.size());
    if (!v.empty()) std::memcpy(p, v.data(), v.size());
  }
  void release(BlockMemory& memory) {
    if (p != nullptr) memory.give(p, capacity);
  }
  void save(std::string& to) const {
    append_raw(to, size);
    to.append(get());
  }
  bool load(std::string_view& from, BlockMemory& memory) {
    std::uint32_t n = 0;
    std::string_view v;
    if (!take_raw(from, n) || !take_bytes(from, n, v)) return false;
    set(v, memory);
    return true;
  }
};

// Values.
struct FixedValue {
  static constexpr bool kOwns = false;
  std::uint64_t words[2];
  void set(const AggregateRow& r) {
    const std::size_t width = value_width(r.spec.argument_type.kind);
    std::memcpy(words, static_cast<const char*>(r.x->data) + r.row * width, width);
  }
  void set(const FixedValue& from, BlockMemory&) { *this = from; }
  bool put(const AggregateCell& cell) const {
    std::memcpy(cell.to, words, value_width(cell.type.kind));
    return true;
  }
  void release(BlockMemory&) {}
  void save(std::string& to) const { append_raw(to, words); }
  bool load(std::string_view& from, BlockMemory&) { return take_raw(from, words); }
  bool well_formed(const AggregateSpec&) const { return true; }
};
struct TextValue : HeldText {
  static constexpr bool kOwns = true;
  using HeldText::set;
  void set(const AggregateRow& r) { set(r.value<std::string_view>(), r.memory); }
  void set(const TextValue& from, BlockMemory& memory) { set(from.get(), memory); }
  bool put(const AggregateCell& cell) const { return cell.text(get()); }
  bool well_formed(const AggregateSpec& spec) const { return ValueBytes::well_formed(spec.argument_type, get()); }
};

// What orders.
struct TimeKey {
  static constexpr bool kOwns = false;
  using Given = EventTime;
  EventTime time;
  static Given of(const AggregateRow& r, ValueBytes&) { return r.time[r.row]; }
  Given get() const { return time; }
  void set(Given v, BlockMemory&) { time = v; }
  void release(BlockMemory&) {}
  void save(std::string& to) const { append_raw(to, time); }
  bool load(std::string_view& from, BlockMemory&) { return take_raw(from, time); }
};
template <class T>
struct Keyed {
  T key;
  EventTime time;
};
// Any value of fixed width, as a number of the same order.
struct FixedKey {
  static constexpr bool kOwns = false;
  using Given = Keyed<UDecimal>;
  std::uint64_t words[2];
  EventTime time;
  static Given of(const AggregateRow& r, ValueBytes& bytes) {
    UDecimal v = 0;
    for (const char c : bytes.of(*r.by, r.row)) v = (v << 8) | static_cast<unsigned char>(c);
    return {v, r.time[r.row]};
  }
  Given get() const { return {(static_cast<UDecimal>(words[1]) << 64) | words[0], time}; }
  void set(Given v, BlockMemory&) {
    words[0] = static_cast<std::uint64_t>(v.key);
    words[1] = static_cast<std::uint64_t>(v.key >> 64);
    time = v.time;
  }
  void release(BlockMemory&) {}
  void save(std::string& to) const {
    append_raw(to, words);
    append_raw(to, time);
  }
  bool load(std::string_view& from, BlockMemory&) { return take_raw(from, words) && take_raw(from, time); }
};
struct TextKey {
  static constexpr bool kOwns = true;
  using Given = Keyed<std::string_view>;
  HeldText text;
  EventTime time;
  static Given of(const AggregateRow& r, ValueBytes&) { return {r.by->as<std::string_view>()[r.row], r.time[r.row]}; }
  Given get() const { return {text.get(), time}; }
  void set(Given v, BlockMemory& memory) {
    text.set(v.key, memory);
    time = v.time;
  }
  void release(BlockMemory& memory) { text.release(memory); }
  void save(std::string& to) const {
    text.save(to);
    append_raw(to, time);
  }
  bool load(std::string_view& from, BlockMemory& memory) { return text.load(from, memory) && take_raw(from, time); }
};

template <F kFunction, class Key, class Value>
struct Pick {
  struct Block {
    Key key;
    Value value;
    std::int64_t has;
  };
  static bool better(typename Key::Given key, const Block& b) {
    if (b.has == 0) return true;
    const typename Key::Given held = b.key.get();
    if constexpr (kFunction == F::first) {
      return key < held;
    } else if constexpr (kFunction == F::last) {
      return key >= held;
    } else {
      if (key.key != held.key) return kFunction == F::min_by ? key.key < held.key : key.key > held.key;
      return key.time < held.time;
    }
  }
  static void add(Block& b, const AggregateRow& r) {
    ValueBytes bytes;
    const auto key = Key::of(r, bytes);
    if (!better(key, b)) return;
    b.key.set(key, r.memory);
    b.value.set(r);
    b.has = 1;
  }
  static void merge(const AggregateSpec&, const Block& from, Block& into, BlockMemory& memory) {
    if (from.has == 0 || !better(from.key.get(), into)) return;
    into.key.set(from.key.get(), memory);
    into.value.set(from.value, memory);
    into.has = 1;
  }
  static bool finish(const AggregateSpec&, const Block& b, const AggregateCell& cell) {
    return b.has == 0 ? cell.null() : b.value.put(cell);
  }
  static void release(Block& b, BlockMemory& memory) requires(Key::kOwns || Value::kOwns) {
    b.key.release(memory);
    b.value.release(memory);
  }
  static void save(const AggregateSpec&, const Block& b, std::string& to) {
    append_raw(to, static_cast<std::uint8_t>(b.has));
    if (b.has == 0) return;
    b.key.save(to);
    b.value.save(to);
  }
  static bool load(const AggregateSpec& spec, std::string_view& from, Block& b, BlockMemory& memory) {
    std::uint8_t has = 0;
    if (!take_raw(from, has) || has > 1) return false;
    b.has = has;
    return has == 0 || (b.key.load(from, memory) && b.value.load(from, memory) && b.value.well_formed(spec));
  }
};

template <F kFunction, class Key>
const AggregateKernel& by_value(const AggregateSpec& spec) {
  return spec.argument_type.is_string_like() ? kernel_of<Pick<kFunction, Key, TextValue>>()
                                             : kernel_of<Pick<kFunction, Key, FixedValue>>();
}

template <F kFunction>
const AggregateKernel& by_key(const AggregateSpec& spec) {
  return spec.by_type.is_string_like() ? by_value<kFunction, TextKey>(spec) : by_value<kFunction, FixedKey>(spec);
}

}  // namespace

const AggregateKernel& pick_kernel(const AggregateSpec& spec) {
  switch (spec.function) {
    case F::first: return by_value<F::first, TimeKey>(spec);
    case F::last: return by_value<F::last, TimeKey>(spec);
    case F::min_by: return by_key<F::min_by>(spec);
    default: return by_key<F::max_by>(spec);
  }
}

}  // namespace twinspan::engine

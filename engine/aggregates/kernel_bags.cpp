// min, max and count(DISTINCT) where rows are taken back: every different value, with how often it is there.

#include "engine/aggregates/bag.h"
#include "engine/aggregates/kernel.h"
#include "engine/aggregates/value_bytes.h"

namespace twinspan::engine {

namespace {

struct Values {
  struct Block {
    Bag bag;
  };
  static void add(Block& b, const AggregateRow& r) {
    ValueBytes bytes;
    b.bag.add(bytes.of(*r.x, r.row), 1, r.memory);
  }
  static void remove(Block& b, const AggregateRow& r) {
    ValueBytes bytes;
    b.bag.add(bytes.of(*r.x, r.row), -1, r.memory);
  }
  static void merge(const AggregateSpec&, const Block& from, Block& into, BlockMemory& memory) {
    into.bag.merge(from.bag, memory);
  }
  static bool finish(const AggregateSpec& spec, const Block& b, const AggregateCell& cell) {
    if (spec.function == AggregateFunction::count) return cell.put(b.bag.present());
    if (b.bag.present() == 0) return cell.null();
    return ValueBytes::put(spec.function == AggregateFunction::min ? b.bag.first() : b.bag.last(), cell);
  }
  static void release(Block& b, BlockMemory& memory) { b.bag.release(memory); }
  static void save(const AggregateSpec&, const Block& b, std::string& to) {
    append_raw(to, b.bag.entries());
    b.bag.for_each([&](std::string_view entry, std::int64_t count) {
      append_raw(to, count);
      append_raw(to, static_cast<std::uint32_t>(entry.size()));
      to.append(entry);
    });
  }
  static bool load(const AggregateSpec& spec, std::string_view& from, Block& b, BlockMemory& memory) {
    std::int64_t entries = 0;
    if (!take_raw(from, entries)) return false;
    for (std::int64_t i = 0; i < entries; ++i) {
      std::int64_t count = 0;
      std::uint32_t size = 0;
      std::string_view entry;
      if (!take_raw(from, count) || !take_raw(from, size) || !take_bytes(from, size, entry)) return false;
      if (count == 0 || !ValueBytes::well_formed(spec.argument_type, entry)) return false;
      b.bag.add(entry, count, memory);
    }
    return entries >= 0 && b.bag.entries() == entries;  // an entry that is there twice is damage
  }
};

}  // namespace

const AggregateKernel& bag_kernel(const AggregateSpec&) { return kernel_of<Values>(); }

}  // namespace twinspan::engine

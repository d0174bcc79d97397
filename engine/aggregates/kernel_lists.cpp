// string_agg and array_agg: the first values by event time, up to a limit.

#include "engine/aggregates/kernel.h"
#include "engine/aggregates/value_bytes.h"
#include "engine/aggregates/value_list.h"

namespace twinspan::engine {

namespace {

struct List {
  struct Block {
    ValueList list;
  };
  static ListLimits limits(const AggregateSpec& spec) {
    return {static_cast<std::uint32_t>(spec.parameters.number), kListBytes, spec.distinct};
  }
  static void add(Block& b, const AggregateRow& r) {
    ValueBytes bytes;
    b.list.add(r.time[r.row], bytes.of(*r.x, r.row), limits(r.spec), r.memory);
  }
  static void merge(const AggregateSpec& spec, const Block& from, Block& into, BlockMemory& memory) {
    into.list.merge(from.list, limits(spec), memory);
  }
  static bool finish(const AggregateSpec& spec, const Block& b, const AggregateCell& cell) {
    if (b.list.size() == 0) return cell.null();
    if (spec.function == AggregateFunction::array_agg) {
      ArrayBuilder list(spec.argument_type);
      b.list.for_each([&](std::string_view bytes) {
        alignas(16) char value[16];
        ValueBytes::load(spec.argument_type, bytes, value);
        list.add(value);
      });
      return cell.text(list.finish());
    }
    std::string out;
    bool first = true;
    b.list.for_each([&](std::string_view text) {
      if (!first) out += spec.parameters.text;
      first = false;
      out += text;
    });
    return cell.text(out);
  }
  static void release(Block& b, BlockMemory& memory) { b.list.release(memory); }
  static void save(const AggregateSpec&, const Block& b, std::string& to) { b.list.save(to); }
  static bool load(const AggregateSpec& spec, std::string_view& from, Block& b, BlockMemory& memory) {
    if (!b.list.load(from, limits(spec), memory)) return false;
    bool good = true;
    b.list.for_each([&](std::string_view v) { good &= ValueBytes::well_formed(spec.argument_type, v); });
    return good;
  }
};

}  // namespace

const AggregateKernel& list_kernel() { return kernel_of<List>(); }

}  // namespace twinspan::engine

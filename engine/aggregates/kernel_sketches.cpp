// approx_count_distinct, percentile, top_k: an approximation in bounded memory.

#include <xxhash.h>

#include "engine/aggregates/hyperloglog.h"
#include "engine/aggregates/kernel.h"
#include "engine/aggregates/quantile_sketch.h"
#include "engine/aggregates/space_saving.h"
#include "engine/aggregates/value_bytes.h"

namespace twinspan::engine {

namespace {

// Mixes all bits, one to one (Steele, Lea, Flood: SplitMix, 2014), so that values of eight bytes never collide.
std::uint64_t mix(std::uint64_t v) {
  v += 0x9E3779B97F4A7C15ull;
  v = (v ^ (v >> 30)) * 0xBF58476D1CE4E5B9ull;
  v = (v ^ (v >> 27)) * 0x94D049BB133111EBull;
  return v ^ (v >> 31);
}

struct ApproxCountDistinct {
  struct Block {
    HyperLogLog sketch;
  };
  static std::uint64_t prepare(const Block& b, const AggregateRow& r) {
    const std::uint64_t h = hash(r);
    b.sketch.prefetch(h);
    return h;
  }
  static void add(Block& b, const AggregateRow& r, std::uint64_t hash) { b.sketch.add(hash, r.memory); }
  static std::uint64_t hash(const AggregateRow& r) {
    switch (r.x->type.kind) {
      case TypeKind::string:
      case TypeKind::bytes: {
        const auto s = r.value<std::string_view>();
        return XXH3_64bits_withSeed(s.data(), s.size(), kSeed);
      }
      case TypeKind::decimal: return XXH3_64bits_withSeed(&r.x->as<Decimal>()[r.row], sizeof(Decimal), kSeed);
      case TypeKind::null:
      case TypeKind::boolean: return mix(r.value<std::uint8_t>());
      case TypeKind::float64: return mix(std::bit_cast<std::uint64_t>(canonical(r.value<double>())));
      default: return mix(r.value<std::uint64_t>());
    }
  }
  static void merge(const AggregateSpec&, const Block& from, Block& into, BlockMemory& memory) {
    into.sketch.merge(from.sketch, memory);
  }
  static bool finish(const AggregateSpec&, const Block& b, const AggregateCell& cell) {
    return cell.put(static_cast<std::int64_t>(std::llround(b.sketch.estimate())));
  }
  static void release(Block& b, BlockMemory& memory) { b.sketch.release(memory); }
  static void save(const AggregateSpec&, const Block& b, std::string& to) { b.sketch.save(to); }
  static bool load(const AggregateSpec&, std::string_view& from, Block& b, BlockMemory& memory) {
    return b.sketch.load(from, memory);
  }

 private:
  static constexpr std::uint64_t kSeed = 0x7477'696E;  // shards are chosen by the hash without one
};

struct Percentile {
  struct Block {
    QuantileSketch sketch;
  };
  static double value(const AggregateRow& r) {
    switch (r.x->type.kind) {
      case TypeKind::float64: return r.value<double>();
      case TypeKind::decimal: return static_cast<double>(r.value<Decimal>());  // unscaled: the scale comes last
      default: return static_cast<double>(r.value<std::int64_t>());
    }
  }
  static void add(Block& b, const AggregateRow& r) { b.sketch.add(value(r), 1, r.memory); }
  static void remove(Block& b, const AggregateRow& r) { b.sketch.add(value(r), -1, r.memory); }
  static void merge(const AggregateSpec&, const Block& from, Block& into, BlockMemory& memory) {
    into.sketch.merge(from.sketch, memory);
  }
  static bool finish(const AggregateSpec& spec, const Block& b, const AggregateCell& cell) {
    if (b.sketch.total() <= 0) return cell.null();
    double v = b.sketch.quantile(spec.parameters.fraction);
    if (cell.type.kind == TypeKind::duration)  // beyond int64 by rounding at its very end
      return v >= 0x1p63    ? cell.put(std::numeric_limits<std::int64_t>::max())
             : v <= -0x1p63 ? cell.put(std::numeric_limits<std::int64_t>::min())
                            : cell.put(static_cast<std::int64_t>(std::llround(v)));
    for (unsigned i = 0; i < spec.argument_type.scale; ++i) v /= 10;
    return cell.put(v);
  }
  static void release(Block& b, BlockMemory& memory) { b.sketch.release(memory); }
  static void save(const AggregateSpec&, const Block& b, std::string& to) { b.sketch.save(to); }
  static bool load(const AggregateSpec&, std::string_view& from, Block& b, BlockMemory& memory) {
    return b.sketch.load(from, memory);
  }
};

struct TopK {
  struct Block {
    SpaceSaving counters;
  };
  static void add(Block& b, const AggregateRow& r) {
    ValueBytes bytes;
    b.counters.add(bytes.of(*r.x, r.row), top_k_counters(r.spec.parameters.number), r.memory);
  }
  static void merge(const AggregateSpec& spec, const Block& from, Block& into, BlockMemory& memory) {
    into.counters.merge(from.counters, top_k_counters(spec.parameters.number), memory);
  }
  static bool finish(const AggregateSpec& spec, const Block& b, const AggregateCell& cell) {
    const DataType row = types::element(cell.type);
    ArrayBuilder list(row);
    RowBuilder one(*row.info);
    for (const auto& c : b.counters.top(static_cast<std::size_t>(spec.parameters.number))) {
      alignas(16) char value[16];
      ValueBytes::load(spec.argument_type, c.value, value);
      one.clear();
      one.set(0, value);
      one.set(1, &c.count);
      one.set(2, &c.error);
      const std::string_view packed = one.finish();
      list.add(&packed);
    }
    return cell.text(list.finish());
  }
  static void release(Block& b, BlockMemory& memory) { b.counters.release(memory); }
  static void save(const AggregateSpec&, const Block& b, std::string& to) { b.counters.save(to); }
  static bool load(const AggregateSpec& spec, std::string_view& from, Block& b, BlockMemory& memory) {
    if (!b.counters.load(from, top_k_counters(spec.parameters.number), memory)) return false;
    bool good = true;
    b.counters.for_each([&](const auto& c) { good &= ValueBytes::well_formed(spec.argument_type, c.value); });
    return good;
  }
};

}  // namespace

const AggregateKernel& approx_count_distinct_kernel() { return kernel_of<ApproxCountDistinct>(); }
const AggregateKernel& percentile_kernel() { return kernel_of<Percentile>(); }
const AggregateKernel& top_k_kernel() { return kernel_of<TopK>(); }

}  // namespace twinspan::engine

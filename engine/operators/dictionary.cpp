#include "engine/operators/dictionary.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <xxhash.h>

#include "engine/base/result.h"

namespace twinspan::engine {

void Dictionary::identify(const Column& c, const std::uint32_t* rows, std::uint32_t n, Identity* out) {
  auto hashed = [](const void* p, std::size_t size) {
    const XXH128_hash_t h = XXH3_128bits(p, size);
    return Identity{h.low64, static_cast<std::uint32_t>(h.high64)};
  };
  switch (c.type.kind) {
    case TypeKind::string:
    case TypeKind::bytes:
      for (std::uint32_t i = 0; i < n; ++i) {
        const std::string_view s = c.as<std::string_view>()[rows[i]];
        out[i] = hashed(s.data(), s.size());
      }
      return;
    case TypeKind::decimal:
      for (std::uint32_t i = 0; i < n; ++i) out[i] = hashed(&c.as<Decimal>()[rows[i]], sizeof(Decimal));
      return;
    case TypeKind::null:
    case TypeKind::boolean:
      for (std::uint32_t i = 0; i < n; ++i) out[i] = {c.as<std::uint8_t>()[rows[i]], 0};
      return;
    case TypeKind::float64:
      for (std::uint32_t i = 0; i < n; ++i) {  // one zero and one NaN, as everywhere (state/row_codec.h)
        double d = c.as<double>()[rows[i]];
        d = std::isnan(d) ? std::numeric_limits<double>::quiet_NaN() : d == 0 ? 0.0 : d;
        out[i] = {};
        std::memcpy(&out[i].a, &d, sizeof d);
      }
      return;
    default:
      for (std::uint32_t i = 0; i < n; ++i) out[i] = {static_cast<std::uint64_t>(c.as<std::int64_t>()[rows[i]]), 0};
  }
}

void Dictionary::find_or_add(const Identity* values, std::uint32_t n, std::uint32_t* ids) {
  for (std::uint32_t from = 0; from < n; from += kGroup) {
    const std::uint32_t to = std::min(n, from + kGroup);
    for (std::uint32_t i = from; i < to; ++i) now_->table.prefetch(mix(values[i].a));
    for (std::uint32_t i = from; i < to; ++i) {
      const Identity& v = values[i];
      const std::uint64_t hash = mix(v.a);
      auto same = [&](const Slot& s) { return s.a == v.a && s.b == v.b; };
      const Slot* s = now_->table.find(hash, same);
      if (s == nullptr) [[unlikely]] {
        const Slot* old = before_->table.find(hash, same);
        if (old == nullptr) TS_CHECK(next_ < std::numeric_limits<std::uint32_t>::max());
        const Slot added{v.a, v.b, old != nullptr ? old->id_plus_1 : ++next_};
        now_->table.insert(added);
        ids[i] = added.id_plus_1 - 1;
        continue;
      }
      ids[i] = s->id_plus_1 - 1;
    }
  }
}

void Dictionary::turn() {
  before_ = std::move(now_);
  now_ = std::make_unique<Generation>();
  ++generation_;
}

std::uint32_t Dictionary::restore(const Identity& value, std::uint32_t id, bool id_is_free) {
  auto same = [&](const Slot& s) { return s.a == value.a && s.b == value.b; };
  if (const Slot* s = now_->table.find(mix(value.a), same)) return s->id_plus_1 - 1;
  if (!id_is_free) id = next_;
  next_ = std::max(next_, id + 1);
  now_->table.insert({value.a, value.b, id + 1});
  return id;
}

}  // namespace twinspan::engine

#pragma once
// The values of one count(DISTINCT) of one group, by themselves or by 96 bits of their hash (dictionary.h): what merges
// when panes or sessions do. Grows only. Owned by a window operator. Thread: shard.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "engine/operators/dictionary.h"
#include "engine/operators/pane_probe.h"

namespace twinspan::engine {

class IdentitySet {
 public:
  // false: it was there.
  bool add(const Dictionary::Identity& v) {
    const Slot slot{v.a, v.b, 1};
    if (table_.find(slot.hash(), [&](const Slot& s) { return s.a == v.a && s.b == v.b; }) != nullptr) return false;
    table_.insert(slot);
    return true;
  }
  void merge(const IdentitySet& from) {
    from.table_.for_each([&](const Slot& s) { add({s.a, s.b}); });
  }
  std::size_t size() const { return table_.size(); }
  std::size_t bytes() const { return table_.bytes(); }

  void save(std::string& to) const {
    const auto n = static_cast<std::uint32_t>(size());
    to.append(reinterpret_cast<const char*>(&n), sizeof n);
    table_.for_each([&](const Slot& s) { to.append(reinterpret_cast<const char*>(&s), kSaved); });
  }
  bool load(std::string_view& from) {  // false: not what save wrote
    std::uint32_t n = 0;
    if (from.size() < sizeof n) return false;
    std::memcpy(&n, from.data(), sizeof n);
    from.remove_prefix(sizeof n);
    if (from.size() / kSaved < n) return false;
    for (std::uint32_t i = 0; i < n; ++i, from.remove_prefix(kSaved)) {
      Dictionary::Identity v;
      std::memcpy(&v.a, from.data(), sizeof v.a);
      std::memcpy(&v.b, from.data() + sizeof v.a, sizeof v.b);
      add(v);
    }
    return true;
  }

 private:
  static constexpr std::size_t kSaved = 12;
  struct Slot {
    std::uint64_t a;
    std::uint32_t b;
    std::uint32_t used;
    bool empty() const { return used == 0; }
    std::uint64_t hash() const {
      const std::uint64_t h = (a ^ b) * 0x9E3779B97F4A7C15ull;
      return h ^ (h >> 32);
    }
  };
  ProbeTable<Slot> table_;
};

}  // namespace twinspan::engine

#pragma once
// The small types that specs are made of. Plain values; owned by the spec. Thread: any.

#include "config/secret.h"
#include "config/source_text.h"
#include "config/units.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace twinspan::config {

class ObjectTable;

using Text = Located<std::string>;

// A name that the user chose or refers to.
struct Id : Text {
  using Text::Text;
};

// SQL expression text. An error inside it: `Diagnostics::error_at(expression, byte offset, bytes, code, message,
// hint)`.
struct Expression : Text {
  using Text::Text;
};

// A map in the order of the file. Where keys are ids (IdMap) they match [a-z][a-z0-9_]{0,63}; else (NameMap) they are
// any text, such as column names.
template <class T>
struct NamedMap {
  struct Entry {
    Id name;
    T value;
    std::size_t end = 0;  // byte offset past the last value inside
  };
  std::vector<Entry> entries;

  const T* find(std::string_view name) const {
    for (const Entry& entry : entries) {
      if (entry.name.value == name) return &entry.value;
    }
    return nullptr;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const Entry& entry : entries) all.push_back(entry.name.value);
    return all;
  }
  auto begin() const { return entries.begin(); }
  auto end() const { return entries.end(); }
  auto begin() { return entries.begin(); }
  auto end() { return entries.end(); }
  std::size_t size() const { return entries.size(); }
  bool empty() const { return entries.empty(); }
};

template <class T>
struct IdMap : NamedMap<T> {};
template <class T>
struct NameMap : NamedMap<T> {};

}  // namespace twinspan::config

#include "config/suggest.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace twinspan::config {

namespace {

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(now);
  }
  return last[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view written, const std::vector<std::string>& names) {
  if (written.size() > 100) return {};
  std::size_t best = std::numeric_limits<std::size_t>::max();
  const std::string* found = nullptr;
  for (const std::string& name : names) {
    const std::size_t d = distance(written, name);
    if (d < best) {
      best = d;
      found = &name;
    }
  }
  const std::size_t limit = std::max<std::size_t>(1, written.size() / 3);
  return found != nullptr && best <= limit ? *found : std::string();
}

std::string suggestion(std::string_view written, const std::vector<std::string>& names) {
  if (const std::string near = nearest_name(written, names); !near.empty())
    return fmt::format("did you mean '{}'?", near);
  if (names.empty() || names.size() > 24) return {};
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return "known here: " + list;
}

}  // namespace twinspan::config

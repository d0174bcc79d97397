#include "gateway/demo/result_table.h"

#include <cstdlib>
#include <optional>

#include <boost/json.hpp>

#include <fmt/format.h>

#include "admin/time_text.h"

namespace twinspan::gateway {

namespace json = boost::json;

namespace {

std::optional<std::int64_t> time_of(const json::value* v) {
  if (v == nullptr) return std::nullopt;
  if (v->is_int64()) return v->as_int64();
  if (v->is_string()) return admin::parse_timestamp(std::string_view(v->as_string()));
  return std::nullopt;
}

std::int64_t count_of(const json::object& o, const char* name) {
  const json::value* v = o.if_contains(name);
  return v != nullptr && v->is_int64() ? v->as_int64() : 0;
}

std::string text_of(const json::object& o, const char* name) {
  const json::value* v = o.if_contains(name);
  if (v == nullptr || v->is_null()) return "-";
  return v->is_string() ? std::string(v->as_string()) : json::serialize(*v);
}

std::string amount_of(const json::object& o, const char* name) {
  const json::value* v = o.if_contains(name);
  boost::system::error_code not_a_number;
  const double amount = v != nullptr ? v->to_number<double>(not_a_number) : 0;
  return v == nullptr || not_a_number ? text_of(o, name) : fmt::format("{:.2f}", amount);
}

}  // namespace

ResultTable::Outcome ResultTable::add(const std::string& cluster, const ResultRecord& record) {
  if (!record.identity.empty() && !identities_.emplace(record.identity).second) {
    ++sum_.repeats;
    return Outcome::repeat;
  }
  ++sum_.records;
  ++sum_.by_cluster[cluster];
  boost::system::error_code error;
  const json::value parsed = json::parse(record.value, error);
  const json::object* o = error ? nullptr : parsed.if_object();
  const auto end = o == nullptr ? std::nullopt : time_of(o->if_contains("window_end"));
  if (!end) {
    ++sum_.unreadable;
    return Outcome::unreadable;
  }
  ResultRow row;
  row.uv = count_of(*o, "uv");
  row.click_uv = count_of(*o, "click_uv");
  row.spend = amount_of(*o, "spend");
  row.cluster = cluster;
  row.final = record.final;
  const std::size_t slash = record.identity.rfind('/');
  if (slash != std::string_view::npos)
    row.sequence = std::strtoull(std::string(record.identity.substr(slash + 1)).c_str(), nullptr, 10);

  const std::string region = text_of(*o, "region");
  sum_.regions.insert(region);
  if (sum_.windows.empty() || *end > sum_.windows.rbegin()->first) ++sum_.windows_seen;
  ResultSummary::Window& window = sum_.windows[*end];
  auto [place, added] = window.try_emplace(region, row);
  if (!added) {
    if (row.sequence < place->second.sequence) return Outcome::older;
    row.updates = place->second.updates + 1;
    place->second = std::move(row);
    ++sum_.updates;
  }
  while (sum_.windows.size() > kWindows) sum_.windows.erase(sum_.windows.begin());
  return added ? Outcome::added : Outcome::updated;
}

}  // namespace twinspan::gateway

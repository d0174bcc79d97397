#include "tests/support/reference.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <stdexcept>

namespace twinspan::testing {
namespace {

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kDay = 24 * 60 * kMinute;
constexpr std::int64_t kShanghai = 8 * 60 * kMinute;  // ahead of UTC, all year
constexpr std::int64_t kClickWithin = 10 * kMinute;

std::string tidy(const std::string& region) {
  std::string out;
  for (char c : region) {
    if (c != ' ') out += (c >= 'a' && c <= 'z') ? static_cast<char>(c - 32) : c;
  }
  return out;
}

std::string time_text(std::int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string decimal_text(std::int64_t e4) {
  char text[40];
  std::snprintf(text, sizeof text, "%lld.%04lld", static_cast<long long>(e4 / 10'000),
                static_cast<long long>(e4 % 10'000));
  return text;
}

// "12.5" -> "12.5000"; whole numbers get digits only where the field is a decimal.
std::string with_four_digits(std::string number) {
  if (number.find('.') == std::string::npos) number += '.';
  while (number.size() - number.find('.') <= 4) number += '0';
  return number;
}

std::vector<Event> valid_impressions(const std::vector<Event>& events) {
  std::vector<Event> valid;
  for (const Event& e : events) {
    if (e.decodes && e.stream == Event::Stream::impression && e.device_id && e.price_e4 >= 0) valid.push_back(e);
  }
  return valid;
}

bool has_click(const Event& impression, const std::vector<Event>& events) {
  for (const Event& e : events) {
    if (e.decodes && e.stream == Event::Stream::click && e.device_id == impression.device_id &&
        e.ad_id == impression.ad_id && e.ts - impression.ts >= 0 && e.ts - impression.ts <= kClickWithin) {
      return true;
    }
  }
  return false;
}

std::int64_t minute_end(std::int64_t ts) { return (ts / kMinute + 1) * kMinute; }

}  // namespace

Results reference_uv(const std::vector<Event>& events) {
  struct Row {
    Event impression;
    bool clicked;
  };
  std::vector<Row> rows;
  for (const Event& i : valid_impressions(events)) rows.push_back({i, has_click(i, events)});

  std::set<std::pair<std::string, std::int64_t>> windows;  // region, end
  for (const Row& row : rows) windows.emplace(tidy(row.impression.region), minute_end(row.impression.ts));

  Results results;
  for (const auto& [region, end] : windows) {
    const std::int64_t start = (end - 1 + kShanghai) / kDay * kDay - kShanghai;
    std::set<std::string> devices, clicked;
    std::int64_t spend = 0;
    for (const Row& row : rows) {
      if (tidy(row.impression.region) != region || row.impression.ts < start || row.impression.ts >= end) continue;
      devices.insert(*row.impression.device_id);
      if (row.clicked) clicked.insert(*row.impression.device_id);
      spend += row.impression.price_e4;
    }
    results[{region, time_text(start), time_text(end)}] = "click_uv=" + std::to_string(clicked.size()) +
                                                          " spend=" + decimal_text(spend) +
                                                          " uv=" + std::to_string(devices.size());
  }
  return results;
}

Results reference_views(const std::vector<Event>& events) {
  const std::vector<Event> impressions = valid_impressions(events);
  Results results;
  for (const Event& of : impressions) {
    const std::int64_t end = minute_end(of.ts);
    const ResultKey key{tidy(of.region), time_text(end - kMinute), time_text(end)};
    if (results.contains(key)) continue;
    std::set<std::string> devices;
    int views = 0;
    for (const Event& e : impressions) {
      if (tidy(e.region) != key.region || minute_end(e.ts) != end) continue;
      devices.insert(*e.device_id);
      ++views;
    }
    results[key] = "devices=" + std::to_string(devices.size()) + " views=" + std::to_string(views);
  }
  return results;
}

std::vector<Event> events_in_topics(const std::vector<Event>& written, const std::vector<std::vector<Record>>& topics) {
  std::map<std::string, const Event*> by_id;
  for (const Event& event : written) by_id[event.id] = &event;
  std::vector<Event> events;
  for (const std::vector<Record>& records : topics) {
    for (const Record& record : records) {
      const auto found = by_id.find(record.key.value_or(""));
      if (found == by_id.end() || found->second->json != record.value) {
        throw std::runtime_error("a source topic holds a record nobody wrote: " + record.value.value_or("<null>"));
      }
      events.push_back(*found->second);
    }
  }
  return events;
}

std::map<std::string, std::string> flat_json(const std::string& text) {
  std::map<std::string, std::string> fields;
  std::size_t at = 0;
  const auto refuse = [&]() { throw std::runtime_error("not a flat JSON object: " + text); };
  const auto expect = [&](char c) {
    if (at >= text.size() || text[at] != c) refuse();
    ++at;
  };
  const auto string = [&] {
    expect('"');
    const std::size_t end = text.find('"', at);
    if (end == std::string::npos || text.substr(at, end - at).find('\\') != std::string::npos) refuse();
    const std::string value = text.substr(at, end - at);
    at = end + 1;
    return value;
  };
  expect('{');
  while (true) {
    const std::string name = string();
    expect(':');
    if (at < text.size() && text[at] == '"') {
      fields[name] = string();
    } else {
      const std::size_t end = text.find_first_of(",}", at);
      if (end == std::string::npos || end == at) refuse();
      fields[name] = text.substr(at, end - at);
      at = end;
    }
    if (at < text.size() && text[at] == '}') break;
    expect(',');
  }
  if (at + 1 != text.size()) refuse();
  return fields;
}

Identity parse_identity(const std::string& text) {
  // Unit and sink may not contain '/', so the last two parts are what they seem.
  const std::size_t last = text.rfind('/'), before = last == std::string::npos ? last : text.rfind('/', last - 1);
  const std::size_t dot = before == std::string::npos ? before : text.find('.', before);
  if (dot == std::string::npos || dot > last) throw std::runtime_error("not an identity: '" + text + "'");
  Identity identity;
  const auto number = [&](std::size_t from, std::size_t to, std::uint64_t& into) {
    const auto [end, error] = std::from_chars(text.data() + from, text.data() + to, into);
    if (error != std::errc() || end != text.data() + to) throw std::runtime_error("not an identity: '" + text + "'");
  };
  number(before + 1, dot, identity.incarnation);
  number(last + 1, text.size(), identity.sequence);
  identity.writer = text.substr(0, before) + "#" + text.substr(dot + 1, last - dot - 1);
  return identity;
}

namespace {

// Everything a resend must keep.
std::string bytes_of(const Record& record) {
  std::string bytes = record.key.value_or("<null>") + "\n" + record.value.value_or("<null>") + "\n";
  for (const auto& [name, value] : record.headers) bytes += name + "=" + value.value_or("<null>") + "\n";
  return bytes + std::to_string(record.timestamp_ms);
}

std::pair<ResultKey, std::string> parse_result(const Record& record) {
  std::map<std::string, std::string> fields = flat_json(record.value.value_or(""));
  ResultKey key{fields.at("region"), fields.at("window_start"), fields.at("window_end")};
  std::string value;
  for (const auto& [name, text] : fields) {
    if (name == "region" || name == "window_start" || name == "window_end") continue;
    value += (value.empty() ? "" : " ") + name + "=" + (name == "spend" ? with_four_digits(text) : text);
  }
  return {key, value};
}

}  // namespace

Folded fold(const std::vector<std::vector<Record>>& clusters) {
  Folded out;
  std::map<Identity, Record> distinct;
  for (const std::vector<Record>& records : clusters) {
    for (const Record& record : records) {
      const Bytes id = record.header("twinspan-id");
      if (!id) {
        out.problems.push_back("a record without identity: " + record.value.value_or("<null>"));
        continue;
      }
      const auto [at, added] = distinct.emplace(parse_identity(*id), record);
      if (added) continue;
      ++out.repeats;
      if (bytes_of(at->second) != bytes_of(record)) out.problems.push_back("two different records are both " + *id);
    }
  }
  out.records = distinct.size();

  struct Last {
    Identity identity;
    std::string value;
  };
  std::map<ResultKey, Last> last;
  for (const auto& [identity, record] : distinct) {
    const auto [key, value] = parse_result(record);
    const Bytes op = record.header("twinspan-op");
    const bool provisional = record.header("twinspan-final") == "false";
    if (op == "+U")
      ++out.updates;
    else if (op && op != "+I")
      out.problems.push_back("op " + *op + " in an accumulating window: " + *record.value);
    if (provisional) ++out.provisional;
    const auto at = last.find(key);
    // A restart counts on from the checkpoint, so a later incarnation knows more. A key stays with its shard.
    const auto order = [](const Identity& i) { return std::pair(i.incarnation, i.sequence); };
    if (at != last.end() && at->second.identity.incarnation == identity.incarnation &&
        at->second.identity.writer != identity.writer) {
      out.problems.push_back("two writers of one key: " + *record.value);
    }
    if (at == last.end() || order(at->second.identity) < order(identity)) last[key] = {identity, value};
  }
  for (const auto& [key, entry] : last) {
    out.results[key] = entry.value;
  }
  return out;
}

}  // namespace twinspan::testing

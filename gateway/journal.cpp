#include "gateway/journal.h"

#include <fmt/format.h>
#include <boost/json.hpp>

namespace twinspan::gateway {

namespace json = boost::json;

namespace {

json::object lane_json(const connectors::LaneKey& lane) {
  return {{"cluster", lane.cluster}, {"topic", lane.topic}, {"partition", lane.partition}};
}

connectors::LaneKey lane_of(const json::value& v) {
  return {std::string(v.at("cluster").as_string()), std::string(v.at("topic").as_string()),
          v.at("partition").to_number<std::int32_t>()};
}

}  // namespace

Status JournalFile::open(const std::function<void(std::string_view)>& visit) {
  good_ = 0;
  torn_ = false;
  if (!files_.exists(path_)) return ok();
  TS_TRY(bytes, files_.read(path_));
  std::size_t number = 0;
  while (good_ < bytes.size()) {
    const std::size_t end = bytes.find('\n', good_);
    if (end == std::string::npos) break;
    ++number;
    try {
      visit(std::string_view(bytes).substr(good_, end - good_));
    } catch (const std::exception& e) {
      // The tail of a write that a crash cut off may be followed by later whole lines only if the disk lied.
      if (bytes.find('\n', end + 1) != std::string::npos)
        return permanent_error(fmt::format("'{}' line {} cannot be read: {}", path_, number, e.what()));
      break;
    }
    good_ = end + 1;
  }
  torn_ = good_ < bytes.size();
  return ok();
}

Status JournalFile::append(const std::string& lines) {
  if (torn_) TS_TRYV(cut_off_rest());
  torn_ = true;
  TS_TRYV(files_.append_and_sync(path_, lines));
  torn_ = false;
  good_ += lines.size();
  return ok();
}

Status JournalFile::cut_off_rest() {
  if (!files_.exists(path_)) return ok();
  TS_TRY(bytes, files_.read(path_));
  const std::size_t slash = path_.rfind('/');
  return engine::replace_file(files_, path_.substr(0, slash), path_.substr(slash + 1),
                              std::string_view(bytes).substr(0, good_));
}

Status OperationLog::open() {
  operations_.clear();
  return file_.open([&](std::string_view line) {
    const json::value v = json::parse(line);
    DiscardOperation o;
    o.id = v.at("id").to_number<std::uint64_t>();
    o.plan = std::string(v.at("plan").as_string());
    o.reason = std::string(v.at("reason").as_string());
    o.target.kind = static_cast<connectors::DiscardTarget::Kind>(v.at("target").to_number<int>());
    o.target.ms = v.at("target_ms").to_number<std::int64_t>();
    o.at_ms = v.at("at").to_number<std::int64_t>();
    for (const auto& c : v.at("cuts").as_array()) {
      connectors::LaneCut cut;
      cut.lane = lane_of(c);
      cut.reachable = c.at("reachable").as_bool();
      cut.from = c.at("from").to_number<std::int64_t>();
      cut.to = c.at("to").to_number<std::int64_t>();
      cut.cut_time_ms = c.at("cut_time").to_number<std::int64_t>();
      cut.cut_offset = c.at("cut_offset").to_number<std::int64_t>();
      cut.by_time = c.at("by_time").as_bool();
      o.cuts.emplace_back(std::string(c.at("source").as_string()), cut);
    }
    operations_.push_back(std::move(o));
  });
}

Status OperationLog::append(const DiscardOperation& o) {
  json::array cuts;
  for (const auto& [source, cut] : o.cuts) {
    json::object c = lane_json(cut.lane);
    c["source"] = source;
    c["reachable"] = cut.reachable;
    c["from"] = cut.from;
    c["to"] = cut.to;
    c["cut_time"] = cut.cut_time_ms;
    c["cut_offset"] = cut.cut_offset;
    c["by_time"] = cut.by_time;
    cuts.push_back(std::move(c));
  }
  const json::object line{{"id", o.id},
                          {"plan", o.plan},
                          {"reason", o.reason},
                          {"target", static_cast<int>(o.target.kind)},
                          {"target_ms", o.target.ms},
                          {"at", o.at_ms},
                          {"cuts", std::move(cuts)}};
  TS_TRYV(file_.append(json::serialize(line) + "\n"));
  operations_.push_back(o);
  return ok();
}

Status Ledger::open() {
  entries_.clear();
  last_epoch_ = last_lines_ = 0;
  return file_.open([&](std::string_view line) {
    const json::value v = json::parse(line);
    Entry e;
    e.epoch = Epoch(v.at("epoch").to_number<std::uint64_t>());
    e.at_ms = v.at("at").to_number<std::int64_t>();
    e.range = {std::string(v.at("source").as_string()), lane_of(v), v.at("from").to_number<std::int64_t>(),
               v.at("to").to_number<std::int64_t>(), std::string(v.at("why").as_string())};
    count(e.epoch);
    entries_.push_back(std::move(e));
  });
}

void Ledger::count(Epoch epoch) {
  if (epoch.value > last_epoch_) last_lines_ = 0;
  if (epoch.value >= last_epoch_) ++last_lines_;
  last_epoch_ = std::max(last_epoch_, epoch.value);
}

Status Ledger::append(Epoch epoch, const std::vector<SkippedRange>& ranges, std::int64_t wall_ms) {
  if (epoch.value < last_epoch_) return ok();
  // A crash may have left the first lines of the epoch alone.
  const std::size_t there = epoch.value == last_epoch_ ? last_lines_ : 0;
  if (there >= ranges.size()) return ok();
  std::string lines;
  for (std::size_t index = there; index < ranges.size(); ++index) {
    const SkippedRange& r = ranges[index];
    json::object line = lane_json(r.lane);
    line["epoch"] = epoch.value;
    line["index"] = index;
    line["at"] = wall_ms;
    line["source"] = r.source;
    line["from"] = r.from;
    line["to"] = r.to;
    line["why"] = r.why;
    lines += json::serialize(line) + "\n";
  }
  TS_TRYV(file_.append(lines));
  for (std::size_t index = there; index < ranges.size(); ++index) {
    entries_.push_back({epoch, wall_ms, ranges[index]});
    count(epoch);
  }
  return ok();
}

}  // namespace twinspan::gateway

#include "gateway/driver/test_runner.h"

#include <algorithm>
#include <chrono>
#include <map>

#include <fmt/format.h>

#include "engine/base/types.h"
#include "gateway/driver/pipeline_driver.h"
#include "gateway/driver/row_match.h"
#include "gateway/driver/test_rows.h"

namespace twinspan::gateway {

using config::Node;
using config::TestSpec;
using config::TestStep;

namespace {

constexpr std::size_t kMostShown = 8;  // complaints of one expectation

config::Position position_of(const config::Origin& origin) {
  return origin ? origin.source->position(origin.begin) : config::Position{};
}

std::string time_text(EventTime t) { return t == kMinTime ? "none" : timestamp_to_string(t); }

std::string describe(const RowComplaint& c) {
  if (c.expected == nullptr) return fmt::format("    nobody expected  {}\n", to_string(*c.actual));
  const int line = position_of(c.expected->origin).line;
  if (c.actual == nullptr) return fmt::format("    missing          {}   (line {})\n", flow_text(*c.expected), line);
  const std::string where = fmt::format("line {}", line);
  std::size_t name = where.size(), expected = std::string_view("expected").size();
  for (const RowDifference& f : c.fields) {
    name = std::max(name, config::count_characters(f.field));
    expected = std::max(expected, config::count_characters(f.expected));
  }
  const auto pad = [](const std::string& text, std::size_t width) {
    const std::size_t is = config::count_characters(text);
    return text + std::string(width > is ? width - is : 0, ' ');
  };
  std::string out = fmt::format("      {}   {}   actual\n", pad(where, name), pad("expected", expected));
  for (const RowDifference& f : c.fields)
    out += fmt::format("    {} {}   {}   {}\n", f.equal ? " " : "*", pad(f.field, name), pad(f.expected, expected),
                       f.actual);
  std::string rest;
  for (const auto& [field, value] : c.actual->fields) {
    if (field.starts_with('_') || std::any_of(c.fields.begin(), c.fields.end(),
                                              [&, &field = field](const RowDifference& f) { return f.field == field; }))
      continue;
    rest += fmt::format("{}{}: {}", rest.empty() ? "" : ", ", field, to_string(value));
  }
  if (!rest.empty()) out += fmt::format("      beside them: {}\n", rest);
  return out;
}

struct Letter {
  std::string stage, origin, reason, payload;
};

class Run {
 public:
  Run(const config::PipelineSpec& spec, const TestSpec& test, const TestVariant& variant)
      : spec_(spec),
        test_(test),
        variant_(variant),
        driver_(spec, {variant.shards.value_or(static_cast<unsigned>(test.shards.value_or(1))), variant.batch,
                       first_clock()}) {}

  std::vector<TestFailure> run() {
    for (const TestStep& step : test_.steps) {
      for (const config::LaneName& l : step.send_lanes) driver_.add_partition(l.source, l.cluster, l.partition);
      for (const config::LaneName& l : step.watermark_lanes)
        if (l.has_partition) driver_.add_partition(l.source, l.cluster, l.partition);
      if (step.is("idle"))
        driver_.add_partition(step.idle_lane.source, step.idle_lane.cluster, step.idle_lane.partition);
    }
    if (!check(driver_.start(), test_.name.origin, "the pipeline does not start")) return failures_;
    for (std::size_t i = 0; i < test_.steps.size(); ++i) {
      if (variant_.restart_after == i && !restart_here(test_.steps[i])) return failures_;
      run(test_.steps[i]);
      stop_expected_ |= test_.steps[i].is("expect_failure");
      if (driver_.failure() && !stop_expected_ && !failure_expected(i)) {
        fail(test_.steps[i].action.origin, "the pipeline stopped: " + *driver_.failure());
        return failures_;
      }
    }
    unexpected_letters();
    return failures_;
  }

 private:
  std::int64_t first_clock() const {
    if (test_.clock) return test_.clock->ms;
    for (const TestStep& step : test_.steps) {
      for (std::size_t i = 0; i < step.send_lanes.size(); ++i) {
        const config::SourceSpec& source = *spec_.sources.find(step.send_lanes[i].source);
        for (const Node& row : step.send.entries[i].value)
          if (const auto t = event_time_of(row, source); t && *t >= 0) return *t;
      }
      if (step.watermark.all) return std::max<std::int64_t>(0, step.watermark.all->value.ms);
      for (const auto& l : step.watermark.lanes) return std::max<std::int64_t>(0, l.value.value.ms);
    }
    return DriverOptions{}.clock_ms;
  }

  bool restart_here(const TestStep& before) {
    const unsigned shards = variant_.restart_shards > 0 ? variant_.restart_shards : driver_.shards();
    return check(driver_.restart_unnoticed(shards), before.action.origin, "the pipeline does not go on");
  }

  // Nothing but expect_failure and expectations may follow what stopped it.
  bool failure_expected(std::size_t step) const {
    for (; step < test_.steps.size(); ++step) {
      if (test_.steps[step].is("expect_failure")) return true;
      if (step + 1 < test_.steps.size() && !test_.steps[step + 1].action.value.starts_with("expect")) return false;
    }
    return false;
  }

  void fail(const config::Origin& at, std::string summary, std::string detail = "") {
    failures_.push_back({position_of(at), std::move(summary), std::move(detail)});
  }
  bool check(const Status& status, const config::Origin& at, const std::string& what) {
    if (!status) fail(at, fmt::format("{}: {}", what, status.error().message));
    return status.has_value();
  }

  void run(const TestStep& step) {
    const config::Origin& at = step.action.origin;
    if (step.is("send")) return send(step);
    if (step.is("watermark")) return watermark(step);
    if (step.is("advance")) return driver_.advance(step.advance.count());
    if (step.is("cluster_down")) return driver_.cluster_down(step.cluster.value);
    if (step.is("cluster_up")) return driver_.cluster_up(step.cluster.value);
    if (step.is("idle")) return driver_.idle(step.idle_lane.source, step.idle_lane.cluster, step.idle_lane.partition);
    if (step.is("checkpoint")) return (void)check(driver_.checkpoint(), at, "no checkpoint");
    if (step.is("restart")) {
      std::optional<unsigned> shards;
      if (step.restart.shards) shards = static_cast<unsigned>(*step.restart.shards);
      return (void)check(driver_.restart(shards, step.restart.crash), at, "the pipeline does not go on");
    }
    if (step.is("pause")) return (void)check(driver_.pause(), at, "cannot pause");
    if (step.is("resume")) return (void)check(driver_.resume(), at, "cannot resume");
    if (step.is("end")) return driver_.end();
    if (step.is("expect")) return expect(step);
    if (step.is("expect_late")) return expect_late(step);
    if (step.is("expect_dead_letters")) return expect_letters(step);
    if (step.is("expect_watermark")) return expect_watermark(step);
    expect_failure(step);
  }

  void send(const TestStep& step) {
    for (std::size_t i = 0; i < step.send_lanes.size(); ++i) {
      const config::LaneName& lane = step.send_lanes[i];
      const config::SourceSpec& source = *spec_.sources.find(lane.source);
      std::vector<VirtualRecord> records;
      for (const Node& row : step.send.entries[i].value) records.push_back(record_of(row, source, driver_.now_ms()));
      driver_.send(lane.source, lane.cluster, lane.partition, std::move(records));
    }
  }

  void watermark(const TestStep& step) {
    if (step.watermark.all)
      driver_.watermark(step.watermark.all->value.ms,
                        [](const std::string&, const connectors::LaneKey&) { return true; });
    for (std::size_t i = 0; i < step.watermark_lanes.size(); ++i) {
      const config::LaneName& wanted = step.watermark_lanes[i];
      driver_.watermark(step.watermark.lanes.entries[i].value.value.ms,
                        [&](const std::string& source, const connectors::LaneKey& lane) {
                          return source == wanted.source && (!wanted.has_cluster || lane.cluster == wanted.cluster) &&
                                 (!wanted.has_partition || lane.partition == wanted.partition);
                        });
    }
  }

  // What came out of a sink since it was looked at last.
  std::vector<ResultValue> news(const std::string& sink) {
    const auto& all = driver_.output(sink);
    std::size_t& seen = seen_[sink];
    std::vector<ResultValue> out;
    for (; seen < all.size(); ++seen) out.push_back(result_of(all[seen]));
    return out;
  }

  void expect(const TestStep& step) {
    for (const auto& e : step.expect) {
      const config::ExpectRows& wanted = e.value;
      const std::vector<ResultValue> actual = news(e.name.value);
      if (wanted.count && static_cast<std::int64_t>(actual.size()) != wanted.count->value) {
        std::string detail;
        for (std::size_t i = 0; i < actual.size() && i < kMostShown; ++i)
          detail += fmt::format("    actual           {}\n", to_string(actual[i]));
        fail(wanted.count->origin,
             fmt::format("sink '{}': {} rows expected, {} came", e.name.value, wanted.count->value, actual.size()),
             std::move(detail));
      }
      if (!wanted.rows && wanted.contains.empty()) continue;
      const std::vector<Node>& rows = wanted.rows ? *wanted.rows : wanted.contains;
      const auto complaints = compare_rows(rows, actual, wanted.rows.has_value(), wanted.ordered);
      if (complaints.empty()) continue;
      std::string detail;
      for (std::size_t i = 0; i < complaints.size() && i < kMostShown; ++i) detail += describe(complaints[i]);
      if (complaints.size() > kMostShown) detail += fmt::format("    and {} more\n", complaints.size() - kMostShown);
      const Node* first = complaints[0].expected;
      fail(first != nullptr ? first->origin : wanted.origin,
           fmt::format("sink '{}': {} rows expected{}, {} came{}", e.name.value, rows.size(),
                       wanted.rows ? "" : " among others", actual.size(), wanted.ordered ? ", the order counts" : ""),
           std::move(detail));
    }
  }

  void expect_late(const TestStep& step) {
    for (const auto& e : step.expect_late) {
      const auto all = static_cast<std::int64_t>(driver_.late_rows(e.name.value));
      const std::int64_t news = all - std::exchange(late_seen_[e.name.value], all);
      if (news != e.value.value)
        fail(e.name.origin,
             fmt::format("step '{}': {} late rows expected, {} came", e.name.value, e.value.value, news));
    }
  }

  std::vector<Letter> letters() {
    std::vector<Letter> out;
    const auto& all = driver_.output("dead_letter");
    for (; letters_seen_ < all.size(); ++letters_seen_) {
      const VirtualOutput& o = all[letters_seen_];
      Letter& l = out.emplace_back();
      const auto header = [&](std::string_view name) {
        for (const auto& [n, v] : o.headers)
          if (n == name) return v;
        return std::string();
      };
      if (!spec_.dead_letter->file) {
        l = {header("twinspan-stage"), header("twinspan-origin"), header("twinspan-reason"), o.value};
        continue;
      }
      const ResultValue v = result_of(o);
      const auto part = [&](const char* name) {
        const ResultValue* field = v.find(name);
        return field == nullptr ? std::string() : field->text;
      };
      l = {part("stage"), part("origin"), part("reason"), part("payload")};
    }
    return out;
  }

  static std::string letter_text(const Letter& l) {
    return fmt::format("    {}: {}\n      origin {}, payload {}\n", l.stage, l.reason, l.origin, l.payload);
  }

  void expect_letters(const TestStep& step) {
    const config::ExpectLetters& wanted = step.expect_dead_letters;
    std::vector<Letter> actual = letters();
    const std::size_t came = actual.size();
    const auto want = wanted.count ? static_cast<std::size_t>(*wanted.count) : wanted.letters.size();
    std::string detail;
    for (const config::LetterSpec& w : wanted.letters) {
      const auto found = std::find_if(actual.begin(), actual.end(), [&](const Letter& l) {
        return (!w.stage || w.stage->value == l.stage) && (!w.origin_text || w.origin_text->value == l.origin) &&
               (!w.reason || l.reason.find(w.reason->value) != std::string::npos) &&
               (!w.payload || w.payload->value == l.payload);
      });
      if (found == actual.end()) {
        detail += fmt::format("    missing: the letter of line {}\n", position_of(w.origin).line);
      } else {
        actual.erase(found);
      }
    }
    if (came == want && detail.empty()) return;
    for (const Letter& l : actual) detail += letter_text(l);
    fail(wanted.origin, fmt::format("{} dead letters expected, {} came", want, came), std::move(detail));
  }

  void unexpected_letters() {
    if (!spec_.dead_letter) return;
    const std::vector<Letter> rest = letters();
    if (rest.empty()) return;
    std::string detail;
    for (const Letter& l : rest) detail += letter_text(l);
    fail(test_.name.origin, fmt::format("{} dead letters that no step expects", rest.size()), std::move(detail));
  }

  void expect_watermark(const TestStep& step) {
    for (const auto& e : step.expect_watermark) {
      const Watermark w = driver_.watermark_of(e.name.value);
      const auto look = [&](const char* which, const std::optional<config::Timestamp>& wanted, EventTime is) {
        if (e.value.none ? is == kMinTime : !wanted || wanted->ms == is) return;
        fail(e.name.origin, fmt::format("{} watermark of '{}': {} expected, it is {}", which, e.name.value,
                                        e.value.none ? "none" : time_text(wanted->ms), time_text(is)));
      };
      look("firing", e.value.firing, w.firing);
      look("retention", e.value.retention, w.retention);
    }
  }

  void expect_failure(const TestStep& step) {
    const auto failure = driver_.failure();
    if (!failure)
      fail(step.action.origin, "the pipeline was expected to stop, and it runs");
    else if (failure->find(step.expect_failure.value) == std::string::npos)
      fail(step.expect_failure.origin, "the pipeline stopped for another reason", fmt::format("    {}\n", *failure));
  }

  const config::PipelineSpec& spec_;
  const TestSpec& test_;
  const TestVariant variant_;
  PipelineDriver driver_;
  std::map<std::string, std::size_t> seen_;        // by sink
  std::map<std::string, std::int64_t> late_seen_;  // by step
  std::size_t letters_seen_ = 0;
  bool stop_expected_ = false;  // an expect_failure has been met
  std::vector<TestFailure> failures_;
};

}  // namespace

std::string to_string(const TestVariant& v) {
  std::string out = fmt::format("batch {}", v.batch);
  if (v.shards) out += fmt::format(", {} shard{}", *v.shards, *v.shards == 1 ? "" : "s");
  if (v.restart_after) {
    out +=
        *v.restart_after == 0 ? ", restored at the start" : fmt::format(", restored after step {}", *v.restart_after);
    if (v.restart_shards > 0) out += fmt::format(" with {}", v.restart_shards);
  }
  return out;
}

TestResult run_test(const config::PipelineSpec& spec, const TestSpec& test, const TestVariant& variant) {
  const auto began = std::chrono::steady_clock::now();
  TestResult out;
  out.name = test.name.value;
  out.at = position_of(test.name.origin);
  out.variant = variant;
  out.failures = Run(spec, test, variant).run();
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return out;
}

std::vector<std::size_t> restart_points(const TestSpec& test) {
  std::vector<std::size_t> out;
  bool paused = false;
  for (std::size_t i = 0; i < test.steps.size(); ++i) {
    if (!paused) out.push_back(i);
    const TestStep& step = test.steps[i];
    if (step.is("pause") || step.is("resume")) paused = step.is("pause");
    // A crash goes back to the newest checkpoint, which another restart would have moved; a pipeline that has stopped
    // stays so.
    if (step.is("end") || step.is("expect_failure")) break;
  }
  const auto crash =
      std::find_if(test.steps.begin(), test.steps.end(), [](const TestStep& s) { return s.restart.crash; });
  if (crash != test.steps.end())
    std::erase_if(out, [&](std::size_t i) { return i <= static_cast<std::size_t>(crash - test.steps.begin()); });
  const auto failure =
      std::find_if(test.steps.begin(), test.steps.end(), [](const TestStep& s) { return s.is("expect_failure"); });
  if (failure != test.steps.end()) {
    const auto last = static_cast<std::size_t>(failure - test.steps.begin());
    std::erase_if(out, [&](std::size_t i) { return i + 1 > last; });
  }
  return out;
}

}  // namespace twinspan::gateway

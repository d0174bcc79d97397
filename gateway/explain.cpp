#include "gateway/explain.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "config/pipeline_codecs.h"
#include "config/units.h"
#include "engine/expr/aggregates.h"

namespace twinspan::gateway {

namespace json = boost::json;
using engine::Target;

namespace {

constexpr std::int64_t kTextBytes = 24;
constexpr std::int64_t kRowOverhead = 32;    // index and list of a kept row
constexpr std::int64_t kEntryOverhead = 16;  // slot of a keyed entry
constexpr std::int64_t kDistinctBytes = 16;  // one distinct value of one key

std::string duration(std::int64_t ms) { return config::duration_text(config::Duration(ms)); }

std::int64_t bytes_of(DataType type) {
  return type.is_string_like() ? kTextBytes : static_cast<std::int64_t>(value_width(type.kind));
}

json::array columns_of(const Schema& schema) {
  json::array out;
  for (const Field& f : schema.fields)
    if (!f.name.starts_with('$')) out.push_back({{"name", f.name}, {"type", to_string(f.type)}});
  return out;
}

json::array names_of(const std::vector<config::Id>& ids) {
  json::array out;
  for (const config::Id& id : ids) out.push_back(json::value(id.value));
  return out;
}

class Explainer {
 public:
  Explainer(const Plan& plan, unsigned shards) : plan_(plan), shards_(shards) {}

  json::object run() {
    json::array sources, steps, parts, sinks;
    for (const SourcePlan& s : plan_.sources) sources.push_back(source(s));
    for (const StepInfo& s : plan_.steps)
      if (s.schema != nullptr)
        steps.push_back(step(s));
      else
        parts.push_back({{"id", s.id}, {"kind", s.kind}});
    for (const SinkPlan& s : plan_.sinks) sinks.push_back(sink(s));
    return {{"pipeline", plan_.name}, {"shards", shards_}, {"sources", sources},
            {"steps", steps},         {"parts", parts},    {"sinks", sinks}};
  }

 private:
  json::object source(const SourcePlan& s) {
    const config::SourceSpec& spec = *s.spec;
    json::object out{{"id", s.id}};
    if (spec.file)
      out["file"] = spec.file->value;
    else
      out["clusters"] = names_of(spec.clusters->names);
    out["columns"] = columns_of(s.schema);
    out["event_time"] = spec.event_time.field ? json::value(spec.event_time.field->value) : json::value("_timestamp");
    const std::int64_t behind = spec.event_time.out_of_order.count();
    out["behind_ms"] = behind;
    out["idle_after_ms"] = spec.event_time.idle_after.count();
    if (!spec.file) out["hold_ms"] = spec.on_cluster_down.hold_watermark.count();
    behind_[s.id] = behind;
    schema_[s.id] = &s.schema;
    return out;
  }

  json::object step(const StepInfo& info) {
    const config::StepSpec& spec = *plan_.spec->steps.find(info.id);
    json::object out{{"id", info.id}, {"kind", info.kind}};
    json::array inputs;
    std::int64_t behind = 0;
    for (const config::Id* input : spec.inputs()) {
      inputs.push_back(json::value(input->value));
      behind = std::max(behind, behind_[input->value]);
    }
    out["inputs"] = inputs;
    if (spec.where) out["where"] = spec.where->value;
    out["exchanges"] = exchanges(info, spec);
    if (spec.interval_join) {
      join(spec, behind, out);
    } else if (spec.apply) {
      window_function(spec, behind, out);
    } else if (spec.window) {
      window(info, spec, behind, out);
    } else if (spec.deduplicate) {
      keyed_state(out, row_bytes(*schema_[spec.from->ids[0].value]),
                  spec.deduplicate->within.value.count() + (spec.late ? spec.late->allow.count() : 0),
                  "one entry a key that came");
    }
    if (out.contains("state")) out["max_state"] = budget(spec);
    out["columns"] = columns_of(*info.schema);
    out["updates"] = !info.append_only;
    out["behind_ms"] = behind;
    json::array shared, together;
    for (const engine::OperatorNode& node : plan_.graph.nodes) {
      const bool member =
          std::any_of(node.steps.begin(), node.steps.end(), [&](const std::string& s) { return belongs(s, info.id); });
      // What several steps became is told of the last of them.
      if (!member || !belongs(node.steps.back(), info.id)) continue;
      for (const std::string& s : node.steps)
        if (!belongs(s, info.id)) together.push_back(json::value(s));
      for (const auto& [text, uses] : node.shared) shared.push_back({{"expression", text}, {"uses", uses}});
    }
    out["one_pass_with"] = together;
    out["computed_once"] = shared;
    behind_[info.id] = behind;
    schema_[info.id] = info.schema.get();
    return out;
  }

  static bool belongs(const std::string& node, const std::string& step) {
    return node == step || (node.starts_with(step) && node.size() > step.size() && node[step.size()] == '.');
  }

  // Edges with a key: with several shards their rows go to the shard that owns it.
  json::array exchanges(const StepInfo& info, const config::StepSpec& spec) const {
    const std::string& id = info.id;
    json::array out;
    const auto look = [&](const std::vector<Target>& edges) {
      for (const Target& t : edges) {
        if (t.kind != Target::Kind::node || t.partition_by == nullptr) continue;
        const std::string& node = plan_.graph.nodes[t.index].id;
        if (!belongs(node, id)) continue;
        json::array by;
        if (node == id && spec.interval_join)
          for (const config::JoinKey& k : spec.interval_join->on)
            by.push_back(json::value((t.input == 0 ? k.left : k.right).value));
        else if (node == id && spec.window)
          for (const config::Expression& k : spec.key) by.push_back(json::value(k.value));
        else if (node == id && spec.deduplicate)
          for (const config::Expression& k : spec.deduplicate->by) by.push_back(json::value(k.value));
        for (const auto& [values, column] : info.value_nodes)
          if (values == t.index) by.push_back(json::value(column));
        json::object exchange{{"into", node}, {"by", by}};
        if (node == id && spec.interval_join) exchange["side"] = t.input == 0 ? "left" : "right";
        out.push_back(std::move(exchange));
      }
    };
    for (const auto& s : plan_.graph.sources) look(s.out);
    for (const auto& n : plan_.graph.nodes) look(n.out);
    std::stable_sort(out.begin(), out.end(), [](const json::value& a, const json::value& b) {  // left before right
      const auto side = [](const json::value& v) {
        const json::value* is = v.as_object().if_contains("side");
        return is == nullptr ? std::string() : std::string(is->as_string());
      };
      return side(a) < side(b);
    });
    return out;
  }

  static std::int64_t row_bytes(const Schema& schema) {
    std::int64_t out = 0;
    for (const Field& f : schema.fields) out += bytes_of(f.type);
    return out;
  }

  // As the pipeline file writes it.
  template <class E>
  static std::string_view word_of(E value) {
    for (const auto& choice : config::Choices<E>::words)
      if (choice.value == value) return choice.word;
    return {};
  }

  static json::value budget(const config::StepSpec& step) {
    const auto& spec =
        step.interval_join && step.interval_join->max_state ? step.interval_join->max_state : step.max_state;
    if (!spec || !spec->bytes) return nullptr;
    return json::object{{"bytes", *spec->bytes}, {"when_full", word_of(spec->when_full)}};
  }

  void join(const config::StepSpec& step, std::int64_t& behind, json::object& out) {
    const config::IntervalJoinSpec& spec = *step.interval_join;
    const std::int64_t allow = step.late ? step.late->allow.count() : 0;
    const std::int64_t lower = spec.between.lower.count(), upper = spec.between.upper.count();
    out["join"] = {{"type", word_of(spec.type.value)},
                   {"matches", word_of(spec.matches.value)},
                   {"lower_ms", lower},
                   {"upper_ms", upper}};
    const auto side = [&](const config::Id& input, std::int64_t span) {
      const std::int64_t kept = std::max<std::int64_t>(0, span) + behind + allow;
      const std::int64_t bytes = row_bytes(*schema_[input.value]) + kRowOverhead;
      return json::object{{"keeps_ms", kept}, {"bytes_a_row", bytes}, {"bytes_at_1000_rows_a_second", bytes * kept}};
    };
    // A left row is kept until the right side has passed its last match, and the other way round.
    out["state"] = {{"left", side(spec.left, upper)}, {"right", side(spec.right, -lower)}};
    behind += std::max<std::int64_t>(0, spec.time.value == config::JoinTime::left ? upper : -lower);
    out["skew"] = "none: the rows of one key are in one shard";
  }

  // Whether a result may be another than the exact one (rounded once, at most).
  static bool has_bound(const engine::AggregateInfo& info) {
    using F = engine::AggregateFunction;
    return info.function == F::approx_count_distinct || info.function == F::percentile || info.function == F::top_k ||
           info.number_default != 0;
  }

  static json::object window_of(const config::WindowSpec& w) {
    const bool session = w.kind() == config::WindowKind::session, global = w.kind() == config::WindowKind::global;
    json::object window{{"timezone", w.timezone.value},
                        {"time", w.time.value == config::WindowTime::event ? "event" : "processing"}};
    if (!global) window[session ? "gap_ms" : "size_ms"] = w.size().count();
    if (w.every) window["every_ms"] = w.every->value.count();
    return window;
  }

  void window_function(const config::StepSpec& spec, std::int64_t behind, json::object& out) {
    out["window"] = window_of(*spec.window);
    json::array key;
    for (const config::Expression& k : spec.key) key.push_back(json::value(k.value));
    out["key"] = key;
    out["aggregate"] = json::array{};
    out["apply"] = spec.apply->value;
    keyed_state(out, row_bytes(*schema_[spec.from->ids[0].value]) + kRowOverhead,
                spec.window->size().count() + (spec.late ? spec.late->allow.count() : 0) + behind,
                "every row of an open window");
    out["skew"] = "none: the rows of one key are in one shard";
  }

  void window(const StepInfo& info, const config::StepSpec& spec, std::int64_t behind, json::object& out) {
    const config::WindowSpec& w = *spec.window;
    const bool session = w.kind() == config::WindowKind::session, global = w.kind() == config::WindowKind::global;
    const std::int64_t size = w.size().count();
    out["window"] = window_of(w);
    json::array key, aggregates;
    std::int64_t bytes = kEntryOverhead;
    for (const config::Expression& k : spec.key) {
      key.push_back(json::value(k.value));
      if (const int c = info.schema->index_of(k.value); c >= 0)
        bytes += bytes_of(info.schema->fields[static_cast<std::size_t>(c)].type);
    }
    std::vector<engine::AggregateCall> calls;
    for (const auto& a : spec.aggregate) {
      aggregates.push_back({{"name", a.name.value}, {"expression", a.value.value}});
      if (auto ast = engine::parse_expression(a.value.value); ast.ok())
        (void)engine::split_aggregates(ast.value(), calls);
    }
    json::array beside, errors;  // what a key keeps whose size is not known here; results that are not exact
    std::int64_t distinct = 0;
    for (const engine::AggregateCall& c : calls) {
      const bool counts = c.function == "count";
      if (counts && c.distinct)
        distinct += kDistinctBytes;
      else if (counts)
        bytes += 8;
      else if (c.function == "sum" || c.function == "min" || c.function == "max" || c.function == "avg")
        bytes += 24;
      else
        beside.push_back({{"call", c.text}, {"memory", c.info().memory}});
      if (has_bound(c.info())) errors.push_back({{"call", c.text}, {"error", c.info().error}});
    }
    out["errors"] = errors;
    out["key"] = key;
    out["aggregate"] = aggregates;
    const std::int64_t after = (spec.late ? spec.late->allow.count() : 0) + behind;
    if (global)
      keyed_state(out, bytes, -1, "one entry a key, kept for good");
    else if (session)
      keyed_state(out, bytes, size + after, "one entry a key and session, while it lasts and then");
    else
      keyed_state(out, bytes, size + after, "one entry a key and open window");
    json::object& state = out["state"].as_object();
    if (distinct > 0) state["bytes_a_distinct_value"] = distinct;
    if (!beside.empty()) state["beside"] = beside;
    out["skew"] = skew(info, spec);
  }

  std::string skew(const StepInfo& info, const config::StepSpec& spec) const {
    using Kind = config::SplitKeys::Kind;
    const Kind kind = spec.skew ? spec.skew->split_keys.value.kind : Kind::off;
    if (kind == Kind::off) return "none: the rows of one key are in one shard";
    std::string is = kind == Kind::number
                         ? fmt::format("rows of the {} most frequent keys are", spec.skew->split_keys.value.count)
                     : shards_ == 1 ? "auto: nothing to split with one shard"
                                    : "auto: rows of keys found hot while running are";
    if (kind == Kind::number || shards_ > 1)
      is += " counted before the exchange, a batch at a time, then merged by key";
    std::string values;
    for (const auto& [node, column] : info.value_nodes) values += (values.empty() ? "" : ", ") + column;
    if (!values.empty()) is += fmt::format("; DISTINCT values are counted where they are: by {}", values);
    return is;
  }

  static void keyed_state(json::object& out, std::int64_t bytes, std::int64_t keeps, const char* what) {
    json::object state{{"entries", what}, {"bytes_an_entry", bytes}};
    if (keeps >= 0) state["keeps_ms"] = keeps;
    out["state"] = std::move(state);
  }

  json::object sink(const SinkPlan& s) {
    json::object out{{"id", s.id}};
    if (s.spec->from)
      out["from"] = s.spec->from->value;
    else
      out["from"] = nullptr;  // late rows
    if (s.spec->file)
      out["file"] = s.spec->file->value;
    else
      out["clusters"] = names_of(s.spec->clusters->names);
    if (s.spec->key) out["key"] = s.spec->key->value;
    out["columns"] = columns_of(s.schema);
    return out;
  }

  const Plan& plan_;
  const unsigned shards_;
  std::map<std::string, std::int64_t> behind_;  // by source and step: event time behind the newest row
  std::map<std::string, const Schema*> schema_;
};

std::string joined(const json::value& list, const char* separator = ", ") {
  std::string out;
  for (const json::value& v : list.as_array()) out += (out.empty() ? "" : separator) + std::string(v.as_string());
  return out;
}

std::string columns_text(const json::object& of) {
  std::string out;
  for (const json::value& c : of.at("columns").as_array())
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", std::string(c.at("name").as_string()),
                       std::string(c.at("type").as_string()));
  return out.empty() ? "none" : out;
}

std::int64_t number(const json::object& of, const char* key) { return of.at(key).to_number<std::int64_t>(); }
std::string text(const json::object& of, const char* key) { return std::string(of.at(key).as_string()); }

std::string place_text(const json::object& of) {
  return of.contains("file") ? "file " + text(of, "file") : "on " + joined(of.at("clusters"), " and ");
}

std::string size_text(std::int64_t bytes) {
  if (bytes >= 10ll << 30) return fmt::format("{} GiB", bytes >> 30);
  if (bytes >= 10 << 20) return fmt::format("{} MiB", bytes >> 20);
  if (bytes >= 10 << 10) return fmt::format("{} KiB", bytes >> 10);
  return fmt::format("{} bytes", bytes);
}

void step_text(const json::object& s, unsigned shards, std::string& out) {
  out += fmt::format("\nstep {}: {} of {}\n", text(s, "id"), text(s, "kind"), joined(s.at("inputs")));
  const auto line = [&](const char* what, const std::string& is) { out += fmt::format("  {:<14}{}\n", what, is); };
  if (s.contains("where")) line("where", text(s, "where"));
  for (const json::value& e : s.at("exchanges").as_array()) {
    const json::object& exchange = e.as_object();
    const std::string by = joined(exchange.at("by"));
    const std::string side = exchange.contains("side") ? text(exchange, "side") + " " : "";
    const std::string into = text(exchange, "into") == text(s, "id") ? "" : " for " + text(exchange, "into");
    line("exchange",
         by.empty() && into.empty()
             ? "all rows to one shard"
             : fmt::format("{}by {}{}{}", side, by.empty() ? "its own key" : by, into,
                           shards > 1 ? fmt::format(", over {} shards", shards) : ", within the one shard"));
  }
  if (s.contains("join")) {
    const json::object& j = s.at("join").as_object();
    line("join", fmt::format("{}, right.time - left.time in [{}, {}]", text(j, "type"), duration(number(j, "lower_ms")),
                             duration(number(j, "upper_ms"))));
    for (const char* side : {"left", "right"}) {
      const json::object& state = s.at("state").at(side).as_object();
      line("state", fmt::format("{} rows for {} of event time, about {} bytes each: {} at 1000 rows/s", side,
                                duration(number(state, "keeps_ms")), number(state, "bytes_a_row"),
                                size_text(number(state, "bytes_at_1000_rows_a_second"))));
    }
  }
  if (s.contains("window")) {
    const json::object& w = s.at("window").as_object();
    std::string is = w.contains("gap_ms")    ? duration(number(w, "gap_ms")) + " without a row end it"
                     : w.contains("size_ms") ? duration(number(w, "size_ms"))
                                             : "everything";
    if (w.contains("every_ms")) is += " every " + duration(number(w, "every_ms"));
    line("window", fmt::format("{}, {} time, {}", is, text(w, "time"), text(w, "timezone")));
    line("key", s.at("key").as_array().empty() ? "none" : joined(s.at("key")));
    for (const json::value& a : s.at("aggregate").as_array())
      line("aggregate", fmt::format("{} = {}", text(a.as_object(), "name"), text(a.as_object(), "expression")));
    if (s.contains("apply")) line("apply", text(s, "apply"));
  }
  if (s.contains("errors"))
    for (const json::value& e : s.at("errors").as_array())
      line("error", fmt::format("of {}: {}", text(e.as_object(), "call"), text(e.as_object(), "error")));
  if (s.contains("state") && s.at("state").as_object().contains("entries")) {
    const json::object& state = s.at("state").as_object();
    std::string is = text(state, "entries");
    if (state.contains("keeps_ms")) is += fmt::format(", for {} of event time", duration(number(state, "keeps_ms")));
    is += fmt::format(", about {} bytes each", number(state, "bytes_an_entry"));
    if (state.contains("bytes_a_distinct_value"))
      is += fmt::format(", and about {} for each distinct value of a key", number(state, "bytes_a_distinct_value"));
    line("state", is);
    if (state.contains("beside"))
      for (const json::value& b : state.at("beside").as_array())
        line("", fmt::format("for {}: {}", text(b.as_object(), "call"), text(b.as_object(), "memory")));
  }
  if (s.contains("max_state")) {
    const json::value& budget = s.at("max_state");
    line("max_state", budget.is_null()
                          ? "none: as much as there is memory"
                          : fmt::format("{}, when full: {}", size_text(number(budget.as_object(), "bytes")),
                                        text(budget.as_object(), "when_full")));
  }
  if (s.contains("skew")) line("skew", text(s, "skew"));
  if (!s.at("one_pass_with").as_array().empty()) line("one pass with", joined(s.at("one_pass_with")));
  for (const json::value& c : s.at("computed_once").as_array())
    line("once", fmt::format("{} for {} uses", text(c.as_object(), "expression"), number(c.as_object(), "uses")));
  line("columns", columns_text(s));
  line("results",
       fmt::format("{}; event time {} behind the newest row",
                   s.at("updates").as_bool() ? "may change later" : "never change", duration(number(s, "behind_ms"))));
}

}  // namespace

std::string explain_json(const Plan& plan, unsigned shards) {
  return json::serialize(Explainer(plan, shards).run()) + "\n";
}

std::string explain_text(const Plan& plan, unsigned shards) {
  const json::object all = Explainer(plan, shards).run();
  std::string out = fmt::format("pipeline {}, {} shard{}\n", plan.name, shards, shards == 1 ? "" : "s");
  const auto line = [&](const char* what, const std::string& is) { out += fmt::format("  {:<14}{}\n", what, is); };
  for (const json::value& v : all.at("sources").as_array()) {
    const json::object& s = v.as_object();
    out += fmt::format("\nsource {}: {}\n", text(s, "id"), place_text(s));
    line("reads", columns_text(s));
    line("event time", fmt::format("{}, {} behind the newest row; a lane is idle after {}", text(s, "event_time"),
                                   duration(number(s, "behind_ms")), duration(number(s, "idle_after_ms"))));
    if (s.contains("hold_ms"))
      line("lost cluster", fmt::format("holds event time for {}", duration(number(s, "hold_ms"))));
  }
  for (const json::value& v : all.at("steps").as_array()) step_text(v.as_object(), shards, out);
  for (const json::value& v : all.at("parts").as_array())
    out += fmt::format("\n{} {}: one entry a value, kept for good\n", text(v.as_object(), "kind"),
                       text(v.as_object(), "id"));
  for (const json::value& v : all.at("sinks").as_array()) {
    const json::object& s = v.as_object();
    out += fmt::format("\nsink {}: {}, {}\n", text(s, "id"),
                       s.at("from").is_null() ? "late rows" : "from " + text(s, "from"), place_text(s));
    line("writes", columns_text(s));
    if (s.contains("key")) line("key", text(s, "key"));
  }
  return out;
}

}  // namespace twinspan::gateway

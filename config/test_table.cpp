// The tables of the `tests:` block. What a step does is one key of a map, so the table of the steps is also the list of
// the actions; those without a value may stand alone (`- checkpoint`).

#include <charconv>

#include "config/codec.h"
#include "config/pipeline_spec.h"
#include "config/suggest.h"

namespace twinspan::config {

namespace {

constexpr double kMaxShards = 16;

// An action without a value.
struct Bare {};

Shape one_of(std::vector<Shape> alternatives) {
  Shape shape = simple_shape(ShapeKind::one_of);
  shape.alternatives = std::move(alternatives);
  return shape;
}

}  // namespace

template <>
struct Codec<Node> {
  static Shape shape() { return simple_shape(ShapeKind::any); }
  static bool read(Reader&, const Node& node, Node& into) {
    into = node;
    return !node.unresolved;
  }
  static std::optional<std::string> text(const Node&) { return std::nullopt; }
};

template <>
struct Codec<Timestamp> {
  static Shape shape() { return simple_shape(ShapeKind::timestamp); }
  static bool read(Reader& reader, const Node& node, Timestamp& into) {
    const std::string* text = reader.scalar(node, shape());
    if (text == nullptr) return false;
    const auto ms = parse_timestamp(*text);
    if (!ms) return reader.refuse(node, "T0210", ms.error().message, ms.error().hint);
    into.ms = ms.value();
    return true;
  }
  static std::optional<std::string> text(const Timestamp&) { return std::nullopt; }
};

template <>
struct Codec<WatermarkStep> {
  static Shape shape() { return one_of({Codec<Timestamp>::shape(), Codec<NameMap<Located<Timestamp>>>::shape()}); }
  static bool read(Reader& reader, const Node& node, WatermarkStep& into) {
    if (node.kind == NodeKind::map) return Codec<NameMap<Located<Timestamp>>>::read(reader, node, into.lanes);
    return Codec<Located<Timestamp>>::read(reader, node, into.all.emplace());
  }
  static std::optional<std::string> text(const WatermarkStep&) { return std::nullopt; }
};

template <>
struct Codec<Bare> {
  static Shape shape() { return one_of({simple_shape(ShapeKind::null), simple_shape(ShapeKind::boolean)}); }
  static bool read(Reader& reader, const Node& node, Bare&) {
    if (node.kind == NodeKind::null || node.text() == "true") return true;
    return reader.refuse(node, "T0203", "this takes no value", "write it alone: `- checkpoint`");
  }
  static std::optional<std::string> text(const Bare&) { return std::nullopt; }
};

namespace {

// `restart:` may have no value, and a list alone is the rows of an expectation.
struct RestartForm : RestartSpec {};
struct ExpectForm : ExpectRows {};

}  // namespace

template <>
struct Codec<RestartForm> {
  static Shape shape() { return one_of({simple_shape(ShapeKind::null), Codec<RestartSpec>::shape()}); }
  static bool read(Reader& reader, const Node& node, RestartForm& into) {
    return node.kind == NodeKind::null || Codec<RestartSpec>::read(reader, node, into);
  }
  static std::optional<std::string> text(const RestartForm&) { return std::nullopt; }
};

template <>
struct Codec<ExpectForm> {
  static Shape shape() { return one_of({Codec<std::vector<Node>>::shape(), Codec<ExpectRows>::shape()}); }
  static bool read(Reader& reader, const Node& node, ExpectForm& into) {
    into.origin = node.key ? node.key : node.origin;
    if (node.kind == NodeKind::list) return Codec<std::vector<Node>>::read(reader, node, into.rows.emplace());
    if (!Codec<ExpectRows>::read(reader, node, into)) return false;
    if (into.rows && !into.contains.empty())
      return reader.refuse(node, "T0212", "an expectation has 'rows' or 'contains', not both");
    if (!into.rows && into.contains.empty() && !into.count)
      return reader.refuse(node, "T0205", "nothing is expected", "a list of rows, `rows:`, `contains:` or `count:`");
    return true;
  }
  static std::optional<std::string> text(const ExpectForm&) { return std::nullopt; }
};

template <>
struct Codec<NameMap<ExpectRows>> {
  static Shape shape() { return Codec<NameMap<ExpectForm>>::shape(); }
  static bool read(Reader& reader, const Node& node, NameMap<ExpectRows>& into) {
    NameMap<ExpectForm> forms;
    const bool good = Codec<NameMap<ExpectForm>>::read(reader, node, forms);
    for (auto& f : forms) into.entries.push_back({std::move(f.name), std::move(f.value), f.end});
    return good;
  }
  static std::optional<std::string> text(const NameMap<ExpectRows>&) { return std::nullopt; }
};

template <>
struct Codec<ExpectLetters> {
  static Shape shape() { return one_of({simple_shape(ShapeKind::integer), Codec<std::vector<LetterSpec>>::shape()}); }
  static bool read(Reader& reader, const Node& node, ExpectLetters& into) {
    into.origin = node.origin;
    if (node.kind != NodeKind::list) return Codec<std::int64_t>::read(reader, node, into.count.emplace());
    if (!Codec<std::vector<LetterSpec>>::read(reader, node, into.letters)) return false;
    for (std::size_t i = 0; i < node.items.size(); ++i) into.letters[i].origin = node.items[i].origin;
    return true;
  }
  static std::optional<std::string> text(const ExpectLetters&) { return std::nullopt; }
};

namespace {
struct WatermarkForm : ExpectWatermark {};
}  // namespace

template <>
struct Codec<WatermarkForm> {
  static Shape shape() {
    Shape none = simple_shape(ShapeKind::choice);
    none.choices = {"none"};
    return one_of({Codec<Timestamp>::shape(), std::move(none), Codec<ExpectWatermark>::shape()});
  }
  static bool read(Reader& reader, const Node& node, WatermarkForm& into) {
    into.origin = node.origin;
    if (node.kind == NodeKind::map) return Codec<ExpectWatermark>::read(reader, node, into);
    if (node.text() == "none") return into.none = true;
    if (!Codec<Timestamp>::read(reader, node, into.firing.emplace())) return false;
    into.retention = into.firing;
    return true;
  }
  static std::optional<std::string> text(const WatermarkForm&) { return std::nullopt; }
};

template <>
struct Codec<NameMap<ExpectWatermark>> {
  static Shape shape() { return Codec<NameMap<WatermarkForm>>::shape(); }
  static bool read(Reader& reader, const Node& node, NameMap<ExpectWatermark>& into) {
    NameMap<WatermarkForm> forms;
    const bool good = Codec<NameMap<WatermarkForm>>::read(reader, node, forms);
    for (auto& f : forms) into.entries.push_back({std::move(f.name), std::move(f.value), f.end});
    return good;
  }
  static std::optional<std::string> text(const NameMap<ExpectWatermark>&) { return std::nullopt; }
};

namespace {

// The members that a table can bind to; TestStep has them as plain ones, because only one of them is ever used.
struct StepActions {
  NameMap<std::vector<Node>> send;
  WatermarkStep watermark;
  Duration advance{0};
  Text cluster_down, cluster_up, idle, expect_failure;
  Bare checkpoint, pause, resume, end;
  RestartForm restart;
  NameMap<ExpectRows> expect;
  NameMap<Located<std::int64_t>> expect_late;
  ExpectLetters expect_dead_letters;
  NameMap<ExpectWatermark> expect_watermark;
};

const ObjectTable& actions() {
  static const ObjectTable kTable =
      TableBuilder<StepActions>("a step of a test", "One thing that is done or looked at.")
          .field("send", &StepActions::send,
                 "Records by lane, `source@cluster/partition`; a row is a map of fields, or a text: the bytes as they "
                 "are. Beside the fields: _key, _timestamp.",
                 {.not_empty = true})
          .field("watermark", &StepActions::watermark,
                 "Event time of all live lanes reaches it, of all sources or of those named; so does the wall clock.")
          .field("advance", &StepActions::advance, "The wall clock goes on; nothing comes in.", {.min = 1})
          .field("cluster_down", &StepActions::cluster_down, "A cluster is lost, for all sources.")
          .field("cluster_up", &StepActions::cluster_up,
                 "It is back, has been healthy for readmit_after, and what was sent to it meanwhile is read.")
          .field("idle", &StepActions::idle, "A lane says nothing for idle_after, while all others go on.")
          .field("checkpoint", &StepActions::checkpoint, "State and positions are saved.")
          .field("restart", &StepActions::restart, "The pipeline stops, and goes on from its checkpoint.")
          .field("pause", &StepActions::pause, "Sources are not read.")
          .field("resume", &StepActions::resume, "Sources are read again.")
          .field("end", &StepActions::end, "The input ends, as in a bounded run: everything open comes out.")
          .field("expect", &StepActions::expect,
                 "What came out of a sink since it was looked at last; the fields that are listed must match.",
                 {.not_empty = true})
          .field("expect_late", &StepActions::expect_late, "How many rows were late for a step since then.",
                 {.not_empty = true})
          .field("expect_dead_letters", &StepActions::expect_dead_letters,
                 "The dead letters since then: how many, or a list. Any that no step expects fail the test.")
          .field("expect_watermark", &StepActions::expect_watermark,
                 "Where event time stands in a source, or behind a step.", {.not_empty = true})
          .field("expect_failure", &StepActions::expect_failure,
                 "The pipeline has stopped, for a reason with this text.", {.not_empty = true});
  return kTable;
}

bool bare_action(std::string_view name) {
  return name == "checkpoint" || name == "restart" || name == "pause" || name == "resume" || name == "end";
}

}  // namespace

template <>
struct Codec<TestStep> {
  static Shape shape() {
    Shape words = simple_shape(ShapeKind::choice);
    for (const Field& f : actions().fields())
      if (bare_action(f.name)) words.choices.push_back(f.name);
    Shape object = simple_shape(ShapeKind::object);
    object.object = &actions();
    return one_of({std::move(words), std::move(object)});
  }
  static bool read(Reader& reader, const Node& node, TestStep& into) {
    into.end = node.end;
    if (node.kind == NodeKind::scalar) {
      into.action = node.located();
      if (bare_action(node.text())) return true;
      const Field* field = actions().find(node.text());
      if (field != nullptr)
        return reader.refuse(node, "T0205", fmt::format("{} needs a value", in_quotes(node.text())));
      return reader.refuse(node, "T0201", fmt::format("{} is no step of a test", in_quotes(node.text())),
                           suggestion(node.text(), actions().available_names()));
    }
    StepActions all;
    if (!reader.object(node, actions(), &all)) return false;
    if (node.entries.size() != 1) {
      const Node& at = node.entries.size() > 1 ? node.entries[1].value : node;
      reader.diagnostics().error(at.key ? at.key : at.origin, "T0501",
                                 fmt::format("a step of a test does one thing, not {}", node.entries.size()),
                                 "begin a new one with '- '");
      return false;
    }
    into.action = node.entries[0].name;
    into.send = std::move(all.send);
    into.watermark = std::move(all.watermark);
    into.advance = all.advance;
    into.cluster = into.is("cluster_up") ? std::move(all.cluster_up) : std::move(all.cluster_down);
    into.idle = std::move(all.idle);
    into.restart = std::move(all.restart);
    into.expect = std::move(all.expect);
    into.expect_late = std::move(all.expect_late);
    into.expect_dead_letters = std::move(all.expect_dead_letters);
    into.expect_watermark = std::move(all.expect_watermark);
    into.expect_failure = std::move(all.expect_failure);
    return true;
  }
  static std::optional<std::string> text(const TestStep&) { return std::nullopt; }
};

const ObjectTable& RestartSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<RestartSpec>("restart", "How the pipeline stops and goes on.")
          .field("shards", &RestartSpec::shards, "Goes on with so many shards.", {.min = 1, .max = kMaxShards})
          .field("crash", &RestartSpec::crash, "Stops without a last checkpoint: what came after it is read again.");
  return kTable;
}

const ObjectTable& ExpectRows::table() {
  static const ObjectTable kTable = TableBuilder<ExpectRows>("an expectation", "What came out of a sink.")
                                        .field("rows", &ExpectRows::rows, "Exactly these rows.")
                                        .field("contains", &ExpectRows::contains, "These rows, and perhaps others.")
                                        .field("count", &ExpectRows::count, "So many rows.", {.min = 0})
                                        .field("ordered", &ExpectRows::ordered, "In this order; else in any.");
  return kTable;
}

const ObjectTable& LetterSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<LetterSpec>("a dead letter", "The parts of a dead letter that matter.")
          .field("stage", &LetterSpec::stage, "The source, step or sink that could not use it.")
          .field("origin", &LetterSpec::origin_text, "cluster/topic/partition/offset.")
          .field("reason", &LetterSpec::reason, "A part of the reason.")
          .field("payload", &LetterSpec::payload, "The record's bytes.");
  return kTable;
}

const ObjectTable& ExpectWatermark::table() {
  static const ObjectTable kTable = TableBuilder<ExpectWatermark>("a watermark", "Where the two watermarks stand.")
                                        .field("firing", &ExpectWatermark::firing, "Windows have fired up to here.")
                                        .field("retention", &ExpectWatermark::retention, "What is older is late.");
  return kTable;
}

const ObjectTable& TestSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<TestSpec>("a test", "A scenario in virtual time; `twinspan test` runs it without a broker.")
          .field("name", &TestSpec::name, "What it shows.", {.required = true, .not_empty = true})
          .field("clock", &TestSpec::clock, "What the wall clock says first; the first event time when not given.")
          .field("shards", &TestSpec::shards, "Threads that own keys; 1 when not given.", {.min = 1, .max = kMaxShards})
          .field("steps", &TestSpec::steps, "What is done and expected, in order.",
                 {.required = true, .not_empty = true});
  return kTable;
}

std::optional<LaneName> parse_lane_name(const Text& text) {
  LaneName out;
  out.text = text;
  std::string_view rest = text.value;
  if (const std::size_t slash = rest.rfind('/'); slash != std::string_view::npos) {
    const std::string_view digits = rest.substr(slash + 1);
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), out.partition);
    if (code != std::errc() || end != digits.data() + digits.size() || out.partition < 0 || out.partition > 9999)
      return std::nullopt;
    out.has_partition = true;
    rest = rest.substr(0, slash);
  }
  if (const std::size_t sign = rest.find('@'); sign != std::string_view::npos) {
    out.cluster = rest.substr(sign + 1);
    out.has_cluster = true;
    rest = rest.substr(0, sign);
    if (out.cluster.empty()) return std::nullopt;
  }
  out.source = rest;
  if (out.source.empty()) return std::nullopt;
  return out;
}

}  // namespace twinspan::config

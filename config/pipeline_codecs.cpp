#include "config/pipeline_codecs.h"

namespace twinspan::config {

namespace {

constexpr double kMaxShards = 256;

Shape one_of(std::vector<Shape> alternatives) {
  Shape shape = simple_shape(ShapeKind::one_of);
  shape.alternatives = std::move(alternatives);
  return shape;
}

Shape choice(std::vector<std::string> words) {
  Shape shape = simple_shape(ShapeKind::choice);
  shape.choices = std::move(words);
  return shape;
}

Shape list_of(Shape element, std::optional<std::size_t> count) {
  Shape shape = simple_shape(ShapeKind::list);
  shape.element = std::make_shared<const Shape>(std::move(element));
  shape.count = count;
  return shape;
}

// `{ pair: [east, west], ... }`: exactly two different names.
struct Pair {
  std::vector<Id> ids;
};

// The object forms of `clusters:`; the one-name form is read into the same specs.
struct SourcePair {
  Pair pair;
  PairMode mode = PairMode::split;
  static const ObjectTable& table();
};
struct RoutePair {
  Pair pair;
  RoutePolicy policy = RoutePolicy::primary_backup;
  Duration fail_back_after = RouteSpec{}.fail_back_after;
  static const ObjectTable& table();
};

}  // namespace

template <>
struct Codec<Pair> : FormsCodec<Pair> {
  static Shape shape() { return list_of(simple_shape(ShapeKind::identifier), 2); }
  static bool read(Reader& reader, const Node& node, Pair& into) {
    if (!Codec<std::vector<Id>>::read(reader, node, into.ids)) return false;
    if (into.ids.size() != 2) {
      return reader.refuse(node, "T0211", fmt::format("a pair is two clusters, not {}", into.ids.size()),
                           "for one cluster write clusters: name");
    }
    if (into.ids[0].value == into.ids[1].value) {
      reader.diagnostics().error(into.ids[1].origin, "T0211",
                                 fmt::format("cluster {} stands twice in the pair", in_quotes(into.ids[1].value)),
                                 "for one cluster write clusters: name");
      return false;
    }
    return true;
  }
};

namespace {

const ObjectTable& SourcePair::table() {
  static const ObjectTable kTable =
      TableBuilder<SourcePair>("source clusters", "A source on two clusters.")
          .field("pair", &SourcePair::pair, "The two clusters.", {.required = true})
          .field("mode", &SourcePair::mode, "split: producers spread records over both clusters.");
  return kTable;
}

const ObjectTable& RoutePair::table() {
  static const ObjectTable kTable =
      TableBuilder<RoutePair>("sink clusters", "A sink on two clusters.")
          .field("pair", &RoutePair::pair, "The two clusters; with primary_backup the first is the primary.",
                 {.required = true})
          .field("policy", &RoutePair::policy, "How records are spread over the clusters.")
          .field("fail_back_after", &RoutePair::fail_back_after, "The primary is used again after so long of health.",
                 {.min = 0});
  return kTable;
}

}  // namespace

Shape Codec<TopicSpec>::shape() { return one_of({simple_shape(ShapeKind::string), Codec<NameMap<Text>>::shape()}); }

bool Codec<TopicSpec>::read(Reader& reader, const Node& node, TopicSpec& into) {
  if (node.kind == NodeKind::map) return Codec<NameMap<Text>>::read(reader, node, into.per_cluster);
  if (node.kind == NodeKind::list) {
    return reader.unavailable(node.key ? node.key : node.origin, "a list of topics");
  }
  if (node.kind != NodeKind::scalar) return reader.wrong_type(node, shape());
  if (!Codec<Text>::read(reader, node, into.all)) return false;
  const std::string& name = into.all.value;
  if (name.starts_with('^')) return reader.unavailable(node.origin, "a topic pattern");
  const bool legal =
      !name.empty() && name.size() <= 249 && name != "." && name != ".." &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == std::string::npos;
  if (legal) return true;
  return reader.refuse(node, "T0209", fmt::format("{} is not a topic name", in_quotes(name)),
                       "Kafka allows up to 249 of a-z, A-Z, 0-9, '.', '_' and '-'");
}

Shape Codec<SourceClusters>::shape() {
  return one_of({simple_shape(ShapeKind::identifier), Codec<SourcePair>::shape()});
}

bool Codec<SourceClusters>::read(Reader& reader, const Node& node, SourceClusters& into) {
  if (node.kind == NodeKind::map) {
    SourcePair pair;
    const bool good = Codec<SourcePair>::read(reader, node, pair);
    into = {std::move(pair.pair.ids), pair.mode};
    return good;
  }
  if (node.kind != NodeKind::scalar) return reader.wrong_type(node, shape());
  return Codec<Id>::read(reader, node, into.names.emplace_back());
}

Shape Codec<RouteSpec>::shape() { return one_of({simple_shape(ShapeKind::identifier), Codec<RoutePair>::shape()}); }

bool Codec<RouteSpec>::read(Reader& reader, const Node& node, RouteSpec& into) {
  if (node.kind == NodeKind::map) {
    RoutePair pair;
    const bool good = Codec<RoutePair>::read(reader, node, pair);
    into = {std::move(pair.pair.ids), pair.policy, pair.fail_back_after};
    return good;
  }
  if (node.kind != NodeKind::scalar) return reader.wrong_type(node, shape());
  return Codec<Id>::read(reader, node, into.names.emplace_back());
}

Shape Codec<StartSpec>::shape() { return one_of({choice({"latest", "earliest"}), simple_shape(ShapeKind::timestamp)}); }

bool Codec<StartSpec>::read(Reader& reader, const Node& node, StartSpec& into) {
  const std::string* text = reader.scalar(node, shape());
  if (text == nullptr) return false;
  if (*text == "latest" || *text == "earliest") {
    into.at = *text == "latest" ? StartAt::latest : StartAt::earliest;
    return true;
  }
  if (text->starts_with("group:")) return reader.unavailable(node.origin, "start: group");
  const auto timestamp = parse_timestamp(*text);
  if (!timestamp) {
    return reader.refuse(node, "T0210", fmt::format("{} is not latest, earliest or a timestamp", in_quotes(*text)),
                         timestamp.error().hint);
  }
  into = {StartAt::timestamp, timestamp.value()};
  return true;
}

Shape Codec<Inputs>::shape() {
  return one_of({simple_shape(ShapeKind::identifier), list_of(simple_shape(ShapeKind::identifier), std::nullopt)});
}

bool Codec<Inputs>::read(Reader& reader, const Node& node, Inputs& into) {
  if (node.kind == NodeKind::scalar) return Codec<Id>::read(reader, node, into.ids.emplace_back());
  if (node.kind != NodeKind::list) return reader.wrong_type(node, shape());
  if (!Codec<std::vector<Id>>::read(reader, node, into.ids)) return false;
  if (into.ids.empty()) check_not_empty(reader, node);
  return !into.ids.empty();
}

Shape Codec<UnnestSpec>::shape() {
  Shape object = simple_shape(ShapeKind::object);
  object.object = &UnnestSpec::table();
  return one_of({simple_shape(ShapeKind::expression), object});
}

bool Codec<UnnestSpec>::read(Reader& reader, const Node& node, UnnestSpec& into) {
  if (node.kind == NodeKind::map) return reader.object(node, UnnestSpec::table(), &into);
  if (node.kind != NodeKind::scalar) return reader.wrong_type(node, shape());
  return Codec<Expression>::read(reader, node, into.array);
}

Shape Codec<JoinKey>::shape() {
  return one_of({simple_shape(ShapeKind::expression), list_of(simple_shape(ShapeKind::expression), 2)});
}

bool Codec<JoinKey>::read(Reader& reader, const Node& node, JoinKey& into) {
  if (node.kind == NodeKind::list) {
    if (node.items.size() != 2) {
      return reader.refuse(node, "T0211",
                           fmt::format("a join key is a column or a pair of two, not a list of {}", node.items.size()),
                           "write [left.a, right.b]");
    }
    const bool left = Codec<Expression>::read(reader, node.items[0], into.left);
    return Codec<Expression>::read(reader, node.items[1], into.right) && left;
  }
  if (!Codec<Expression>::read(reader, node, into.left)) return false;
  into.right = into.left;
  return true;
}

Shape Codec<Interval>::shape() { return list_of(simple_shape(ShapeKind::duration), 2); }

bool Codec<Interval>::read(Reader& reader, const Node& node, Interval& into) {
  if (node.kind != NodeKind::list) return reader.wrong_type(node, shape());
  into.origin = node.origin;
  if (node.items.size() != 2) {
    return reader.refuse(node, "T0211", fmt::format("an interval has two bounds, not {}", node.items.size()),
                         "write [0s, 10m]: the least and the largest right.ts - left.ts");
  }
  const bool lower = Codec<Duration>::read(reader, node.items[0], into.lower);
  if (!Codec<Duration>::read(reader, node.items[1], into.upper) || !lower) return false;
  if (into.lower > into.upper) {
    return reader.refuse(node, "T0310", "the lower bound of the interval is above the upper one",
                         fmt::format("write [{}, {}]", duration_text(into.upper), duration_text(into.lower)));
  }
  return true;
}

Shape Codec<ShardCount>::shape() { return one_of({choice({"auto"}), simple_shape(ShapeKind::integer)}); }

bool Codec<ShardCount>::read(Reader& reader, const Node& node, ShardCount& into) {
  const std::string* text = reader.scalar(node, shape());
  if (text == nullptr) return false;
  if (*text == "auto") {
    into.count.reset();
    return true;
  }
  std::int64_t count = 0;
  if (!Codec<std::int64_t>::read(reader, node, count)) return false;
  check_range(reader, node, simple_shape(ShapeKind::integer), {.min = 1, .max = kMaxShards},
              static_cast<double>(count));
  into.count = count;
  return true;
}

Shape Codec<SplitKeys>::shape() { return one_of({choice({"auto", "off"}), simple_shape(ShapeKind::integer)}); }

bool Codec<SplitKeys>::read(Reader& reader, const Node& node, SplitKeys& into) {
  const std::string* text = reader.scalar(node, shape());
  if (text == nullptr) return false;
  if (*text == "auto" || *text == "off") {
    into = {*text == "off" ? SplitKeys::Kind::off : SplitKeys::Kind::automatic, 0};
    return true;
  }
  into.kind = SplitKeys::Kind::number;
  if (!Codec<std::int64_t>::read(reader, node, into.count)) return false;
  check_range(reader, node, simple_shape(ShapeKind::integer), {.min = 1, .max = kMaxSplitKeys},
              static_cast<double>(into.count));
  return true;
}

}  // namespace twinspan::config

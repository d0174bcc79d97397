#include "gateway/command_eval.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include <simdjson.h>

#include <fmt/format.h>

#include "connectors/formats/json_encoder.h"
#include "engine/base/json_text.h"
#include "engine/expr/program.h"
#include "gateway/expression_binding.h"

namespace twinspan::gateway {

namespace {

constexpr int kInvalidConfiguration = 78;
constexpr std::size_t kRowsAtOnce = 1024;
constexpr const char* kUsage =
    "usage: twinspan eval [options] EXPRESSION\n"
    "  --json FILE|-         rows to compute it over, one JSON object a line; without it there are no columns\n"
    "  --fields NAME:TYPE,.. the types of the columns; else what the rows look like\n"
    "  --format text|json\n";

enum class Seen { nothing, boolean, integer, number, text };

Seen both(Seen a, Seen b) {
  if (a == Seen::nothing || a == b) return b;
  if (b == Seen::nothing) return a;
  const bool numbers = (a == Seen::integer || a == Seen::number) && (b == Seen::integer || b == Seen::number);
  return numbers ? Seen::number : a;  // else what came first: the other row is the one that is wrong
}

DataType type_of(Seen seen) {
  switch (seen) {
    case Seen::boolean: return types::boolean;
    case Seen::integer: return types::int64;
    case Seen::number: return types::float64;
    case Seen::nothing:
    case Seen::text: return types::string;
  }
  return types::string;
}

std::optional<Seen> seen(simdjson::ondemand::value value) {
  namespace od = simdjson::ondemand;
  switch (value.type().value()) {
    case od::json_type::null: return Seen::nothing;
    case od::json_type::boolean: return Seen::boolean;
    case od::json_type::string: return Seen::text;
    case od::json_type::number: {
      const std::string_view token = value.raw_json_token();
      return token.find_first_of(".eE") == std::string_view::npos ? Seen::integer : Seen::number;
    }
    default: return std::nullopt;
  }
}

}  // namespace

std::vector<connectors::JsonField> infer_fields(const std::vector<std::string>& lines) {
  std::vector<std::pair<std::string, Seen>> found;
  std::map<std::string, std::size_t> known;
  simdjson::ondemand::parser parser;
  for (const std::string& line : lines) {
    const simdjson::padded_string padded(line);
    // A line that is no object says nothing here; the decoder will say what is wrong with it.
    try {
      simdjson::ondemand::document document = parser.iterate(padded);
      simdjson::ondemand::object object = document.get_object();
      for (auto field : object) {
        std::string name(field.unescaped_key().value());
        const auto is = seen(field.value());
        if (!is) continue;
        const auto [at, is_new] = known.try_emplace(name, found.size());
        if (is_new) found.emplace_back(name, Seen::nothing);
        Seen& all = found[at->second].second;
        all = both(all, *is);
      }
    } catch (const simdjson::simdjson_error&) {
      continue;
    }
  }
  std::vector<connectors::JsonField> out;
  for (const auto& [name, is] : found) out.push_back({name, type_of(is), connectors::JsonField::Wire::iso8601});
  return out;
}

Result<std::vector<connectors::JsonField>> parse_fields(const std::string& text) {
  std::vector<connectors::JsonField> out;
  std::size_t from = 0;
  int open = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '(') ++open;
    if (i < text.size() && text[i] == ')') --open;
    if (i < text.size() && (text[i] != ',' || open > 0)) continue;
    const std::string field = text.substr(from, i - from);
    from = i + 1;
    const std::size_t colon = field.find(':');
    const std::size_t begin = field.find_first_not_of(' ');
    if (colon == std::string::npos || begin == colon)
      return config_error(fmt::format("--fields: '{}' is not NAME:TYPE", field));
    const std::string name = field.substr(begin, colon - begin), type_text = field.substr(colon + 1);
    const auto type = parse_type(type_text);
    if (!type)
      return config_error(
          fmt::format("--fields: '{}' is not a type: bool, int64, float64, decimal(p,s), string, bytes, "
                      "timestamp, timestamp_ms, duration",
                      type_text));
    const bool millis = type_text.find("timestamp_ms") != std::string::npos;
    out.push_back({name, *type, millis ? connectors::JsonField::Wire::millis : connectors::JsonField::Wire::iso8601});
  }
  return out;
}

std::optional<EvalOutcome> evaluate(const std::string& expression, const std::vector<connectors::JsonField>& fields,
                                    const std::vector<std::string>* lines, config::Diagnostics& diagnostics) {
  const auto source = std::make_shared<const config::SourceText>("expression", expression);
  const auto report = [&](const engine::ExprErrors& errors) {
    for (const engine::ExprError& e : errors)
      diagnostics.error_in_file(source, e.offset, std::max<std::size_t>(1, e.length), "T0401", e.message, e.hint);
  };
  const auto ast = engine::parse_expression(expression);
  if (!ast.ok()) return report(ast.errors()), std::nullopt;

  // Columns that the expression does not read fail no row. With an unknown one all stay, for the hint.
  std::set<std::pair<std::string, std::string>> used;
  collect_columns(*ast.value(), used);
  const auto is_field = [&](const auto& name) {
    return std::any_of(fields.begin(), fields.end(), [&](const auto& f) { return f.name == name.second; });
  };
  const bool all_known = std::all_of(used.begin(), used.end(), is_field);
  connectors::JsonDecoderOptions options;
  for (const connectors::JsonField& f : fields)
    if (!all_known || used.count({"", f.name}) > 0) options.fields.push_back(f);
  auto decoder = connectors::JsonDecoder::make(options);
  if (!decoder) {
    diagnostics.error_in_file(source, 0, 1, "T0410", decoder.error().message);
    return std::nullopt;
  }
  const connectors::LaneKey lane{"eval", "rows", 0};
  decoder.value()->add_lane(LaneIndex(0), lane);
  const Schema schema = decoder.value()->schema();
  engine::ProgramBuilder builder{engine::Scope(schema)};
  const auto slot = builder.add(*ast.value());
  if (!slot.ok()) return report(slot.errors()), std::nullopt;
  EvalOutcome out;
  out.type = builder.type(slot.value());
  engine::Program program = builder.build();
  const Schema result_schema{{{"v", out.type}}};
  const connectors::JsonEncoder encoder(result_schema);

  const std::vector<std::string> one = {"{}"};
  if (lines == nullptr) lines = &one;
  std::vector<connectors::RawRecord> records;
  std::vector<connectors::DecodeFailure> failures;
  for (std::size_t from = 0; from < lines->size(); from += kRowsAtOnce) {
    const std::size_t n = std::min(kRowsAtOnce, lines->size() - from);
    records.clear();
    for (std::size_t i = 0; i < n; ++i)
      records.push_back({LaneIndex(0), static_cast<std::int64_t>(from + i), 0, {}, (*lines)[from + i], false, true});
    failures.clear();
    const Batch batch = decoder.value()->decode(records.data(), n, &schema, failures);
    Arena arena;
    engine::EvalErrors errors;
    std::vector<Column> columns;
    if (batch.rows > 0) columns = program.evaluate(batch, arena, errors);
    Batch results;
    results.schema = &result_schema;
    results.rows = batch.rows;
    results.columns = columns;
    std::size_t next_failure = 0, next_error = 0;
    std::uint32_t row = 0;
    for (std::size_t i = 0; i < n; ++i) {
      EvalOutcome::Row& r = out.rows.emplace_back();
      if (next_failure < failures.size() && failures[next_failure].index == i) {
        r.error = failures[next_failure++].reason;
        continue;
      }
      if (next_error < errors.size() && errors[next_error].row == row) {
        r.error = errors[next_error++].message;
      } else {
        encoder.encode(results, row, r.value);
        r.value = r.value.substr(5, r.value.size() - 6);  // what stands between {"v": and }
      }
      ++row;
    }
  }
  return out;
}

namespace {

bool read_lines(std::istream& in, std::vector<std::string>& out) {
  for (std::string line; std::getline(in, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") != std::string::npos) out.push_back(std::move(line));
  }
  return in.eof();
}

}  // namespace

int command_eval(const std::vector<std::string>& args) {
  std::string expression, file, fields_text, format = "text";
  bool have_expression = false, bad = false;
  for (std::size_t i = 1; i < args.size(); ++i) {
    const bool more = i + 1 < args.size();
    if (args[i] == "--help" || args[i] == "-h") return std::fputs(kUsage, stdout), 0;
    if (args[i] == "--json" && more)
      file = args[++i];
    else if (args[i] == "--fields" && more)
      fields_text = args[++i];
    else if (args[i] == "--format" && more)
      format = args[++i];
    else if (!have_expression && (!args[i].starts_with("--") || args[i].size() == 2))
      expression = args[i], have_expression = true;
    else
      bad = true;
  }
  if (!have_expression || bad || (format != "text" && format != "json")) return std::fputs(kUsage, stderr), 2;

  std::vector<std::string> lines;
  if (!file.empty()) {
    std::ifstream opened;
    if (file != "-") opened.open(file, std::ios::binary);
    if (!read_lines(file == "-" ? std::cin : opened, lines)) {
      std::fprintf(stderr, "twinspan eval: cannot read '%s'\n", file.c_str());
      return 1;
    }
  }
  std::vector<connectors::JsonField> fields;
  if (fields_text.empty()) {
    fields = infer_fields(lines);
  } else {
    auto parsed = parse_fields(fields_text);
    if (!parsed) return std::fprintf(stderr, "twinspan eval: %s\n", parsed.error().message.c_str()), 2;
    fields = std::move(parsed).value();
  }
  config::Diagnostics diagnostics;
  const auto outcome = evaluate(expression, fields, file.empty() ? nullptr : &lines, diagnostics);
  if (!outcome) {
    if (format == "json")
      std::puts(diagnostics.to_json().c_str());
    else
      std::fputs(diagnostics.render().c_str(), stderr);
    return kInvalidConfiguration;
  }
  bool failed = false;
  std::string text;
  for (const EvalOutcome::Row& r : outcome->rows) {
    failed |= !r.error.empty();
    if (format == "text")
      text += r.error.empty() ? r.value + "\n" : "error: " + r.error + "\n";
    else
      text += fmt::format("{}{}", text.empty() ? "" : ",",
                          r.error.empty() ? fmt::format("{{\"value\":{}}}", r.value)
                                          : fmt::format("{{\"error\":{}}}", json_string(r.error)));
  }
  if (format == "text")
    std::fputs(fmt::format("type: {}\n{}", to_string(outcome->type), text).c_str(), stdout);
  else
    std::puts(fmt::format("{{\"type\":{},\"rows\":[{}]}}", json_string(to_string(outcome->type)), text).c_str());
  return failed ? 1 : 0;
}

}  // namespace twinspan::gateway

#pragma once
// A small table of typed columns as a Batch, and one-line evaluation, for the tests of expressions. Thread: any.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/json_reader.h"
#include "engine/base/json_text.h"
#include "engine/expr/program.h"

namespace twinspan::testing {

using engine::EvalErrors;
using engine::ExprError;

template <class T>
using Opt = std::optional<T>;

class Table {
 public:
  template <class T>
  Table& add(std::string name, DataType type, const std::vector<Opt<T>>& values, std::string qualifier = "") {
    auto* data = arena_->make<T>(values.size());
    auto* valid = arena_->make<std::uint8_t>(values.size());
    bool nulls = false;
    for (std::size_t i = 0; i < values.size(); ++i) {
      data[i] = values[i].value_or(T{});
      valid[i] = values[i].has_value();
      nulls = nulls || !valid[i];
    }
    batch_.rows = static_cast<std::uint32_t>(values.size());
    batch_.columns.push_back({type, data, nulls ? valid : nullptr});
    scope_.add(std::move(qualifier), std::move(name), type, static_cast<int>(batch_.columns.size()) - 1);
    return *this;
  }
  Table& ints(std::string name, std::vector<Opt<std::int64_t>> v) {
    return add<std::int64_t>(std::move(name), types::int64, v);
  }
  Table& floats(std::string name, std::vector<Opt<double>> v) {
    return add<double>(std::move(name), types::float64, v);
  }
  Table& bools(std::string name, std::vector<Opt<std::uint8_t>> v) {
    return add<std::uint8_t>(std::move(name), types::boolean, v);
  }
  Table& times(std::string name, std::vector<Opt<std::int64_t>> v) {
    return add<std::int64_t>(std::move(name), types::timestamp, v);
  }
  Table& strings(std::string name, const std::vector<Opt<std::string>>& v, std::string qualifier = "") {
    std::vector<Opt<std::string_view>> views;
    for (const auto& s : v) views.push_back(s ? Opt<std::string_view>(arena_->copy(*s)) : std::nullopt);
    return add<std::string_view>(std::move(name), types::string, views, std::move(qualifier));
  }
  Table& decimals(std::string name, unsigned precision, unsigned scale, const std::vector<Opt<std::string>>& v) {
    std::vector<Opt<Decimal>> values;
    for (const auto& s : v) values.push_back(s ? parse_decimal(*s, precision, scale) : std::nullopt);
    return add<Decimal>(std::move(name),
                        types::decimal(static_cast<std::uint8_t>(precision), static_cast<std::uint8_t>(scale)), values);
  }

  // Values of any type, written as JSON.
  Table& values(std::string name, std::string_view type_text, const std::vector<Opt<std::string>>& json) {
    const DataType type = *parse_type(type_text);
    JsonReader reader(type);
    const std::size_t width = value_width(type.kind);
    auto* data = static_cast<char*>(arena_->allocate(width * json.size() + 1, 16));
    auto* valid = arena_->make<std::uint8_t>(json.size());
    std::memset(data, 0, width * json.size());
    for (std::size_t i = 0; i < json.size(); ++i) {
      valid[i] = 0;
      if (!json[i]) continue;
      EXPECT_TRUE(json_valid(*json[i])) << *json[i];
      const auto outcome = reader.read(arena_->copy(*json[i]), *arena_, data + i * width);
      EXPECT_NE(outcome, JsonReader::Outcome::bad) << *json[i] << reader.path() << ": " << reader.reason();
      valid[i] = outcome == JsonReader::Outcome::value;
    }
    batch_.rows = static_cast<std::uint32_t>(json.size());
    batch_.columns.push_back({type, data, valid});
    scope_.add("", std::move(name), type, static_cast<int>(batch_.columns.size()) - 1);
    return *this;
  }

  const Batch& batch() const { return batch_; }
  const engine::Scope& scope() const { return scope_; }

 private:
  std::shared_ptr<Arena> arena_ = std::make_shared<Arena>();
  Batch batch_;
  engine::Scope scope_;
};

inline std::string show(const Column& c, std::size_t row) {
  if (c.is_null(row)) return "NULL";
  switch (c.type.kind) {
    case TypeKind::boolean: return c.as<std::uint8_t>()[row] != 0 ? "true" : "false";
    case TypeKind::float64: {
      char text[64];
      std::snprintf(text, sizeof text, "%.10g", c.as<double>()[row]);
      if (std::string_view(text) == "-0") return "0";
      return text;
    }
    case TypeKind::decimal: return decimal_to_string(c.as<Decimal>()[row], c.type.scale);
    case TypeKind::string:
    case TypeKind::bytes: return std::string(c.as<std::string_view>()[row]);
    case TypeKind::timestamp: return timestamp_to_string(c.as<std::int64_t>()[row]);
    case TypeKind::null: return "NULL";
    case TypeKind::array:
    case TypeKind::map:
    case TypeKind::row:
    case TypeKind::json: {
      std::string out;
      append_json(c.type, c.as<std::string_view>() + row, JsonTimestamps::iso8601, out);
      return out;
    }
    default: return std::to_string(c.as<std::int64_t>()[row]);
  }
}

// Every row of the expression as text; a row with an error reads "!message".
inline std::vector<std::string> evaluate(const Table& table, const std::string& text) {
  const auto ast = engine::parse_expression(text);
  if (!ast) return {"parse: " + ast.errors()[0].message};
  engine::ProgramBuilder builder(table.scope());
  const auto slot = builder.add(**ast);
  if (!slot) return {"bind: " + slot.errors()[0].message};
  engine::Program program = builder.build();
  Arena arena;
  EvalErrors errors;
  const auto columns = program.evaluate(table.batch(), arena, errors);
  std::vector<std::string> out;
  for (std::uint32_t i = 0; i < table.batch().rows; ++i) out.push_back(show(columns[0], i));
  for (const auto& e : errors) {
    EXPECT_EQ(out[e.row], "NULL") << text << ": a row with an error must be NULL";
    out[e.row] = "!" + e.message;
  }
  return out;
}

// The literals of a tree become columns of three equal rows, so that nothing can be folded.
inline engine::AstPtr lifted(const engine::AstPtr& ast, Table& table, int& n) {
  using engine::AstKind;
  auto copy = std::make_shared<engine::Ast>(*ast);
  const auto column = [&] {
    copy->kind = AstKind::column;
    copy->text = "lifted" + std::to_string(n++);
    return copy->text;
  };
  const auto three = [](auto v) { return std::vector<Opt<decltype(v)>>{v, v, v}; };
  switch (ast->kind) {
    case AstKind::string_literal: table.strings(column(), three(ast->text)); break;
    case AstKind::int_literal: table.ints(column(), three(ast->number)); break;
    case AstKind::bool_literal: table.bools(column(), three(static_cast<std::uint8_t>(ast->number))); break;
    case AstKind::timestamp_literal: table.times(column(), three(ast->number)); break;
    case AstKind::interval_literal: table.add<std::int64_t>(column(), types::duration, three(ast->number)); break;
    case AstKind::float_literal: table.floats(column(), three(std::stod(ast->text))); break;
    default:
      for (auto& c : copy->children) c = lifted(c, table, n);
  }
  return copy;
}

// A constant expression. Where the same over columns is legal and has the same type, it must give the same.
inline std::string value_of(const std::string& text) {
  Table one;
  one.ints("one", {1});
  const std::string folded = evaluate(one, text)[0];
  const auto ast = engine::parse_expression(text);
  if (!ast) return folded;
  Table table;
  table.ints("one", {1, 1, 1});
  int n = 0;
  const auto over_columns = lifted(*ast, table, n);
  const auto type = engine::type_of(*over_columns, table.scope()), constant_type = engine::type_of(**ast, one.scope());
  if (type.ok() && constant_type.ok() && *type == *constant_type) {
    for (const std::string& row : evaluate(table, engine::to_string(*over_columns)))
      EXPECT_EQ(row, folded) << text << " over columns";
  }
  return folded;
}

inline std::vector<ExprError> errors_of(const Table& table, const std::string& text) {
  const auto ast = engine::parse_expression(text);
  if (!ast) return ast.errors();
  engine::ProgramBuilder builder(table.scope());
  const auto slot = builder.add(**ast);
  return slot ? std::vector<ExprError>{} : slot.errors();
}

}  // namespace twinspan::testing

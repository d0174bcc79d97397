#include "gateway/command_eval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace twinspan::gateway {
namespace {

using ::testing::HasSubstr;

std::string types(const std::vector<connectors::JsonField>& fields) {
  std::string out;
  for (const auto& f : fields) out += (out.empty() ? "" : ", ") + f.name + " " + to_string(f.type);
  return out;
}

std::string results(const std::string& expression, const std::vector<std::string>& lines,
                    const std::string& fields = "") {
  config::Diagnostics diagnostics;
  auto columns = fields.empty() ? infer_fields(lines) : parse_fields(fields).value();
  const auto outcome = evaluate(expression, columns, &lines, diagnostics);
  if (!outcome) return diagnostics.render();
  std::string out = to_string(outcome->type) + ":";
  for (const auto& r : outcome->rows) out += " " + (r.error.empty() ? r.value : "<" + r.error + ">");
  return out;
}

TEST(Eval, TypesAreThoseTheRowsSeemToHave) {
  EXPECT_EQ(types(infer_fields({R"({"a":1,"b":1,"c":true,"d":"x","e":null,"f":[1],"g":1})",
                                R"({"a":-2,"b":1.5,"c":null,"e":null,"g":"y","h":1e3})", "not JSON"})),
            "a int64, b float64, c bool, d string, e string, g int64, h float64");
}

TEST(Eval, FieldsGiveTypesByName) {
  const auto fields = parse_fields("a:int64, price:decimal(18,4),at:timestamp,ms:timestamp_ms");
  ASSERT_TRUE(fields);
  EXPECT_EQ(types(fields.value()), "a int64, price decimal(18,4), at timestamp, ms timestamp");
  EXPECT_EQ(fields.value()[2].wire, connectors::JsonField::Wire::iso8601);
  EXPECT_EQ(fields.value()[3].wire, connectors::JsonField::Wire::millis);
  EXPECT_THAT(parse_fields("a").error().message, HasSubstr("'a' is not NAME:TYPE"));
  EXPECT_THAT(parse_fields("a:number").error().message, HasSubstr("'number' is not a type"));
}

TEST(Eval, OneResultARow) {
  EXPECT_EQ(results("a + 1", {R"({"a":1})", R"({"a":null})", "{}"}), "int64: 2 null null");
  EXPECT_EQ(results("upper(name)", {R"({"name":"ann"})", R"({"name":"é \"x\""})"}), R"(string: "ANN" "é \"X\"")");
  EXPECT_EQ(results("price * 2", {R"({"price":0.1})", R"({"price":"0.10"})"}, "price:decimal(10,2)"),
            "decimal(12,2): 0.20 0.20");
}

TEST(Eval, ARowThatFailsSaysWhyAndTheOthersGoOn) {
  const std::string text = results("10 / a", {R"({"a":5})", R"({"a":0})", "oops", R"({"a":2})"});
  EXPECT_THAT(text, HasSubstr(": 2 <"));
  EXPECT_THAT(text, HasSubstr("<not a JSON object"));
  EXPECT_THAT(text, ::testing::EndsWith("> 5"));
}

TEST(Eval, ColumnsThatAreNotReadFailNoRow) {
  const std::vector<std::string> rows = {R"({"a":1,"b":1})", R"({"a":2,"b":"x"})"};
  EXPECT_EQ(results("a", rows), "int64: 1 2");
  EXPECT_THAT(results("b", rows), HasSubstr("int64: 1 <field \"b\""));
}

TEST(Eval, ManyRowsKeepTheirOrder) {
  std::vector<std::string> lines;
  std::string expected = "int64:";
  for (int i = 0; i < 3000; ++i) {
    lines.push_back(i % 7 == 3 ? "bad" : R"({"a":)" + std::to_string(i) + "}");
    expected += i % 7 == 3 ? " <not a JSON object: it starts with bad>" : " " + std::to_string(i + 1);
  }
  EXPECT_EQ(results("a + 1", lines), expected);
}

TEST(Eval, WithoutRowsItIsComputedOnce) {
  config::Diagnostics diagnostics;
  const auto outcome = evaluate("1 + 2", {}, nullptr, diagnostics);
  ASSERT_TRUE(outcome) << diagnostics.render();
  ASSERT_EQ(outcome->rows.size(), 1u);
  EXPECT_EQ(outcome->rows[0].value, "3");
}

TEST(Eval, AMistakeIsShownAtItsPlace) {
  EXPECT_EQ(results("a + uper('x')", {R"({"a":1})"}),
            "expression:1:5: error[T0401]: unknown function `uper`\n"
            " 1 | a + uper('x')\n"
            "   |     ^^^^^^^^^\n"
            "   = hint: did you mean `upper`?\n");
  EXPECT_THAT(results("a +", {R"({"a":1})"}), HasSubstr("expression:1:4: error[T0401]"));
  EXPECT_THAT(results("b", {R"({"a":1})"}), HasSubstr("expression:1:1: error[T0401]"));
}

}  // namespace
}  // namespace twinspan::gateway

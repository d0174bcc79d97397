// The reference says everything there is, and the page in the tree is what the command prints.

#include "gateway/reference.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include <boost/json.hpp>

#include "config/descriptor.h"
#include "config/pipeline_spec.h"
#include "engine/expr/aggregate_table.h"
#include "engine/expr/functions.h"
#include "gateway/command_docs.h"

namespace twinspan::gateway {
namespace {

// The first line that differs, so that a failure says where.
std::string first_difference(const std::string& a, const std::string& b) {
  std::istringstream x(a), y(b);
  std::string m, n;
  for (int line = 1;; ++line) {
    const bool more_a = static_cast<bool>(std::getline(x, m)), more_b = static_cast<bool>(std::getline(y, n));
    if (!more_a && !more_b) return "";
    if (more_a != more_b || m != n)
      return "line " + std::to_string(line) + "\n  in the file: " + (more_a ? m : "(end)") +
             "\n  printed:     " + (more_b ? n : "(end)");
  }
}

TEST(Reference, ThePageInTheTreeIsWhatTheCommandPrints) {
  std::ifstream in(TWINSPAN_SOURCE_DIR "/docs/reference.md");
  const std::string page((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  EXPECT_TRUE(page == reference_markdown())
      << "docs/reference.md is not what `twinspan docs` prints: " << first_difference(page, reference_markdown())
      << "\nto write it anew:  build/release/gateway/twinspan docs > docs/reference.md";
}

TEST(Reference, HasEveryKeyAndFunction) {
  const std::string page = reference_markdown();
  for (const config::Field& f : config::StepSpec::table().fields())
    EXPECT_NE(page.find("`" + f.name + "`"), std::string::npos) << f.name;
  for (const config::Field& f : config::DeduplicateSpec::table().fields())
    EXPECT_NE(page.find("| `" + f.name + "` | "), std::string::npos) << f.name;
  for (const engine::FunctionInfo& f : engine::function_table()) {
    std::string signature(f.signature);
    for (std::size_t at = 0; (at = signature.find('|', at)) != std::string::npos; at += 2) signature.insert(at, "\\");
    EXPECT_NE(page.find("| `" + signature + "` | "), std::string::npos) << f.signature;
  }
  for (const engine::AggregateInfo& a : engine::aggregate_table())
    EXPECT_NE(page.find("| `" + std::string(a.name) + "("), std::string::npos) << a.name;
  EXPECT_NE(page.find("### `steps.<id>.window`"), std::string::npos);
}

TEST(Reference, RowsOfTablesHaveTheirColumns) {
  std::istringstream page(reference_markdown());
  std::string line;
  std::size_t columns = 0;
  while (std::getline(page, line)) {
    if (!line.starts_with("|")) {
      columns = 0;
      continue;
    }
    std::size_t bars = 0;
    for (std::size_t i = 0; i < line.size(); ++i) bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    if (columns == 0) columns = bars;
    EXPECT_EQ(bars, columns) << line;
  }
}

TEST(Reference, TheJsonFormIsJsonWithTheSameContent) {
  const boost::json::value v = boost::json::parse(reference_json());
  EXPECT_EQ(v.at("functions").as_array().size(), engine::function_table().size());
  EXPECT_EQ(v.at("aggregates").as_array().size(), engine::aggregate_table().size());
  EXPECT_EQ(v.at("pipeline").at(0).at("keys").as_array().size(), config::PipelineSpec::table().fields().size());
  EXPECT_EQ(v.at("pipeline").at(0).at("paths").at(0).as_string(), "");
}

TEST(Reference, WrongOptionsAreAUsageError) {
  EXPECT_EQ(command_docs({"docs", "--format", "pdf"}), 2);
  EXPECT_EQ(command_docs({"docs", "more"}), 2);
}

}  // namespace
}  // namespace twinspan::gateway

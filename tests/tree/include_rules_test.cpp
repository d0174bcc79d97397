#include "tests/tree/include_rules.h"

#include "tests/support/kafka_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace twinspan::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A tree of one-line headers, to be made wrong in one place.
class IncludeRulesTest : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = std::filesystem::path(dir_.path()) / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << '\n';
  }

  void SetUp() override {
    for (const char* header :
         {"engine/base/batch.h", "engine/expr/program.h", "engine/state/row.h", "engine/operators/join.h",
          "engine/checkpoint/store.h", "engine/runtime/shard.h", "connectors/source.h", "connectors/formats/json.h",
          "connectors/kafka/reader.h", "connectors/file/reader.h", "throttle/bucket.h", "config/spec.h",
          "config/section.h", "admin/control_plane.h", "gateway/app.h", "tests/support/oracle.h"}) {
      write(header, "#pragma once");
    }
  }

  std::vector<std::string> check(const std::string& file, const std::string& include) {
    write(file, include);
    return wrong_includes(dir_.path());
  }

  TempDir dir_;
};

TEST(TreeTest, IncludesFollowTheArrowsOfTheArchitecture) {
  EXPECT_THAT(wrong_includes(TWINSPAN_SOURCE_DIR), IsEmpty());
}

TEST_F(IncludeRulesTest, AllowsWhatIsDrawn) {
  EXPECT_THAT(check("engine/operators/a.cpp", "#include \"engine/expr/program.h\"\n#include \"engine/state/row.h\""),
              IsEmpty());
  EXPECT_THAT(check("engine/checkpoint/a.cpp", "#include \"engine/state/row.h\""), IsEmpty());
  EXPECT_THAT(
      check("engine/runtime/a.cpp", "#include \"engine/checkpoint/store.h\"\n#include \"engine/operators/join.h\""),
      IsEmpty());
  EXPECT_THAT(
      check("connectors/kafka/a.cpp", "#include \"connectors/source.h\"\n#include \"connectors/formats/json.h\""),
      IsEmpty());
  EXPECT_THAT(check("connectors/kafka/b.cpp", "#include \"config/section.h\""), IsEmpty());
  EXPECT_THAT(check("gateway/a.cpp", "#include \"admin/control_plane.h\"\n#include \"connectors/kafka/reader.h\""),
              IsEmpty());
  EXPECT_THAT(check("tests/x/a.cpp", "#include \"gateway/app.h\"\n#include \"tests/support/oracle.h\""), IsEmpty());
}

TEST_F(IncludeRulesTest, RefusesSiblings) {
  EXPECT_THAT(check("connectors/kafka/a.cpp", "\n#include \"engine/state/row.h\""),
              ElementsAre(HasSubstr("connectors/kafka/a.cpp:2: connectors/kafka may not include engine/state")));
  write("connectors/kafka/a.cpp", "");
  EXPECT_THAT(check("admin/a.cpp", "#include \"config/spec.h\""),
              ElementsAre(HasSubstr("admin may not include config")));
}

TEST_F(IncludeRulesTest, RefusesWhatPointsUpwards) {
  EXPECT_THAT(check("engine/base/a.cpp", "#include \"engine/expr/program.h\""),
              ElementsAre(HasSubstr("engine/base may not include engine/expr")));
  write("engine/base/a.cpp", "");
  EXPECT_THAT(check("engine/state/a.cpp", "#include \"engine/checkpoint/store.h\""),
              ElementsAre(HasSubstr("engine/state may not include engine/checkpoint")));
  write("engine/state/a.cpp", "");
  EXPECT_THAT(check("engine/expr/a.cpp", "#include \"engine/state/row.h\""),
              ElementsAre(HasSubstr("engine/expr may not include engine/state")));
  write("engine/expr/a.cpp", "");
  EXPECT_THAT(check("throttle/a.cpp", "#include \"gateway/app.h\""),
              ElementsAre(HasSubstr("throttle may not include gateway")));
  write("throttle/a.cpp", "");
  EXPECT_THAT(check("gateway/a.cpp", "#include \"tests/support/oracle.h\""),
              ElementsAre(HasSubstr("gateway may not include tests")));
}

TEST_F(IncludeRulesTest, RefusesPathsThatAreNotFromTheRoot) {
  EXPECT_THAT(check("engine/expr/a.cpp", "#include \"program.h\""),
              ElementsAre(HasSubstr("\"program.h\" is not a file from the repository root")));
  EXPECT_THAT(check("engine/expr/a.cpp", "#include <engine/expr/program.h>"),
              ElementsAre(HasSubstr("own headers are included with quotes")));
}

TEST_F(IncludeRulesTest, KeepsHeavyLibrariesOutOfHeaders) {
  EXPECT_THAT(check("config/a.h", "#include <yaml-cpp/yaml.h>"), ElementsAre(HasSubstr("only in .cpp files")));
  write("config/a.h", "");
  EXPECT_THAT(check("config/a.cpp", "#include <yaml-cpp/yaml.h>"), IsEmpty());
}

TEST_F(IncludeRulesTest, KeepsTheVocabularyFreeOfLibraries) {
  EXPECT_THAT(check("engine/base/a.cpp", "#include <spdlog/spdlog.h>"),
              ElementsAre(HasSubstr("engine/base knows std, fmt and Boost.Outcome only")));
  EXPECT_THAT(
      check("engine/base/a.cpp", "#include <boost/outcome/try.hpp>\n#include <fmt/format.h>\n#include <vector>"),
      IsEmpty());
}

TEST_F(IncludeRulesTest, RefusesAFolderNobodyDrew) {
  EXPECT_THAT(check("engine/magic/a.cpp", "#include \"engine/base/batch.h\""),
              ElementsAre(HasSubstr("engine/magic is in no row of the table")));
}

}  // namespace
}  // namespace twinspan::testing

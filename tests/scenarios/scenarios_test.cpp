// Every test of every file in this folder, and of examples/, at batches of 1, 7 and 1024, on 1, 2 and 3 shards, and
// stopped and restored after every step. One gtest a test, named after its file.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/native/native_module.h"
#include "gateway/command_test.h"
#include "gateway/load.h"

namespace twinspan::gateway {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_of(const char* folder) {
  std::vector<fs::path> out;
  for (const auto& f : fs::directory_iterator(fs::path(TWINSPAN_SOURCE_DIR) / folder))
    if (f.path().extension() == ".yaml" && f.path().filename() != "service.yaml") out.push_back(f.path());
  std::sort(out.begin(), out.end());
  return out;
}

std::string name_of(const fs::path& file, std::size_t number) {
  std::string out = file.stem().string();
  for (char& c : out)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return out + "_" + std::to_string(number);
}

class Scenario : public ::testing::Test {
 public:
  Scenario(std::shared_ptr<const config::PipelineSpec> spec, std::string file, std::size_t number)
      : spec_(std::move(spec)), file_(std::move(file)), number_(number) {}
  void TestBody() override {
    const TestResult result = run_thoroughly(*spec_, spec_->tests.at(number_));
    EXPECT_TRUE(result.passed()) << test_text({file_, {result}}, true);
  }

 private:
  const std::shared_ptr<const config::PipelineSpec> spec_;
  const std::string file_;
  const std::size_t number_;
};

// What a file must be, whatever its tests say: valid without a warning, with a test, and begun by a comment that says
// what it shows.
class ScenarioFile : public ::testing::Test {
 public:
  explicit ScenarioFile(fs::path file) : file_(std::move(file)) {}
  void TestBody() override {
    auto text = read_text_file(file_);
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_TRUE(text.value().starts_with("# ")) << "say what it shows in its first line";
    config::Diagnostics diagnostics;
    const auto loaded = load_pipeline(text.value(), file_, nullptr, {}, diagnostics);
    EXPECT_EQ(diagnostics.render(), "");
    ASSERT_TRUE(loaded);
    EXPECT_FALSE(loaded->spec->tests.empty());
  }

 private:
  const fs::path file_;
};

}  // namespace

void register_all() {
  for (const char* folder : {"tests/scenarios", "examples"}) {
    for (const fs::path& file : files_of(folder)) {
      ::testing::RegisterTest("ScenarioFile", name_of(file, 0).c_str(), nullptr, nullptr, file.c_str(), 1,
                              [file]() -> ScenarioFile* { return new ScenarioFile(file); });
      auto text = read_text_file(file);
      if (!text) continue;
      config::Diagnostics diagnostics;
      auto loaded = load_pipeline(text.value(), file, nullptr, {}, diagnostics);
      if (!loaded) continue;
      const std::shared_ptr<const config::PipelineSpec> spec = std::move(loaded->spec);
      for (std::size_t i = 0; i < spec->tests.size(); ++i)
        ::testing::RegisterTest("Scenario", name_of(file, i + 1).c_str(), nullptr, nullptr, file.c_str(), 1,
                                [spec, file, i]() -> Scenario* { return new Scenario(spec, file.string(), i); });
    }
  }
}

namespace {

TEST(Scenarios, ThereAreMany) { EXPECT_GE(files_of("tests/scenarios").size(), 60u); }

}  // namespace
}  // namespace twinspan::gateway

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (const auto& error : twinspan::engine::load_native_modules(TWINSPAN_EXAMPLE_MODULES)) {
    std::fprintf(stderr, "%s\n", error.message.c_str());
    return 1;
  }
  twinspan::gateway::register_all();
  return RUN_ALL_TESTS();
}

// The program itself: what it prints, how it ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace twinspan::gateway {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

struct Ended {
  int exit_code = -1;
  std::string output;  // both streams
};

Ended run(const std::string& arguments) {
  Ended out;
  std::FILE* pipe = ::popen((std::string("exec " TWINSPAN_BINARY " ") + arguments + " 2>&1 </dev/null").c_str(), "r");
  if (pipe == nullptr) return out;
  std::array<char, 4096> buffer;
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) out.output.append(buffer.data(), n);
  const int status = ::pclose(pipe);
  out.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return out;
}

class DemoBinary : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = (std::filesystem::temp_directory_path() / "twinspan-demo-test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    directory_ = path;
    ::setenv("TMPDIR", path.c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("TMPDIR");
    std::filesystem::remove_all(directory_);
  }
  std::filesystem::path directory_;
};

TEST_F(DemoBinary, ShowsFailoverSwitchDiscardAndResultsInTwentySeconds) {
  const Ended demo = run("demo --plain --for 20s");
  SCOPED_TRACE(demo.output);
  EXPECT_EQ(demo.exit_code, 0);
  EXPECT_THAT(demo.output, HasSubstr("mock brokers know no transactions"));
  EXPECT_THAT(demo.output, HasSubstr("source cluster east is lost"));
  EXPECT_THAT(demo.output, HasSubstr("sink uv_out switches to west"));
  EXPECT_THAT(demo.output, HasSubstr("east has caught up and counts again"));
  EXPECT_THAT(demo.output, ContainsRegex("lag discard 1 is done: [1-9][0-9,]* records skipped"));
  EXPECT_THAT(demo.output, ContainsRegex("result  day so far to [0-9][0-9]:[0-9][0-9]: BJ uv [1-9]"));
  EXPECT_THAT(demo.output, ContainsRegex("results +[1-9][0-9]* in [1-9]"));
  EXPECT_THAT(demo.output, ContainsRegex("source failovers +1 "));
  EXPECT_THAT(demo.output, ContainsRegex("sink switches +1 "));
  EXPECT_THAT(demo.output, ContainsRegex("lag discards +1 "));
  EXPECT_THAT(demo.output, ContainsRegex("verdict +ok"));
  EXPECT_THAT(demo.output, Not(HasSubstr("\x1b"))) << "lines are plain";
  EXPECT_TRUE(std::filesystem::is_empty(directory_)) << "the data directory is gone";
}

TEST_F(DemoBinary, PrintsAPipelineThatValidates) {
  const Ended printed = run("demo --print-pipeline");
  ASSERT_EQ(printed.exit_code, 0);
  const std::filesystem::path file = directory_ / "pipeline.yaml";
  std::ofstream(file) << printed.output;
  const Ended validated = run("validate " + file.string());
  EXPECT_EQ(validated.exit_code, 0) << validated.output;
}

TEST_F(DemoBinary, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(run("demo --plian").exit_code, 2);
  EXPECT_EQ(run("demo --for soon").exit_code, 2);
  EXPECT_EQ(run("demo --for 1s").exit_code, 2);
}

}  // namespace
}  // namespace twinspan::gateway

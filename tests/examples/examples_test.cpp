// What the README tells a newcomer to do, done: the files of examples/ are valid, the first one gives what the README
// shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/kafka_cluster.h"

namespace twinspan::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

const fs::path kSource = TWINSPAN_SOURCE_DIR;

std::string text_of(const fs::path& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in) << path;
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// A folder of its own with a copy of examples/, in which the program runs.
class Examples : public ::testing::Test {
 protected:
  Examples() { fs::copy(kSource / "examples", here() / "examples"); }
  fs::path here() const { return directory_.path(); }

  // Exit code; what it said is in output().
  int run(std::vector<std::string> arguments) {
    std::vector<std::string> command = {"env", "-C", here(), TWINSPAN_BINARY};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const pid_t pid = spawn(command, {.output = here() / "output", .env = {}});
    const auto status = wait_exit(pid, 30s);
    if (!status) {
      ::kill(pid, SIGKILL);
      return -1;
    }
    return WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
  }
  std::string output() const { return text_of(here() / "output"); }

 private:
  TempDir directory_;
};

TEST_F(Examples, EveryPipelineIsValidWithTheServiceFile) {
  std::vector<std::string> arguments = {"validate", "-c", "examples/service.yaml"};
  for (const auto& file : fs::directory_iterator(here() / "examples")) {
    if (file.path().extension() == ".yaml" && file.path().filename() != "service.yaml")
      arguments.push_back(file.path());
  }
  ASSERT_GE(arguments.size(), 6u);
  EXPECT_EQ(run(arguments), 0) << output();
  EXPECT_EQ(output(), "valid\n");  // and no warning
}

TEST_F(Examples, FirstPipelineGivesWhatTheReadmeShows) {
  // Another program may have the default port.
  std::ofstream(here() / "service.yaml")
      << "clusters: { east: { bootstrap: [\"127.0.0.1:1\"] } }\nadmin: { listen: \"127.0.0.1:0\" }\n";
  ASSERT_EQ(run({"run", "-c", "service.yaml", "examples/first.yaml"}), 0) << output();

  const std::vector<std::string> results = lines_of(text_of(here() / "first.out.jsonl"));
  EXPECT_THAT(
      results,
      ::testing::UnorderedElementsAre(
          R"({"page":"/home","window_start":"2026-01-01T00:00:00Z","window_end":"2026-01-01T00:01:00Z","views":4,"users":3,"slow":1,"slowest_ms":340})",
          R"({"page":"/cart","window_start":"2026-01-01T00:00:00Z","window_end":"2026-01-01T00:01:00Z","views":1,"users":1,"slow":1,"slowest_ms":210})",
          R"({"page":"/cart","window_start":"2026-01-01T00:01:00Z","window_end":"2026-01-01T00:02:00Z","views":2,"users":2,"slow":2,"slowest_ms":1900})"));
  const std::vector<std::string> dead = lines_of(text_of(here() / "first.dead.jsonl"));
  EXPECT_THAT(
      dead,
      ::testing::ElementsAre(
          R"y({"stage":"views","origin":"file/examples/first.jsonl/0/334","reason":"field \"ms\": expected a 64-bit integer, found \"slow\"","payload":"{\"user\":\"bob\",\"page\":\"/cart\",\"ms\":\"slow\",\"ts\":\"2026-01-01T00:00:50Z\"}"})y"));

  const std::string readme = text_of(kSource / "README.md");
  for (const std::string& line : results) EXPECT_THAT(readme, ::testing::HasSubstr(line));
  for (const std::string& line : dead) EXPECT_THAT(readme, ::testing::HasSubstr(line));
}

TEST_F(Examples, TheirTestsPass) {
  std::vector<std::string> arguments = {"test", "-c", "examples/service.yaml", "--junit", "junit.xml"};
  for (const auto& file : fs::directory_iterator(here() / "examples"))
    if (file.path().extension() == ".yaml" && file.path().filename() != "service.yaml")
      arguments.push_back(file.path());
  EXPECT_EQ(run(arguments), 0) << output();
  EXPECT_THAT(output(), ::testing::HasSubstr("ok    a device counts once, and the loss of east changes nothing\n"));
  EXPECT_THAT(output(), ::testing::EndsWith("4 passed, 0 failed\n"));
  EXPECT_THAT(text_of(here() / "junit.xml"), ::testing::HasSubstr("tests=\"2\" failures=\"0\""));
}

// Without the lines that depend on the number of cores.
TEST_F(Examples, EvalAndExplainSayWhatTheReadmeShows) {
  const std::string readme = text_of(kSource / "README.md");
  EXPECT_EQ(run({"eval", "upper(rtrim(page, '/'))", "--json", "examples/first.jsonl"}), 0) << output();
  const std::vector<std::string> results = lines_of(output());
  ASSERT_GE(results.size(), 4u);
  EXPECT_THAT(readme, ::testing::HasSubstr(results[0] + "\n" + results[1] + "\n" + results[2] + "\n$"));
  ASSERT_EQ(run({"explain", "examples/first.yaml"}), 0) << output();
  const std::string text = output();
  const std::size_t from = text.find("  window "), to = text.find("\n\n", from);
  ASSERT_NE(from, std::string::npos);
  EXPECT_THAT(readme, ::testing::HasSubstr(text.substr(from, to - from)));
  EXPECT_EQ(run({"eval", "1 / 0"}), 1);
  EXPECT_EQ(run({"eval", "1 +"}), 78);
  EXPECT_EQ(run({"eval"}), 2);
  EXPECT_EQ(run({"explain", "examples/service.yaml"}), 78);
}

TEST_F(Examples, TestSaysByItsExitCodeHowItWent) {
  EXPECT_EQ(run({"test", "--filter", "decode", "-q", "examples/first.yaml"}), 0) << output();
  EXPECT_EQ(output(), "1 passed, 0 failed\n");
  EXPECT_EQ(run({"test", "--filter", "no such name", "examples/first.yaml"}), 2);
  EXPECT_EQ(run({"test", "--batch", "0", "examples/first.yaml"}), 2);
  EXPECT_EQ(run({"test", "nothing.yaml"}), 78);
  std::string text = text_of(here() / "examples/first.yaml");
  text.replace(text.find("views: 2, users: 2"), 18, "views: 2, users: 3");
  std::ofstream(here() / "wrong.yaml") << text;
  EXPECT_EQ(run({"test", "--shards", "2", "--batch", "1", "wrong.yaml"}), 1);
  EXPECT_THAT(output(), ::testing::HasSubstr("* users        3          2\n"));
}

}  // namespace
}  // namespace twinspan::testing

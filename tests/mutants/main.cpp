// twinspan_mutants [--list] [--limit SECONDS] [mutant...]
// Applies one seeded bug at a time (*.mutant in this folder, see mutant.h) to a copy of the tree in build/mutants,
// builds the test programs that should notice it, and runs them. Before that they are built and run without any bug: a
// program that fails anyway proves nothing. Exit code: 0 all caught, 1 a survivor, 2 something could not be tried.
// Figures of a run, and the output of programs, are in build/mutants/logs.

#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

#include "tests/mutants/mutant.h"
#include "tests/support/child_process.h"

namespace {

namespace fs = std::filesystem;
using namespace twinspan;
using namespace twinspan::mutants;

const fs::path kSource = TWINSPAN_SOURCE_DIR;
const fs::path kScratch = kSource / "build/mutants";
const fs::path kTree = kScratch / "tree";
const fs::path kLogs = kScratch / "logs";
const char* const kPreset = "release";

std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return {(std::istreambuf_iterator<char>(in)), {}};
}

// Only what differs is written, so that a second run builds little.
void write_if_other(const fs::path& path, const std::string& text) {
  if (fs::exists(path) && text_of(path) == text) return;
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

// The wait status; nullopt when the time was up (it is killed then).
std::optional<int> run(const std::vector<std::string>& command, const fs::path& log, std::chrono::seconds limit) {
  fs::create_directories(log.parent_path());
  // One cache entry for both trees (see ccache's base_dir).
  const pid_t pid =
      testing::spawn(command, {.output = log, .env = {"CCACHE_BASEDIR=" + kTree.string(), "CCACHE_NOHASHDIR=1"}});
  const auto status = testing::wait_exit(pid, limit);
  if (!status) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  return status;
}

bool fine(const std::optional<int>& status) { return status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0; }

std::string end_of(const fs::path& log) {
  const std::string text = text_of(log);
  return text.size() <= 3000 ? text : text.substr(text.size() - 3000);
}

// The tree as git sees it, uncommitted changes included.
void copy_tree() {
  fs::create_directories(kTree / "build");
  const fs::path list = kScratch / "files";
  fs::remove(list);
  if (!fine(run({"git", "-C", kSource, "ls-files", "--cached", "--others", "--exclude-standard"}, list,
                std::chrono::seconds(60))))
    throw std::runtime_error("git ls-files failed: " + end_of(list));
  std::set<fs::path> wanted;
  std::istringstream names(text_of(list));
  for (std::string name; std::getline(names, name);) {
    if (!fs::is_regular_file(kSource / name)) continue;
    wanted.insert(name);
    write_if_other(kTree / name, text_of(kSource / name));
    fs::permissions(kTree / name, fs::status(kSource / name).permissions());
  }
  std::vector<fs::path> gone;
  for (auto it = fs::recursive_directory_iterator(kTree); it != fs::recursive_directory_iterator(); ++it) {
    const fs::path name = fs::relative(it->path(), kTree);
    if (name == "build") it.disable_recursion_pending();
    if (it->is_regular_file() && wanted.count(name) == 0) gone.push_back(it->path());
  }
  for (const fs::path& path : gone) fs::remove(path);
  if (!fs::exists(kTree / "build/deps")) fs::create_directory_symlink(kSource / "build/deps", kTree / "build/deps");
}

void build(const std::set<std::string>& targets, const fs::path& log) {
  fs::remove(log);
  if (!fs::exists(kTree / "build" / kPreset / "build.ninja") &&
      !fine(run(
          {"cmake", "-S", kTree, "-B", kTree / "build" / kPreset, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"},
          log, std::chrono::minutes(5))))
    throw std::runtime_error("cmake failed:\n" + end_of(log));
  std::vector<std::string> command = {"cmake", "--build", kTree / "build" / kPreset, "--target"};
  command.insert(command.end(), targets.begin(), targets.end());
  if (!fine(run(command, log, std::chrono::minutes(60)))) throw std::runtime_error("does not build:\n" + end_of(log));
}

fs::path executable(const std::string& program) {
  for (const auto& entry : fs::recursive_directory_iterator(kTree / "build" / kPreset / "tests"))
    if (entry.is_regular_file() && entry.path().filename() == program) return entry.path();
  throw std::runtime_error("no executable " + program);
}

struct Verdict {
  bool passed = false;
  std::string why;  // of a failure: the first failed test, a signal, or no end
  double seconds = 0;
};

Verdict test(const Program& program, const fs::path& log, std::chrono::seconds limit) {
  std::vector<std::string> command = {executable(program.name), "--gtest_brief=1", "--gtest_fail_fast"};
  command.insert(command.end(), program.arguments.begin(), program.arguments.end());
  fs::remove(log);
  const auto begin = std::chrono::steady_clock::now();
  const auto status = run(command, log, limit);
  Verdict v;
  v.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const std::string said = text_of(log);
  v.passed = fine(status);
  if (v.passed && said.find("[  PASSED  ] 0 tests") != std::string::npos)
    throw std::runtime_error(program.name + ": the filter chooses no test");
  const std::size_t at = said.find("[  FAILED  ] ");
  if (v.passed)
    v.why = "passed";
  else if (!status)
    v.why = fmt::format("no end within {} s", limit.count());
  else if (at != std::string::npos)
    v.why = said.substr(at + 13, said.find_first_of(" ,\n", at + 13) - at - 13);
  else
    v.why = WIFSIGNALED(*status) ? fmt::format("signal {}", WTERMSIG(*status))
                                 : fmt::format("exit code {}", WEXITSTATUS(*status));
  return v;
}

std::set<std::string> programs_of(const Mutant& m) {
  std::set<std::string> out;
  for (const Program& p : m.tests) out.insert(p.name);
  return out;
}

std::string line_of(const Program& p) {
  std::string line = p.name;
  for (const std::string& a : p.arguments) line += " " + a;
  return line;
}

int run_mutants(const std::vector<Mutant>& chosen, std::chrono::seconds limit) {
  for (const Mutant& m : chosen) (void)mutated(m, text_of(kSource / m.file));  // all errors before the first build
  copy_tree();
  std::set<std::string> targets;
  std::map<std::string, Program> commands;
  for (const Mutant& m : chosen)
    for (const Program& p : m.tests) {
      targets.insert(p.name);
      commands.emplace(line_of(p), p);
    }
  std::printf("without a bug: building %zu programs in %s\n", targets.size(), kTree.c_str());
  std::fflush(stdout);
  build(targets, kLogs / "build.log");
  int n = 0;
  for (const auto& [line, program] : commands) {
    const fs::path log = kLogs / fmt::format("clean-{}.log", n++);
    const Verdict v = test(program, log, limit);
    if (!v.passed) throw std::runtime_error(fmt::format("{} fails without a bug: {}\n{}", line, v.why, end_of(log)));
  }
  int caught = 0, survived = 0;
  for (const Mutant& m : chosen) {
    const fs::path file = kTree / m.file;
    const std::string clean = text_of(file);
    write_if_other(file, mutated(m, clean));
    std::string verdict, trouble;
    double seconds = 0;
    try {
      build(programs_of(m), kLogs / (m.name + ".build.log"));
      for (const Program& p : m.tests) {
        const Verdict v = test(p, kLogs / (m.name + ".log"), limit);
        seconds += v.seconds;
        if (v.passed) continue;
        verdict = p.name + ": " + v.why;
        break;
      }
    } catch (const std::runtime_error& e) {
      trouble = e.what();
    }
    write_if_other(file, clean);
    if (!trouble.empty()) throw std::runtime_error(m.name + ": " + trouble);
    std::printf("%-44s %-9s %6.1f s  %s\n", m.name.c_str(), verdict.empty() ? "SURVIVED" : "caught", seconds,
                verdict.empty() ? m.what.c_str() : verdict.c_str());
    std::fflush(stdout);
    ++(verdict.empty() ? survived : caught);
  }
  std::printf("%zu mutants: %d caught, %d survived\n", chosen.size(), caught, survived);
  return survived == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<Mutant> all = read_mutants(kSource / "tests/mutants");
    std::vector<Mutant> chosen;
    std::chrono::seconds limit(300);
    for (int i = 1; i < argc; ++i) {
      const std::string a = argv[i];
      if (a == "--list") {
        for (const Mutant& m : all)
          std::printf("%-44s %s\n%-44s   %s\n", m.name.c_str(), m.what.c_str(), "", m.file.c_str());
        return 0;
      }
      if (a == "--limit" && i + 1 < argc) {
        limit = std::chrono::seconds(std::atoi(argv[++i]));
        continue;
      }
      const auto found = std::find_if(all.begin(), all.end(), [&](const Mutant& m) { return m.name == a; });
      if (found == all.end()) throw std::runtime_error("no mutant '" + a + "'; ./dev mutants --list shows them");
      chosen.push_back(*found);
    }
    return run_mutants(chosen.empty() ? all : chosen, limit);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mutants: %s\n", e.what());
    return 2;
  }
}

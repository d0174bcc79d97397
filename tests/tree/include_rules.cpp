#include "tests/tree/include_rules.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

namespace twinspan::testing {
namespace fs = std::filesystem;

namespace {

// A folder, and the folders it may include beside itself. "*": everything but tests.
struct Row {
  std::string_view folder;
  std::vector<std::string_view> may_include;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> table = {
      {"engine/base", {}},
      {"engine/expr", {"engine/base"}},
      {"engine/native", {"engine/base", "engine/expr", "engine/state", "engine/aggregates", "engine/operators"}},
      {"engine/state", {"engine/base"}},
      {"engine/aggregates", {"engine/base", "engine/expr"}},
      {"engine/operators", {"engine/base", "engine/expr", "engine/state", "engine/aggregates"}},
      {"engine/checkpoint", {"engine/base", "engine/state"}},
      {"engine/runtime", {"engine/base", "engine/expr", "engine/state", "engine/operators", "engine/checkpoint"}},
      {"connectors", {"engine/base"}},
      {"connectors/formats", {"engine/base", "connectors"}},
      {"connectors/file", {"engine/base", "connectors", "connectors/formats"}},
      {"connectors/kafka", {"engine/base", "connectors", "connectors/formats"}},
      {"throttle", {"engine/base"}},
      {"config", {"engine/base"}},
      {"admin", {"engine/base"}},
      {"gateway", {"*"}},
      {"gateway/demo", {"*"}},
      {"gateway/driver", {"*"}},
      {"tests", {"*", "tests"}},
  };
  return table;
}

// The one header siblings share: how a section of the configuration is described beside the code it
// configures.
constexpr std::string_view kSharedHeader = "config/section.h";

// Libraries that cost build time or leak exceptions, and the thin headers that may name one.
constexpr std::array<std::string_view, 7> kHeavy = {"yaml-cpp/",   "rocksdb/", "boost/beast", "boost/asio",
                                                    "librdkafka/", "simdjson", "roaring/"};
constexpr std::array<std::string_view, 2> kThinHeaders = {"connectors/kafka/rdkafka_handle.h",
                                                          "tests/connectors/kafka/source/mock_kafka.h"};

struct Include {
  std::string path;
  bool quoted = false;
};

std::optional<Include> parse(std::string_view line) {
  const auto skip = [&line] { line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size())); };
  skip();
  if (!line.starts_with('#')) return std::nullopt;
  line.remove_prefix(1);
  skip();
  if (!line.starts_with("include")) return std::nullopt;
  line.remove_prefix(7);
  skip();
  if (line.empty() || (line[0] != '"' && line[0] != '<')) return std::nullopt;
  const bool quoted = line[0] == '"';
  line.remove_prefix(1);
  return Include{std::string(line.substr(0, line.find(quoted ? '"' : '>'))), quoted};
}

// "engine/expr" of "engine/expr/a.cpp"; everything below tests is "tests".
std::string folder_of(const std::string& file) {
  if (file.starts_with("tests/")) return "tests";
  return fs::path(file).parent_path().string();
}

bool is_own(std::string_view path) {
  constexpr std::array<std::string_view, 7> kTop = {"engine/", "connectors/", "throttle/", "config/",
                                                    "admin/",  "gateway/",    "tests/"};
  return std::any_of(kTop.begin(), kTop.end(), [&](std::string_view top) { return path.starts_with(top); });
}

std::optional<std::string> wrong_own(const std::string& root, const Row& row, const Include& include) {
  if (!include.quoted) return "own headers are included with quotes";
  if (!is_own(include.path) || !fs::exists(fs::path(root) / include.path)) {
    return "\"" + include.path + "\" is not a file from the repository root";
  }
  const std::string target = folder_of(include.path);
  const auto& may = row.may_include;
  const bool allowed = target == row.folder || include.path == kSharedHeader ||
                       std::find(may.begin(), may.end(), target) != may.end() ||
                       (std::find(may.begin(), may.end(), "*") != may.end() && target != "tests");
  if (allowed) return std::nullopt;
  return std::string(row.folder) + " may not include " + target + " (\"" + include.path + "\")";
}

std::optional<std::string> wrong_library(const std::string& file, const Row& row, const Include& include) {
  const std::string& path = include.path;
  if (row.folder == "engine/base" && path.find('/') != std::string::npos && !path.starts_with("boost/outcome") &&
      !path.starts_with("fmt/")) {
    return "engine/base knows std, fmt and Boost.Outcome only, not <" + path + ">";
  }
  const bool heavy =
      std::any_of(kHeavy.begin(), kHeavy.end(), [&](std::string_view library) { return path.starts_with(library); });
  const bool thin = std::find(kThinHeaders.begin(), kThinHeaders.end(), file) != kThinHeaders.end();
  if (heavy && !thin && file.ends_with(".h")) return "<" + path + "> is heavy: only in .cpp files";
  return std::nullopt;
}

void check_file(const std::string& root, const std::string& file, std::vector<std::string>& wrong) {
  const std::string folder = folder_of(file);
  const auto row = std::find_if(rows().begin(), rows().end(), [&](const Row& r) { return r.folder == folder; });
  if (row == rows().end()) {
    wrong.push_back(file + ": " + folder + " is in no row of the table in tests/tree/include_rules.cpp");
    return;
  }
  std::ifstream in(fs::path(root) / file);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::optional<Include> include = parse(line);
    if (!include) continue;
    const std::optional<std::string> reason = include->quoted || is_own(include->path)
                                                  ? wrong_own(root, *row, *include)
                                                  : wrong_library(file, *row, *include);
    if (reason) wrong.push_back(file + ":" + std::to_string(number) + ": " + *reason);
  }
}

}  // namespace

std::vector<std::string> wrong_includes(const std::string& root) {
  std::vector<std::string> files;
  for (const char* top : {"engine", "connectors", "throttle", "config", "admin", "gateway", "tests"}) {
    const fs::path folder = fs::path(root) / top;
    if (!fs::exists(folder)) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".h") || name.ends_with(".cpp")) files.push_back(fs::relative(entry.path(), root).string());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> wrong;
  for (const std::string& file : files) check_file(root, file, wrong);
  return wrong;
}

}  // namespace twinspan::testing

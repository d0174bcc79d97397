// Whatever the text, reading ends with a spec or with errors: never a crash, never an exception, never silence.

#include "config/parse.h"
#include "tests/config/example_pipeline.h"

#include <gtest/gtest.h>

#include <random>
#include <sstream>
#include <vector>

namespace twinspan::config {
namespace {

void expect_answer(const std::string& text) {
  Diagnostics diagnostics;
  const bool read = parse_pipeline(text, "p.yaml", {}, diagnostics).has_value();
  EXPECT_EQ(read, !diagnostics.has_errors()) << text;
  for (const Diagnostic& d : diagnostics.all()) {
    EXPECT_GE(d.length, 1);
    EXPECT_TRUE(d.line == 0 || d.column >= 1);
  }
  diagnostics.render();
}

TEST(HostileText, EveryPrefixOfTheExampleGetsAnAnswer) {
  const std::string text = twinspan::testing::available_example();
  for (std::size_t length = 0; length < text.size(); ++length) expect_answer(text.substr(0, length));
}

TEST(HostileText, ChangedBytesGetAnAnswer) {
  const std::string text = twinspan::testing::available_example();
  const std::string alphabet = "{}[]:,&*!|>'\"%@`#-?~$ \n\tx0()<\\\xC3\xFF";
  std::mt19937 random(20260101);
  const auto below = [&](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  };
  for (int round = 0; round < 3000; ++round) {
    std::string changed = text;
    for (std::size_t i = 0, changes = 1 + below(4); i < changes; ++i) {
      const std::size_t at = below(changed.size());
      switch (below(3)) {
        case 0: changed[at] = alphabet[below(alphabet.size())]; break;
        case 1: changed.insert(at, 1, alphabet[below(alphabet.size())]); break;
        default: changed.erase(at, 1 + below(20));
      }
    }
    expect_answer(changed);
  }
}

TEST(HostileText, MovedAndRepeatedLinesGetAnAnswer) {
  std::vector<std::string> lines;
  std::istringstream in(twinspan::testing::available_example());
  for (std::string line; std::getline(in, line);) lines.push_back(line + "\n");
  std::mt19937 random(7);
  for (int round = 0; round < 1000; ++round) {
    std::vector<std::string> mixed = lines;
    for (int i = 0; i < 3; ++i) {
      const std::size_t from = random() % mixed.size();
      mixed.insert(mixed.begin() + static_cast<std::ptrdiff_t>(random() % mixed.size()), mixed[from]);
      if (random() % 2 == 0) mixed.erase(mixed.begin() + static_cast<std::ptrdiff_t>(random() % mixed.size()));
    }
    std::string text;
    for (const std::string& line : mixed) text += line;
    expect_answer(text);
  }
}

}  // namespace
}  // namespace twinspan::config

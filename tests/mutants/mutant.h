#pragma once
// A seeded bug: one edit of one file of the engine that the suite must notice. Written as a small text file, so that
// the list can be read; `tests` are the programs that are expected to fail (after mutation testing as in DeMillo,
// Lipton, Sayward 1978, but with bugs chosen by hand, after those that stream processors really had).
//
//   # What is wrong, in a sentence or two.
//   file: engine/operators/interval_join.cpp
//   tests: engine_operators_join_tests --gtest_filter=JoinBounds.*
//   ---
//   the code, as it stands in the file exactly once (blanks and line ends do not matter)
//   +++
//   what stands there instead
// Thread: any one.

#include <string>
#include <string_view>
#include <vector>

namespace twinspan::mutants {

struct Program {
  std::string name;                    // of the target and the executable
  std::vector<std::string> arguments;  // usually a filter, because a mutant is built and run alone
};

struct Mutant {
  std::string name;  // of its file, without the ending
  std::string what;
  std::string file;
  std::vector<Program> tests;
  std::string before, after;
};

// Throw std::runtime_error with the file and the reason.
Mutant parse_mutant(const std::string& name, std::string_view text);
std::vector<Mutant> read_mutants(const std::string& directory);  // all *.mutant, by name
// `text` with the edit made. The message says what to do when the code has moved.
std::string mutated(const Mutant& mutant, std::string_view text);

}  // namespace twinspan::mutants

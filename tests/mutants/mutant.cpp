#include "tests/mutants/mutant.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

namespace twinspan::mutants {

namespace {

bool blank(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && blank(s.back())) s.remove_suffix(1);
  return s;
}

// The end of `code` in `text` at `at`, where any run of blanks equals any other, or npos.
std::size_t match_end(std::string_view text, std::size_t at, std::string_view code) {
  std::size_t i = 0;
  while (i < code.size()) {
    if (blank(code[i])) {
      if (at >= text.size() || !blank(text[at])) return std::string_view::npos;
      while (i < code.size() && blank(code[i])) ++i;
      while (at < text.size() && blank(text[at])) ++at;
      continue;
    }
    if (at >= text.size() || text[at] != code[i]) return std::string_view::npos;
    ++at;
    ++i;
  }
  return at;
}

}  // namespace

Mutant parse_mutant(const std::string& name, std::string_view text) {
  Mutant m;
  m.name = name;
  enum class Part { head, before, after } part = Part::head;
  const auto bad = [&](const std::string& why) {
    return std::runtime_error(fmt::format("tests/mutants/{}.mutant: {}", name, why));
  };
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (part == Part::head && line == "---") {
      part = Part::before;
    } else if (part == Part::before && line == "+++") {
      part = Part::after;
    } else if (part != Part::head) {
      (part == Part::before ? m.before : m.after) += line + "\n";
    } else if (line.starts_with("#")) {
      m.what += (m.what.empty() ? "" : " ") + std::string(trimmed(std::string_view(line).substr(1)));
    } else if (line.starts_with("file:")) {
      m.file = trimmed(std::string_view(line).substr(5));
    } else if (line.starts_with("tests:")) {
      std::istringstream words(line.substr(6));
      std::vector<std::string> all{std::istream_iterator<std::string>(words), {}};
      if (all.empty()) throw bad("'tests:' names no program");
      m.tests.push_back({all.front(), {all.begin() + 1, all.end()}});
    } else if (!trimmed(line).empty()) {
      throw bad(fmt::format("'{}' is neither '#', 'file:', 'tests:' nor '---'", line));
    }
  }
  m.before = trimmed(m.before);
  m.after = trimmed(m.after);
  if (m.what.empty()) throw bad("a first line with '#' must say what is wrong");
  if (m.file.empty()) throw bad("no 'file:'");
  if (m.tests.empty()) throw bad("no 'tests:'");
  if (part != Part::after) throw bad("the code needs '---' before it and '+++' behind it");
  if (m.before.empty()) throw bad("no code between '---' and '+++'");
  if (m.before == m.after) throw bad("the edit changes nothing");
  return m;
}

std::vector<Mutant> read_mutants(const std::string& directory) {
  std::vector<Mutant> out;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".mutant") continue;
    std::ifstream in(entry.path());
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    out.push_back(parse_mutant(entry.path().stem(), text));
  }
  std::sort(out.begin(), out.end(), [](const Mutant& a, const Mutant& b) { return a.name < b.name; });
  return out;
}

std::string mutated(const Mutant& m, std::string_view text) {
  std::size_t found = 0, at = 0, end = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t e = match_end(text, i, m.before);
    if (e == std::string_view::npos) continue;
    if (++found == 1) {
      at = i;
      end = e;
    }
    i = e - 1;
  }
  if (found != 1)
    throw std::runtime_error(fmt::format(
        "tests/mutants/{}.mutant: {} has its code {} instead of once: '{}'. The code has moved: write the "
        "same bug ({}) into the code as it is now, then run ./dev mutants {}",
        m.name, m.file, found == 0 ? "not at all" : fmt::format("{} times", found), m.before, m.what, m.name));
  std::string out(text.substr(0, at));
  out += m.after;
  out += text.substr(end);
  return out;
}

}  // namespace twinspan::mutants

#pragma once
// Columns of text for a terminal. A column whose title begins with '>' is right-aligned. Thread: any.

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

namespace twinspan::admin {

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> titles) {
    for (std::string& title : titles) {
      right_.push_back(title.starts_with('>'));
      if (right_.back()) title.erase(0, 1);
    }
    rows_.push_back(std::move(titles));
  }
  void add(std::vector<std::string> row) {
    row.resize(rows_[0].size());
    rows_.push_back(std::move(row));
  }
  bool empty() const { return rows_.size() == 1; }

  void print(std::ostream& out) const {
    std::vector<std::size_t> width(rows_[0].size(), 0);
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
    }
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string gap(width[i] - row[i].size(), ' ');
        if (i > 0) line += "  ";
        line += right_[i] ? gap + row[i] : row[i] + gap;
      }
      line.erase(line.find_last_not_of(' ') + 1);
      out << line << '\n';
    }
  }

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> right_;
};

}  // namespace twinspan::admin

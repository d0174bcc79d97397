#pragma once
// Expressions against loops written by hand for the same thing, on the same columns: what a vectorised interpreter
// costs beside a compiler that knew the query. "Within 2 x" is the goal. Thread: main.

#include <string>
#include <vector>

namespace twinspan::bench {

struct ExpressionFigures {
  std::string text;
  double ns = 0, by_hand_ns = 0;  // CPU a row; medians
  bool equal = false;             // both have the same result
};

std::vector<ExpressionFigures> measure_expressions();

}  // namespace twinspan::bench

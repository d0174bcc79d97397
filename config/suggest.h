#pragma once
// "Did you mean": the nearest of some names by edit distance with transpositions (optimal string alignment). Thread:
// any.

#include <string>
#include <string_view>
#include <vector>

namespace twinspan::config {

// Empty when nothing is near enough (a third of the letters, at least one).
std::string nearest_name(std::string_view written, const std::vector<std::string>& names);

// "did you mean 'topic'?", or the list of names when nothing is near and the list is short.
std::string suggestion(std::string_view written, const std::vector<std::string>& names);

}  // namespace twinspan::config

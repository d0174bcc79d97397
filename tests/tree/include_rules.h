#pragma once
// The arrows of the architecture as a table, and a reader of #include lines that holds the sources to it.
// Thread: any.

#include <string>
#include <vector>

namespace twinspan::testing {

// One line for each #include under `root` that no arrow allows: "file:line: reason". Empty: the tree is as
// drawn.
std::vector<std::string> wrong_includes(const std::string& root);

}  // namespace twinspan::testing

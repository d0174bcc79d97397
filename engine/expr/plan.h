#pragma once
// The compiled form of a Program: typed nodes, arguments before users, and the groups in which they run. Made by
// ExprBuilder, immutable afterwards, shared by all copies of a Program. Thread: any (read only).

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/expr/kernel.h"

namespace twinspan::engine {

using NodeId = std::uint32_t;
inline constexpr std::uint32_t kRootGroup = 0;

enum class NodeKind : std::uint8_t {
  column,    // the batch's column
  constant,  // data, valid
  kernel,
  logical_and,  // args: terms
  logical_or,
  case_when,  // args: when1, then1, when2, then2, ..., else
};

struct ExprNode {
  NodeKind kind = NodeKind::kernel;
  DataType type;
  std::vector<NodeId> args;
  KernelChoice kernel;
  int column = 0;
  Value constant;                     // of `constant`; memory in ExprPlan::memory
  std::uint32_t group = kRootGroup;   // where it runs
  bool output = false;                // its memory must be the caller's arena
  std::string name;                   // for explain: "add", "upper"
  std::vector<std::uint32_t> groups;  // and, or, case: the group to run before reading args[i], or kRootGroup: none
};

// Nodes that run only for some rows: those used by one branch alone. Cheap ones are not worth the gathering and run
// with the group around them (nothing they do can be seen if the branch is not taken).
struct ExprGroup {
  std::uint32_t parent = kRootGroup;
  std::vector<NodeId> nodes;   // ascending
  std::vector<NodeId> inputs;  // values of outer groups and columns to bring along
};

// One step of a chain: its filter is computed with what ran before it, its results in a group of their own that runs on
// the rows the filter let through. What several steps need runs where the first of them needs it.
struct ExprStage {
  static constexpr NodeId kNoFilter = UINT32_MAX;
  NodeId where = kNoFilter;
  std::vector<NodeId> select;        // all of its results: an error in one is this step's, used later or not
  std::uint32_t group = kRootGroup;  // of `select`
};

struct ExprPlan {
  std::vector<ExprNode> nodes;
  std::vector<ExprGroup> groups;  // [0] runs for all rows
  std::vector<NodeId> slots;      // of a chain: what its last step gives
  std::vector<ExprStage> stages;  // of a chain; empty: every slot runs for all rows
  std::vector<NodeId> columns;    // nodes of kind column that are used
  std::vector<NodeId> texts;      // constants whose bytes may become part of a result: copied to the result's arena
  std::shared_ptr<Arena> memory;  // constants
};

std::string explain_plan(const ExprPlan& plan);  // one line a node
// The calls that several results, filters or other calls use, each computed once a batch: as text, with how many use
// it.
std::vector<std::pair<std::string, unsigned>> shared_calls(const ExprPlan& plan);

}  // namespace twinspan::engine

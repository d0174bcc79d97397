#pragma once
// The plan as the shards run it: sources, operators in topological order, terminals, and the edges between them. An
// edge with a partition key is an exchange when there is more than one shard: its rows go to the shard that owns their
// key. Built once by the pipeline, immutable, shared by its shards. Thread: any.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/operators/operator.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {

struct Target {
  enum class Kind : std::uint8_t { node, terminal } kind = Kind::node;
  unsigned index = 0;
  unsigned input = 0;                            // of a node
  std::shared_ptr<const RowCodec> partition_by;  // nullptr: rows stay in their shard
  bool hash_is_operator_key = true;              // the receiving operator may use batch.hash as the hash of its key
  bool hash_given = false;                       // rows have the hash of partition_by already (batch.hash)
};

struct SourceNode {
  std::string id;
  std::vector<Target> out;
};

struct OperatorNode {
  std::string id;  // the identity of its state
  unsigned inputs = 1;
  std::function<std::unique_ptr<Operator>(unsigned shard, unsigned shards)> make;
  std::vector<Target> out;
  int late_terminal = -1;          // late rows go there; -1: they are counted and dropped
  std::vector<std::string> steps;  // a Transform: ids of the steps that became one, in their order
  std::string program;             // a Transform: how its expressions run, for explain
  std::vector<std::pair<std::string, unsigned>> shared;  // a Transform: calls computed once, and for how many uses
};

struct Graph {
  std::vector<SourceNode> sources;
  std::vector<OperatorNode> nodes;     // an edge never points backwards
  std::vector<std::string> terminals;  // sink ids
};

}  // namespace twinspan::engine

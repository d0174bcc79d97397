#pragma once
// A pipeline file, bound and typed: the graph the shards run, and for every source and sink what its ends need to know.
// make_plan() reports every error of every expression with its place in the YAML before it gives up.
// Owned by the pipeline; immutable; outlives its shards. Thread: control.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/diagnostic.h"
#include "config/pipeline_spec.h"
#include "connectors/formats/json_decoder.h"
#include "engine/expr/program.h"
#include "engine/runtime/graph.h"
#include "engine/runtime/watermark_tracker.h"

namespace twinspan::gateway {

struct SourcePlan {
  std::string id;
  const config::SourceSpec* spec = nullptr;
  connectors::JsonDecoderOptions decoder;  // only the fields the plan uses
  Schema schema;                           // of the decoded batches
  engine::WatermarkPolicy watermarks;
  config::OnError on_error = config::OnError::fail;
};

struct SinkPlan {
  std::string id;
  const config::SinkSpec* spec = nullptr;
  Schema schema;                // the columns that become JSON fields: the first of its input's
  engine::Program expressions;  // slot 0: key (when has_key), then one slot a header; over the input's columns
  bool has_key = false;
  std::vector<std::string> headers;
};

struct StepInfo {
  std::string id, kind;  // as the user knows it
  unsigned node = 0;     // whose figures are shown
  int stage = -1;        // of a node that several steps became: the one whose figures they are; -1: all of it
  int skew_node = -1;    // counts rows of hot keys before the exchange; -1: none does
  // Nodes before it that find new values of split DISTINCT counts, and the columns whose.
  std::vector<std::pair<unsigned, std::string>> value_nodes;
  std::shared_ptr<const Schema> schema = nullptr;  // of what comes out; nullptr: a part of a step
  bool append_only = true;                         // false: results may change later
};

struct StepBudget {
  unsigned node = 0;
  std::uint64_t bytes = 0;
  config::WhenFull when_full = config::WhenFull::slow_sources;
  std::vector<unsigned> sources;     // whose rows reach the step
  std::vector<unsigned> more_nodes;  // whose state is the step's too; the first of them sheds
};

struct Plan {
  std::string name;
  const config::PipelineSpec* spec = nullptr;
  engine::Graph graph;
  std::vector<SourcePlan> sources;  // by Graph::sources
  std::vector<SinkPlan> sinks;      // by Graph::terminals
  std::vector<StepInfo> steps;
  std::vector<StepBudget> budgets;
  std::vector<std::vector<unsigned>> fed_by;   // by Graph::sources: the nodes that its rows reach
  std::vector<config::OnError> node_on_error;  // by Graph::nodes
  std::vector<std::pair<std::string, config::OnError>> stage_on_error;  // of steps that became part of another's node
  std::vector<std::shared_ptr<const Schema>> schemas;                   // what batches point to
};

// `shards: auto`: half of the cores, since the Kafka clients need the other half, and at most 8.
unsigned default_shards();

// `spec` must outlive the plan. nullptr if anything was reported as an error.
std::unique_ptr<Plan> make_plan(const config::PipelineSpec& spec, config::Diagnostics& diagnostics);

}  // namespace twinspan::gateway

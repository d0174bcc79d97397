#pragma once
// Filters and projections over one input: one step, or several steps in a row that became one (expr/chain.h). `let`
// names are substituted before compiling. Rows keep their event time, op, watermarks and origin. A row whose condition
// or value fails goes to Output::failed for the step it failed in, and is left out. Of an update (update_before, then
// its update_after) one half may be left out: what remains is then a remove or an insert. A former row that fails has
// failed when it came, and is not told again. Keeps no state. Thread: shard.

#include <string>
#include <vector>

#include "engine/expr/chain.h"
#include "engine/operators/operator.h"

namespace twinspan::engine {

struct TransformSpec {
  Chain program;
  Schema output;
  std::vector<std::string> steps;  // the id of each stage of the program
};

class Transform final : public Operator {
 public:
  explicit Transform(TransformSpec spec) : spec_(std::move(spec)) { stats_.steps.resize(spec_.program.stages()); }

  void process(unsigned input, Batch&& batch, Output& out) override;
  void watermark(unsigned, Watermark watermark, Output& out) override { out.watermark(watermark); }
  void restore_watermark(unsigned, Watermark) override {}
  OperatorStats stats() const override { return stats_; }
  const Schema& schema() const override { return spec_.output; }
  std::uint64_t evaluations() const { return spec_.program.evaluations(); }

 private:
  void fail(const Batch& batch, const std::vector<Chain::Failure>& failures, Output& out);

  TransformSpec spec_;
  OperatorStats stats_;
};

// Rows of several inputs of one schema as one stream; its watermark is the smallest of theirs, idle ones left out, and
// never goes back. Thread: shard.
class Union final : public Operator {
 public:
  Union(unsigned inputs, Schema schema) : inputs_(inputs), idle_(inputs), schema_(std::move(schema)) {}

  void process(unsigned input, Batch&& batch, Output& out) override;
  void watermark(unsigned input, Watermark watermark, Output& out) override;
  void input_idle(unsigned input, Idleness idle, Output& out) override;
  void restore_watermark(unsigned input, Watermark watermark) override { inputs_[input] = watermark; }
  OperatorStats stats() const override { return stats_; }
  const Schema& schema() const override { return schema_; }

 private:
  Watermark minimum(unsigned except) const;  // kMaxTime where no input counts
  void advance(Output& out);
  std::vector<Watermark> inputs_;
  std::vector<Idleness> idle_;
  Watermark out_;
  Schema schema_;
  OperatorStats stats_;
};

}  // namespace twinspan::engine

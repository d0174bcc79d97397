#pragma once
// Filter and projection: `where`, then `select`, over one input. `let` names are substituted into both before
// compiling, so equal parts are computed once (expr/program.h). Rows keep their event time, op, watermarks and origin.
// A row whose condition or value fails goes to Output::failed and is left out. Of an update (update_before, then its
// update_after) one half may be left out: what remains is then a remove or an insert. A former row that fails has
// failed when it came, and is not told again. Keeps no state. Thread: shard.

#include <optional>

#include "engine/expr/program.h"
#include "engine/operators/operator.h"

namespace twinspan::engine {

struct TransformSpec {
  std::optional<Predicate> where;
  std::vector<int> where_columns;   // read by `where`
  Program select;                   // slot i computes column i of `output`; not run when `identity`
  std::vector<int> select_columns;  // read by `select`
  bool identity = false;            // no `select`: all columns pass
  Schema output;
};

class Transform final : public Operator {
 public:
  explicit Transform(TransformSpec spec) : spec_(std::move(spec)) {}

  void process(unsigned input, Batch&& batch, Output& out) override;
  void watermark(unsigned, Watermark watermark, Output& out) override { out.watermark(watermark); }
  void restore_watermark(unsigned, Watermark) override {}
  OperatorStats stats() const override { return stats_; }
  const Schema& schema() const override { return spec_.output; }

 private:
  void fail(const Batch& batch, const EvalErrors& errors, Output& out);

  TransformSpec spec_;
  OperatorStats stats_;
  std::vector<std::uint32_t> selection_;
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

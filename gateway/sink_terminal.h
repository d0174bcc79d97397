#pragma once
// A sink as one shard writes it: rows become JSON records with key, headers and event time. Ops and provisional results
// are told by header (`twinspan-op`, `twinspan-final`), by option also by field. Rows that only steps need are left
// out. Owned by the shard's thread object. Thread: shard.

#include <string>
#include <vector>

#include "connectors/formats/json_encoder.h"
#include "connectors/sink.h"
#include "engine/runtime/shard.h"
#include "gateway/dead_letter_desk.h"
#include "gateway/plan.h"

namespace twinspan::gateway {

class SinkTerminal final : public engine::Terminal {
 public:
  SinkTerminal(const SinkPlan& plan, connectors::SinkWriter& writer, DeadLetterDesk& dead_letters,
               config::OnError on_error)
      : plan_(plan),
        writer_(writer),
        dead_letters_(dead_letters),
        on_error_(on_error),
        expressions_(plan.expressions),
        encoder_(plan.schema, encoding(plan)) {}

  void write(const Batch& batch) override;
  bool has_room() const override { return writer_.has_room(); }
  void step(std::int64_t) override { writer_.step(); }
  std::uint64_t written() const override { return writer_.written(); }

 private:
  static connectors::JsonEncoderOptions encoding(const SinkPlan& plan) {
    connectors::JsonEncoderOptions options;
    options.op_field = plan.spec != nullptr && plan.spec->format.op_field;
    options.final_field = plan.spec != nullptr && plan.spec->format.final_field;
    return options;
  }

  const SinkPlan& plan_;
  connectors::SinkWriter& writer_;
  DeadLetterDesk& dead_letters_;
  const config::OnError on_error_;
  engine::Program expressions_;
  connectors::JsonEncoder encoder_;
  std::string value_;
  std::vector<std::pair<std::string_view, std::string_view>> headers_;
};

}  // namespace twinspan::gateway

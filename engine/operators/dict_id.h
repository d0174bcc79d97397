#pragma once
// `dict_id('devices', x)`: adds a column with the value's dense id, partition * 2^32 + counter. The input is exchanged
// by the hash of x, so a value always meets the same share of the dictionary. NULL has no id. The id is a function of x
// alone: rows that take others back get the same one. Operator; one input. Thread: shard.

#include <cstddef>
#include <memory>

#include "engine/operators/named_dictionary.h"
#include "engine/operators/operator.h"
#include "engine/operators/save_list.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {

struct DictIdSpec {
  int column = 0;  // x
  DataType type;
  Schema schema;  // of the output: the input's, and the id (int64) behind it
};

class DictId final : public Operator {
 public:
  DictId(DictIdSpec spec, std::shared_ptr<NamedDictionary> dictionary, unsigned place)
      : spec_(std::move(spec)),
        codec_({spec_.column}, {spec_.type}),
        dictionary_(std::move(dictionary)),
        place_(place) {}

  void process(unsigned input, Batch&& batch, Output& out) override;
  void watermark(unsigned, Watermark watermark, Output& out) override { out.watermark(watermark); }
  void snapshot(DeltaWriter& out) override { snapshot_at_once(*this, out); }
  bool begin_snapshot(DeltaWriter& out) override;
  bool snapshot_portion(std::size_t entries, DeltaWriter& out) override;
  Status restore(const StateEntry& entry) override;
  void restore_watermark(unsigned, Watermark) override {}
  OperatorStats stats() const override;
  const Schema& schema() const override { return spec_.schema; }

 private:
  DictIdSpec spec_;
  RowCodec codec_;
  std::shared_ptr<NamedDictionary> dictionary_;
  unsigned place_;
  SaveList<NamedDictionary::Recorded> unsaved_, saving_;  // since the last barrier; of the snapshot under way
  OperatorStats stats_;

  // Of one batch.
  std::vector<std::uint32_t> rows_, counters_;
  std::vector<std::uint16_t> partitions_;
  std::vector<Dictionary::Identity> values_;
};

}  // namespace twinspan::engine

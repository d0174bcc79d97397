#pragma once
// Whole-window functions of plug-ins: keeps the rows of each (tumbling window, key), and when no further one can come
// (R - allow has passed the window's end) hands them to the function, which gives rows back. So each window is computed
// once and never corrected: what comes out stays. Rows are given in the order of event time, those of one time in the
// order of arrival. The event time of a result is the window's end - 1 ms. A call that fails gives no rows: it goes to
// the dead letters with its key and window. Operator; one input. Thread: shard.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/native/twinspan_native.h"
#include "engine/operators/calendar.h"
#include "engine/operators/operator.h"
#include "engine/operators/pane_keys.h"
#include "engine/operators/save_list.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {

struct NativeWindowSpec {
  const ts_window_function* function = nullptr;  // of a loaded module
  std::vector<int> key_columns, argument_columns;
  std::vector<DataType> key_types, argument_types;
  std::int64_t size = 0, offset = 0;  // ms
  std::string time_zone = "UTC";
  std::int64_t allow_lateness = 0;
  Schema schema;  // keys, window_start, window_end, the function's columns
};

class NativeWindow final : public Operator {
 public:
  explicit NativeWindow(NativeWindowSpec spec);
  ~NativeWindow() override;

  void process(unsigned input, Batch&& batch, Output& out) override;
  void watermark(unsigned input, Watermark watermark, Output& out) override;
  void finish(Output& out) override;
  bool pending() const override { return pending_; }
  void resume(Output& out) override;
  void snapshot(DeltaWriter& out) override { snapshot_at_once(*this, out); }
  bool begin_snapshot(DeltaWriter& out) override;
  bool snapshot_portion(std::size_t entries, DeltaWriter& out) override;
  Status restore(const StateEntry& entry) override;
  void restore_watermark(unsigned input, Watermark watermark) override;
  OperatorStats stats() const override;
  const Schema& schema() const override { return spec_.schema; }

 private:
  struct Row {
    EventTime time = 0;
    std::uint64_t number = 0;      // of arrival
    const char* values = nullptr;  // encoded arguments, in the window's arena
    std::uint32_t size = 0;
    std::uint32_t key = 0;  // of the window
  };
  struct Window {
    explicit Window(WindowRange r) : range(r), keys(0, 0) {}
    WindowRange range;
    PaneKeys keys;
    Arena bytes{4096};
    std::vector<std::vector<Row>> rows;  // by key
    SaveList<Row> unsaved;
    std::size_t count = 0;
  };
  struct Results;

  void add(WindowRange range, std::string_view key, std::uint64_t hash, Row row, bool saved);
  // Goes on with the batch, then to `target_`; a portion is some keys of windows that fire, each a call.
  void run(Output& out);
  // These return false when the portion is used up or there is no room below.
  bool advance(EventTime retention, Output& out);  // fires what is over
  bool fire(Window& window, Output& out);
  bool give_rows(const Window& window, Output& out);  // of the last call
  void call(Window& window, std::uint32_t key, Output& out);
  void put_bounds(Results& to, const Window& window, std::string_view key) const;  // of its next row

  NativeWindowSpec spec_;
  Calendar calendar_;
  RowCodec key_codec_, argument_codec_;
  std::map<EventTime, std::unique_ptr<Window>> windows_;  // by end
  std::unique_ptr<Results> results_;
  EventTime retention_ = kMinTime;  // R - allow
  EventTime told_ = kMinTime;
  EventTime closed_ = kMinTime;  // the last end that fired and is not in a snapshot
  std::uint64_t next_number_ = 0;
  // The snapshot under way. Rows do not change: a window that fires meanwhile is only kept until it is written.
  bool saving_ = false;
  std::deque<std::pair<const Window*, SaveList<Row>>> saving_windows_;
  std::vector<std::unique_ptr<Window>> fired_;
  std::string key_, values_;

  // Work that may be left between calls.
  bool pending_ = false;
  Batch batch_;
  std::uint32_t row_ = 0;
  std::vector<std::uint32_t> late_;
  EventTime target_ = kMinTime;
  unsigned portion_ = 0;              // keys that may still be called for
  std::vector<std::uint32_t> order_;  // keys of the window that fires
  std::size_t next_key_ = 0;          // in order_
  std::unique_ptr<Arena> call_arena_;
  std::vector<ts_value> cells_;  // what the last call gave, and how much of it is out
  std::size_t next_cell_ = 0;
  OperatorStats stats_;
};

}  // namespace twinspan::engine

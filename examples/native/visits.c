/* A whole-window function: the page views of one visitor in a window, cut into visits at pauses.
 *
 *   visits:
 *     from: views
 *     window: { tumbling: 1d, timezone: Europe/Berlin }
 *     key: [visitor]
 *     apply: visits.cut(page, 1800000)          # rows of one visitor and day, a pause of half an hour
 */
#include "engine/native/twinspan_native.h"

static void cut(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* event_time,
                const ts_rows* out) {
  uint64_t first = 0;
  for (uint64_t i = 0; i < rows; ++i) {
    int64_t pause = ts_is_null(&args[1], i) ? 0 : ts_int64(&args[1], i);
    if (pause <= 0) {
      host->fail(host->self, i, "visits.cut: the pause is a positive number of milliseconds");
      return;
    }
    /* Rows come in the order of their event time; the last of a visit has a pause, or nothing, behind it. */
    if (i + 1 < rows && event_time[i + 1] - event_time[i] < pause) continue;
    ts_value row[4] = {{0}};
    row[0].as.int64 = event_time[first];
    row[1].as.int64 = event_time[i] - event_time[first];
    row[2].as.int64 = (int64_t)(i - first + 1);
    row[3].null = (uint32_t)ts_is_null(&args[0], first);
    if (!row[3].null) row[3].as.text = ts_string(&args[0], first);
    out->add(out->self, row);
    first = i + 1;
  }
}

static const uint32_t kArgs[] = {TS_STRING, TS_INT64};
static const ts_named_kind kColumns[] = {
    {"began", TS_TIMESTAMP}, {"lasted", TS_DURATION}, {"views", TS_INT64}, {"entry_page", TS_STRING}};

static const ts_window_function kFunctions[] = {
    {sizeof(ts_window_function), 0, "cut", "The visits in a window: page views without a pause of so many milliseconds.", 2,
     4, kArgs, kColumns, cut},
};

static const ts_module kModule = {
    .abi = TWINSPAN_NATIVE_ABI,
    .size = sizeof(ts_module),
    .name = "visits",
    .doc = "Page views to visits.",
    .window_function_count = 1,
    .window_functions = kFunctions,
};

const ts_module* twinspan_native_module(void) { return &kModule; }

/* Aggregates: a weighted mean, whose state is a few numbers, and the exact median, whose state grows.
 *
 *   aggregate: { mean: "stats.mean(price, pieces)", middle: stats.median(took_ms) FILTER (WHERE ok) }
 */
#include <string.h>

#include "engine/native/twinspan_native.h"

/* ---- mean(x, weight) ---- */

__extension__ typedef __int128 int128;

typedef struct weighted {
  int128 sum; /* of x * weight: below 2^95 for a row, so 2^32 rows fit */
  int64_t weight;
} weighted;

static const int64_t kMostWeight = INT64_C(1) << 31;

/* States are 8-aligned, a weighted is not: it is copied in and out. */
static weighted load(const ts_state* state) {
  weighted w;
  memcpy(&w, state->data, sizeof w);
  return w;
}

static void count(const ts_host* host, uint64_t rows, const ts_column* args, ts_state* const* states, int sign) {
  for (uint64_t i = 0; i < rows; ++i) {
    int64_t x = ts_int64(&args[0], i), weight = ts_int64(&args[1], i);
    if (weight < 0 || weight > kMostWeight) {
      host->fail(host->self, i, "stats.mean: a weight is between 0 and 2^31");
      continue;
    }
    weighted w = load(states[i]);
    w.sum += sign * (int128)x * weight;
    w.weight += sign * weight;
    memcpy(states[i]->data, &w, sizeof w);
  }
}
static void mean_add(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* event_time,
                     ts_state* const* states) {
  (void)event_time;
  count(host, rows, args, states, 1);
}
static void mean_retract(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* event_time,
                         ts_state* const* states) {
  (void)event_time;
  count(host, rows, args, states, -1);
}
static void mean_merge(const ts_host* host, const ts_state* from, ts_state* into) {
  (void)host;
  weighted w = load(into), more = load(from);
  w.sum += more.sum;
  w.weight += more.weight;
  memcpy(into->data, &w, sizeof w);
}
static void mean_value(const ts_host* host, const ts_state* state, ts_value* out) {
  (void)host;
  weighted w = load(state);
  out->null = w.weight <= 0;
  if (!out->null) out->as.float64 = (double)w.sum / (double)w.weight;
}

/* ---- median(x) ---- */

/* The state is one run of these, by value; the first holds their number. Counts may be below zero for a while: a row
 * can be taken back where it has not come yet (another pane has it). */
typedef struct value_count {
  int64_t value, count;
} value_count;

static value_count* counts(const ts_state* state) { return (value_count*)state->data + 1; }
static int64_t* length(const ts_state* state) { return &((value_count*)state->data)->count; }

static int tally(const ts_host* host, ts_state* state, int64_t value, int64_t by) {
  int64_t low = 0, high = *length(state);
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (counts(state)[middle].value < value)
      low = middle + 1;
    else
      high = middle;
  }
  int64_t n = *length(state);
  value_count* at = counts(state) + low;
  if (low < n && at->value == value) {
    at->count += by;
    if (at->count != 0) return 1;
    memmove(at, at + 1, (size_t)(n - low - 1) * sizeof *at);
    *length(state) = n - 1;
    return host->resize(host->self, state, (uint64_t)n * sizeof *at);
  }
  if (!host->resize(host->self, state, (uint64_t)(n + 2) * sizeof *at)) return 0;
  at = counts(state) + low; /* the state may lie elsewhere now */
  memmove(at + 1, at, (size_t)(n - low) * sizeof *at);
  at->value = value;
  at->count = by;
  *length(state) = n + 1;
  return 1;
}

static const char kTooMany[] = "stats.median: more than 65535 different values";

static void tally_all(const ts_host* host, uint64_t rows, const ts_column* args, ts_state* const* states, int64_t by) {
  for (uint64_t i = 0; i < rows; ++i)
    if (!tally(host, states[i], ts_int64(&args[0], i), by)) host->fail(host->self, i, kTooMany);
}
static void median_add(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* event_time,
                       ts_state* const* states) {
  (void)event_time;
  tally_all(host, rows, args, states, 1);
}
static void median_retract(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* event_time,
                           ts_state* const* states) {
  (void)event_time;
  tally_all(host, rows, args, states, -1);
}
static void median_merge(const ts_host* host, const ts_state* from, ts_state* into) {
  for (int64_t i = 0; i < *length(from); ++i) {
    if (tally(host, into, counts(from)[i].value, counts(from)[i].count)) continue;
    host->fail(host->self, 0, kTooMany);
    return;
  }
}
static void median_value(const ts_host* host, const ts_state* state, ts_value* out) {
  (void)host;
  int64_t rows = 0;
  for (int64_t i = 0; i < *length(state); ++i) rows += counts(state)[i].count;
  out->null = rows <= 0;
  if (out->null) return;
  /* The row in the middle; of an even number of rows the mean of two. */
  double sum = 0;
  for (int64_t which = (rows - 1) / 2; which <= rows / 2; ++which) {
    int64_t before = 0, i = 0;
    while (before + counts(state)[i].count <= which) before += counts(state)[i++].count;
    sum += (double)counts(state)[i].value;
  }
  out->as.float64 = rows % 2 == 0 ? sum / 2 : sum;
}

/* ---- the module ---- */

static const uint32_t kIntAndInt[] = {TS_INT64, TS_INT64};

static const ts_aggregate kAggregates[] = {
    {
        .size = sizeof(ts_aggregate),
        .name = "mean",
        .doc = "The mean of x, each counted as often as its weight says; NULL if all weights are 0.",
        .arg_count = 2,
        .result = TS_FLOAT64,
        .args = kIntAndInt,
        .state_version = 1,
        .state_size = sizeof(weighted),
        .most_bytes = sizeof(weighted),
        .add = mean_add,
        .retract = mean_retract,
        .merge = mean_merge,
        .value = mean_value,
    },
    {
        .size = sizeof(ts_aggregate),
        .name = "median",
        .doc = "The exact median, of an even number of values the mean of the two in the middle; NULL without values.",
        .arg_count = 1,
        .result = TS_FLOAT64,
        .args = kIntAndInt,
        .state_version = 1,
        .state_size = sizeof(value_count),
        .most_bytes = 65536 * sizeof(value_count),
        .add = median_add,
        .retract = median_retract,
        .merge = median_merge,
        .value = median_value,
    },
};

static const ts_module kModule = {
    .abi = TWINSPAN_NATIVE_ABI,
    .size = sizeof(ts_module),
    .name = "stats",
    .doc = "Statistics.",
    .aggregate_count = sizeof kAggregates / sizeof kAggregates[0],
    .aggregates = kAggregates,
};

const ts_module* twinspan_native_module(void) { return &kModule; }

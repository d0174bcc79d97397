/* What the tests of native functions call; every way for a row to have a result, none, or an error. */
#include <string.h>

#include "engine/native/twinspan_native.h"

static void twice(const ts_host* host, uint64_t rows, const ts_column* args, ts_result* result) {
  for (uint64_t i = 0; i < rows; ++i) {
    if (!result->valid[i]) continue;
    int64_t x = ts_int64(&args[0], i);
    if (x == 13)
      host->fail(host->self, i, "thirteen is not doubled");
    else if (x == 14)
      result->valid[i] = 0;
    else
      ((int64_t*)result->values)[i] = 2 * x;
  }
}

/* The argument's own bytes without the first; fails on empty. */
static void tail(const ts_host* host, uint64_t rows, const ts_column* args, ts_result* result) {
  for (uint64_t i = 0; i < rows; ++i) {
    if (!result->valid[i]) continue;
    ts_text s = ts_string(&args[0], i);
    ts_text* out = (ts_text*)result->values;
    if (s.size == 0) {
      host->fail(host->self, i, "an empty string has no tail");
      continue;
    }
    out[i].data = s.data + 1;
    out[i].size = s.size - 1;
  }
}

static void join(const ts_host* host, uint64_t rows, const ts_column* args, ts_result* result) {
  for (uint64_t i = 0; i < rows; ++i) {
    if (!result->valid[i]) continue;
    ts_text a = ts_string(&args[0], i), b = ts_string(&args[1], i);
    char* kept = (char*)host->allocate(host->self, a.size + b.size + 1);
    memcpy(kept, a.data, a.size);
    memcpy(kept + a.size, b.data, b.size);
    ((ts_text*)result->values)[i].data = kept;
    ((ts_text*)result->values)[i].size = a.size + b.size;
  }
}

/* How many of three arguments are NULL. */
static void nulls(const ts_host* host, uint64_t rows, const ts_column* args, ts_result* result) {
  (void)host;
  for (uint64_t i = 0; i < rows; ++i) {
    int64_t n = 0;
    for (int a = 0; a < 3; ++a) n += ts_is_null(&args[a], i);
    ((int64_t*)result->values)[i] = n;
  }
}

static void is_even(const ts_host* host, uint64_t rows, const ts_column* args, ts_result* result) {
  (void)host;
  for (uint64_t i = 0; i < rows; ++i)
    if (result->valid[i]) ((uint8_t*)result->values)[i] = (ts_int64(&args[0], i) & 1) ? 0 : 42;
}

static void broken_text(const ts_host* host, uint64_t rows, const ts_column* args, ts_result* result) {
  (void)host, (void)args;
  for (uint64_t i = 0; i < rows; ++i) {
    ((ts_text*)result->values)[i].data = "\xff\xfe";
    ((ts_text*)result->values)[i].size = 2;
  }
}

static void strays(const ts_host* host, uint64_t rows, const ts_column* args, ts_result* result) {
  (void)args, (void)result;
  host->fail(host->self, rows + 5, "beyond");
}

static void later(const ts_host* host, uint64_t rows, const ts_column* args, ts_result* result) {
  (void)host;
  for (uint64_t i = 0; i < rows; ++i)
    if (result->valid[i]) ((int64_t*)result->values)[i] = ts_int64(&args[0], i) + ts_int64(&args[1], i);
}

static const uint32_t kInt[] = {TS_INT64};
static const uint32_t kString[] = {TS_STRING};
static const uint32_t kStrings[] = {TS_STRING, TS_STRING};
static const uint32_t kMixed[] = {TS_INT64, TS_STRING, TS_FLOAT64};
static const uint32_t kTimeAndSpan[] = {TS_TIMESTAMP, TS_DURATION};

static const ts_scalar kScalars[] = {
    {sizeof(ts_scalar), 0, "twice", "Two times x.", 1, TS_INT64, kInt, twice},
    {sizeof(ts_scalar), 0, "tail", "All but the first byte.", 1, TS_STRING, kString, tail},
    {sizeof(ts_scalar), 0, "join", "Both, one after the other.", 2, TS_STRING, kStrings, join},
    {sizeof(ts_scalar), TS_TAKES_NULLS, "nulls", "How many are NULL.", 3, TS_INT64, kMixed, nulls},
    {sizeof(ts_scalar), 0, "is_even", "Whether x is even.", 1, TS_BOOL, kInt, is_even},
    {sizeof(ts_scalar), 0, "broken_text", "No UTF-8.", 1, TS_STRING, kInt, broken_text},
    {sizeof(ts_scalar), 0, "strays", "Fails a row that is not there.", 1, TS_INT64, kInt, strays},
    {sizeof(ts_scalar), 0, "later", "A time after another.", 2, TS_TIMESTAMP, kTimeAndSpan, later},
};

static void total(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* time,
                  ts_state* const* states) {
  (void)host, (void)time;
  for (uint64_t i = 0; i < rows; ++i) *(int64_t*)states[i]->data += ts_int64(&args[0], i);
}
static void total_back(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* time,
                       ts_state* const* states) {
  (void)host, (void)time;
  for (uint64_t i = 0; i < rows; ++i) *(int64_t*)states[i]->data -= ts_int64(&args[0], i);
}
static void total_merge(const ts_host* host, const ts_state* from, ts_state* into) {
  (void)host;
  *(int64_t*)into->data += *(const int64_t*)from->data;
}
static void total_value(const ts_host* host, const ts_state* state, ts_value* out) {
  (void)host;
  out->as.int64 = *(const int64_t*)state->data;
}

/* The state is a length and that many bytes. */
static void keep_longest(const ts_host* host, ts_state* state, uint64_t row, const char* text, uint64_t size) {
  uint64_t have;
  memcpy(&have, state->data, 8);
  if (size < have || (size == have && memcmp(text, (char*)state->data + 8, size) <= 0)) return;
  if (!host->resize(host->self, state, 8 + size)) {
    host->fail(host->self, row, "a text of more than 1016 bytes");
    return;
  }
  memcpy(state->data, &size, 8);
  memcpy((char*)state->data + 8, text, size);
}
static void longest(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* time,
                    ts_state* const* states) {
  (void)time;
  for (uint64_t i = 0; i < rows; ++i) {
    ts_text s = ts_string(&args[0], i);
    keep_longest(host, states[i], i, s.data, s.size);
  }
}
static void longest_merge(const ts_host* host, const ts_state* from, ts_state* into) {
  uint64_t size;
  memcpy(&size, from->data, 8);
  keep_longest(host, into, 0, (const char*)from->data + 8, size);
}
static void longest_value(const ts_host* host, const ts_state* state, ts_value* out) {
  (void)host;
  memcpy(&out->as.text.size, state->data, 8);
  out->as.text.data = (const char*)state->data + 8;
}

static const ts_aggregate kAggregates[] = {
    {sizeof(ts_aggregate), 0, "total", "A sum.", 1, TS_INT64, kInt, 1, 8, 8, total, total_back, NULL, total_merge,
     total_value},
    {sizeof(ts_aggregate), 0, "longest", "The longest text.", 1, TS_STRING, kString, 1, 8, 1024, longest, NULL,
     "one text is kept, and not the one that would take its place", longest_merge, longest_value},
};

static const ts_module kModule = {
    .abi = TWINSPAN_NATIVE_ABI,
    .size = sizeof(ts_module),
    .name = "good",
    .doc = "Of the tests.",
    .scalar_count = sizeof kScalars / sizeof kScalars[0],
    .scalars = kScalars,
    .aggregate_count = sizeof kAggregates / sizeof kAggregates[0],
    .aggregates = kAggregates,
};

const ts_module* twinspan_native_module(void) { return &kModule; }

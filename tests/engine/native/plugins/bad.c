/* A plug-in with one mistake: which one is BAD (0: none), and its name MODULE, by definition on the command line.
 * OLDER: its description ends before the aggregates, and what follows is no part of it. */
#include "engine/native/twinspan_native.h"

enum {
  NO_SYMBOL = 1,
  NO_MODULE,
  OTHER_ABI,
  SHORT_MODULE,
  OTHER_NAME,
  NO_FUNCTION,
  BAD_FUNCTION_NAME,
  NO_DOC,
  TOO_MANY_ARGUMENTS,
  NO_ARGUMENTS,
  BAD_TYPE,
  BAD_RESULT,
  BAD_FLAGS,
  NO_CODE,
  TWO_OF_A_NAME,
  NO_COLUMNS,
  BAD_COLUMN,
  TWO_COLUMNS_OF_A_NAME,
  WINDOW_OF_A_NAME,
  AGGREGATE_WITHOUT_MERGE,
  AGGREGATE_WITHOUT_REASON,
  AGGREGATE_TOO_LARGE,
  AGGREGATE_OF_A_NAME,
  AGGREGATE_WITHOUT_RESULT
};

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

static void one(const ts_host* host, uint64_t rows, const ts_column* args, ts_result* result) {
  (void)host, (void)args;
  for (uint64_t i = 0; i < rows; ++i) ((int64_t*)result->values)[i] = 1;
}

static const uint32_t kArgs[] = {BAD == BAD_TYPE ? 99 : TS_INT64};

static const ts_scalar kScalars[] = {
    {sizeof(ts_scalar), BAD == BAD_FLAGS ? 64 : 0, BAD == BAD_FUNCTION_NAME ? "Not a name" : "one",
     BAD == NO_DOC ? "" : "One.",
     BAD == TOO_MANY_ARGUMENTS ? 17
     : BAD == NO_ARGUMENTS     ? 0
                               : 1,
     BAD == BAD_RESULT ? 0 : TS_INT64, kArgs, BAD == NO_CODE ? (void*)0 : one},
    {sizeof(ts_scalar), 0, BAD == TWO_OF_A_NAME ? "one" : "other", "Another.", 1, TS_INT64, kArgs, one},
};

static void nothing(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* time,
                    const ts_rows* out) {
  (void)host, (void)rows, (void)args, (void)time, (void)out;
}

static const ts_named_kind kColumns[] = {{"a", BAD == BAD_COLUMN ? 77 : TS_INT64},
                                         {BAD == TWO_COLUMNS_OF_A_NAME ? "a" : "b", TS_STRING}};

static const ts_window_function kWindows[] = {
    {sizeof(ts_window_function), 0, BAD == WINDOW_OF_A_NAME ? "one" : "whole", "A window.", 1,
     BAD == NO_COLUMNS ? 0 : 2, kArgs, kColumns, nothing},
};

static void add(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* time, ts_state* const* to) {
  (void)host, (void)rows, (void)args, (void)time, (void)to;
}
static void merge(const ts_host* host, const ts_state* from, ts_state* into) { (void)host, (void)from, (void)into; }
static void value(const ts_host* host, const ts_state* state, ts_value* out) { (void)host, (void)state, (void)out; }

static const ts_aggregate kAggregates[] = {
    {sizeof(ts_aggregate), 0, BAD == AGGREGATE_OF_A_NAME ? "whole" : "sums", "A sum.", 1,
     BAD == AGGREGATE_WITHOUT_RESULT ? 88 : TS_INT64, kArgs, 1, 8, BAD == AGGREGATE_TOO_LARGE ? 1u << 30 : 8, add,
     (void*)0, BAD == AGGREGATE_WITHOUT_REASON ? (void*)0 : "it forgets",
     BAD == AGGREGATE_WITHOUT_MERGE ? (void*)0 : merge, value},
};

static const ts_module kModule = {
    .abi = BAD == OTHER_ABI ? 2 : TWINSPAN_NATIVE_ABI,
#ifdef OLDER
    .size = offsetof(ts_module, aggregate_count),
#else
    .size = BAD == SHORT_MODULE ? 8 : sizeof(ts_module),
#endif
    .name = BAD == OTHER_NAME ? "somebody" : TEXT(MODULE),
    .scalar_count = BAD == NO_FUNCTION ? 0 : 2,
    .scalars = kScalars,
    .window_function_count = BAD == NO_FUNCTION ? 0 : 1,
    .window_functions = kWindows,
#ifdef OLDER
    .aggregate_count = 77,
#else
    .aggregate_count = BAD == NO_FUNCTION ? 0 : 1,
#endif
    .aggregates = kAggregates,
};

#if BAD != 1
const ts_module* twinspan_native_module(void) { return BAD == NO_MODULE ? (void*)0 : &kModule; }
#else
const ts_module* another_name(void);
const ts_module* another_name(void) { return &kModule; }
#endif

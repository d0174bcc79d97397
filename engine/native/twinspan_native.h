/* Native functions of Twinspan: the C interface of a plug-in, version 1.
 *
 * A plug-in is a shared library, <module>.so, in the directory that the service file allows (native.directory). It
 * exports one symbol, `twinspan_native_module`, which gives a description of what is in it. Everything that this points
 * to is constant and lives as long as the library, which is never unloaded. In pipelines a function is written
 * module.function(x): a scalar one wherever an expression stands, an aggregate under `aggregate:` of a window, with
 * FILTER (WHERE ..) like any other, a window function under `apply:` of a window.
 *
 * Rules for every function:
 * - The same arguments give the same result: no clock, no randomness, no state of the library's own. A restart computes
 *   again what was lost, and must get the same.
 * - Calls come from several threads at a time.
 * - Nothing is thrown across (C++), nothing jumps out (longjmp). A crash is one of the process: what runs in here is
 *   trusted like the program itself. A function that cannot compute a row says so with `fail`; the row then follows the
 *   step's on_error, and the others are not touched.
 * - Arguments live as long as the call. What a text result points to must live longer: memory of `allocate`, an
 *   argument's own bytes, or a constant of the library.
 *
 * What is added stands at the end of a struct, behind what its `size` says: a plug-in that was built without it works
 * on. A plug-in that was built for another version of the interface is refused.
 */
#ifndef TWINSPAN_NATIVE_H
#define TWINSPAN_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TWINSPAN_NATIVE_ABI 1u

/* Types, and how the values of a column lie in memory. */
typedef enum ts_kind {
  TS_BOOL = 1,      /* uint8_t, 0 or 1 */
  TS_INT64 = 2,     /* int64_t */
  TS_FLOAT64 = 3,   /* double */
  TS_STRING = 4,    /* ts_text, UTF-8 */
  TS_BYTES = 5,     /* ts_text */
  TS_TIMESTAMP = 6, /* int64_t, milliseconds since 1970-01-01 UTC */
  TS_DURATION = 7   /* int64_t, milliseconds */
} ts_kind;

typedef struct ts_text {
  const char* data; /* not terminated by a zero; never NULL */
  uint64_t size;
} ts_text;

/* One argument of all rows of a call. */
typedef struct ts_column {
  uint32_t kind;        /* ts_kind, as declared */
  uint32_t constant;    /* 1: one value for all rows */
  const void* values;   /* value of row i: index i, or 0 if constant */
  const uint8_t* valid; /* same index, 1 = has a value, 0 = NULL; NULL pointer: none is NULL */
} ts_column;

/* Where results go: `values` has room for all rows in the type declared; `valid` is 1 for every row that is to be
 * computed, and 0 for those that are not (their value is not read); write 0 for a result of NULL. */
typedef struct ts_result {
  void* values;
  uint8_t* valid;
} ts_result;

/* What an aggregate keeps of one group: a run of bytes, 8-aligned, that the program moves, copies and saves as it is.
 * So there are no pointers in it, and nothing of what it holds lies elsewhere. */
typedef struct ts_state {
  void* data;
  uint64_t size;
} ts_state;

/* What a function may ask of the program during a call. */
typedef struct ts_host {
  void* self;
  /* Memory for results, 8-aligned; freed by the program. */
  void* (*allocate)(void* self, uint64_t bytes);
  /* This row has no result; says why, in one line. */
  void (*fail)(void* self, uint64_t row, const char* message);
  /* Aggregates only, of a state that may be changed: makes it so many bytes. What it held stays, what is new is zero,
   * `data` may be another. 0: it may not be as large (most_bytes); the state is as it was. */
  int (*resize)(void* self, ts_state* state, uint64_t bytes);
} ts_host;

static inline uint64_t ts_index(const ts_column* column, uint64_t row) { return column->constant ? 0 : row; }
static inline int ts_is_null(const ts_column* column, uint64_t row) {
  return column->valid != NULL && column->valid[ts_index(column, row)] == 0;
}
static inline int64_t ts_int64(const ts_column* column, uint64_t row) {
  return ((const int64_t*)column->values)[ts_index(column, row)];
}
static inline double ts_float64(const ts_column* column, uint64_t row) {
  return ((const double*)column->values)[ts_index(column, row)];
}
static inline ts_text ts_string(const ts_column* column, uint64_t row) {
  return ((const ts_text*)column->values)[ts_index(column, row)];
}

/* ---- scalar functions: a value from the arguments of its row ---- */

enum { TS_TAKES_NULLS = 1 }; /* flags: called for NULLs too; else NULL in any argument gives NULL without a call */

typedef struct ts_scalar {
  uint32_t size; /* sizeof(ts_scalar) */
  uint32_t flags;
  const char* name;     /* [a-z][a-z0-9_]*, at most 64 */
  const char* doc;      /* one line */
  uint32_t arg_count;   /* 1 to 16 */
  uint32_t result;      /* ts_kind */
  const uint32_t* args; /* ts_kind of each */
  /* Columns of many rows at a time. Only rows with result->valid[row] != 0 are computed. */
  void (*run)(const ts_host* host, uint64_t rows, const ts_column* args, ts_result* result);
} ts_scalar;

/* A value that stands alone: a result of an aggregate, a cell of a row that a window function gives. */
typedef struct ts_value {
  uint32_t null; /* 1: no value */
  union {
    uint8_t boolean;
    int64_t int64; /* also timestamp and duration */
    double float64;
    ts_text text; /* also bytes */
  } as;
} ts_value;

/* ---- aggregates: a value from the rows of a group, taken in one by one ---- */

enum { TS_MOST_STATE = 16 << 20 }; /* bytes of one state */

/* The value of a group must not depend on how its rows came: one by one, in parts that are merged (panes of a sliding
 * window, sessions that become one), or with a restart in between. Where the order of rows matters, take their event
 * time, not the order of calls.
 *
 * A row that `add` fails does not count, and while it is in the group the group has no value: its result goes to the
 * dead letters with the message. Look before you change the state; a state that cannot grow is a reason to fail. What
 * `add` fails, `retract` must fail too: that takes the failure back. */
typedef struct ts_aggregate {
  uint32_t size;        /* sizeof(ts_aggregate) */
  uint32_t flags;       /* TS_TAKES_NULLS: NULLs count too; else a row with NULL in any argument does not count */
  const char* name;     /* [a-z][a-z0-9_]*, at most 64 */
  const char* doc;      /* one line */
  uint32_t arg_count;   /* 1 to 16 */
  uint32_t result;      /* ts_kind */
  const uint32_t* args; /* ts_kind of each */
  /* Goes up whenever the bytes of a state mean something else than before: a state that was saved under another number
   * is refused at the start, not misread. */
  uint32_t state_version;
  uint32_t state_size; /* bytes of a group without rows, all zero; 1 to most_bytes */
  uint64_t most_bytes; /* that a state may grow to, at most TS_MOST_STATE */
  /* Row i counts in states[i]; some of them may be the same. */
  void (*add)(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* event_time,
              ts_state* const* states);
  /* Row i had counted, in states[i] or in one that will be merged with it, and no longer does: exactly undoes `add`,
   * also when it comes first. NULL: that is not possible; `append_only` says why, and windows over results that change
   * refuse the function when the pipeline is loaded. */
  void (*retract)(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* event_time,
                  ts_state* const* states);
  const char* append_only; /* one line, without a function `retract` */
  /* As if the rows of `from` had counted in `into`. Failing row 0 leaves the group without a value. */
  void (*merge)(const ts_host* host, const ts_state* from, ts_state* into);
  /* The value of the group, which goes on after it. A text must live as of scalar functions, or lie in the state. */
  void (*value)(const ts_host* host, const ts_state* state, ts_value* out);
} ts_aggregate;

/* ---- whole-window functions: rows from all rows of a group ---- */

typedef struct ts_named_kind {
  const char* name;
  uint32_t kind;
} ts_named_kind;

typedef struct ts_rows {
  void* self;
  /* One row of the result, a cell for each of the function's columns, copied at once. */
  void (*add)(void* self, const ts_value* cells);
} ts_rows;

/* Gets the rows of one key of one window, in the order of their event time, once, when no further one can come: the
 * columns `args`, with NULLs. Failing any row fails the whole call. */
typedef struct ts_window_function {
  uint32_t size;         /* sizeof(ts_window_function) */
  uint32_t flags;        /* 0 */
  const char* name;      /* [a-z][a-z0-9_]*, at most 64 */
  const char* doc;       /* one line */
  uint32_t arg_count;    /* 1 to 16 */
  uint32_t column_count; /* 1 to 16 */
  const uint32_t* args;
  const ts_named_kind* columns; /* of the result */
  void (*run)(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* event_time, const ts_rows* out);
} ts_window_function;

/* ---- the module ---- */

typedef struct ts_module {
  uint32_t abi;     /* TWINSPAN_NATIVE_ABI */
  uint32_t size;    /* sizeof(ts_module) */
  const char* name; /* the file's name without .so */
  const char* doc;  /* one line */
  uint32_t scalar_count;
  const ts_scalar* scalars;
  uint32_t window_function_count;
  const ts_window_function* window_functions;
  uint32_t aggregate_count;
  const ts_aggregate* aggregates;
} ts_module;

#define TWINSPAN_NATIVE_SYMBOL "twinspan_native_module"

/* What a plug-in exports. */
__attribute__((visibility("default"))) const ts_module* twinspan_native_module(void);

#ifdef __cplusplus
}
#endif

#endif

#pragma once
// Errors as values. `Result<T>` is a value or an `Error`; reading the wrong one ends the process (a bug, not an input).
// This is the only file that names Boost.Outcome. Thread: any.

#include <boost/outcome/basic_result.hpp>
#include <boost/outcome/policy/terminate.hpp>
#include <boost/outcome/try.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace twinspan {

// The kind decides the reaction, in one place (gateway/): what caused it is in the message.
enum class ErrorKind {
  config,     // refuse to start or to apply; the user changes a file
  transient,  // try again with back-off, then fail over
  data,       // this record: count it, dead-letter it
  conflict,   // the request does not fit the present state (stale plan, second owner)
  not_found,
  permanent,  // stop this pipeline, keep the others
  shutdown,   // unwind quietly
};

const char* to_string(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::permanent;
  std::string message;    // what failed, the object in quotes, then a hint
  const char* code = "";  // a literal: stable name for programs ("plan_expired"); "" = the kind says enough
};

namespace outcome = BOOST_OUTCOME_V2_NAMESPACE;

template <class T>
using Result = outcome::basic_result<T, Error, outcome::policy::terminate>;
using Status = Result<void>;

inline Status ok() { return outcome::success(); }

inline Error config_error(std::string m) { return {ErrorKind::config, std::move(m)}; }
inline Error transient_error(std::string m) { return {ErrorKind::transient, std::move(m)}; }
inline Error data_error(std::string m) { return {ErrorKind::data, std::move(m)}; }
inline Error conflict_error(std::string m, const char* code = "") { return {ErrorKind::conflict, std::move(m), code}; }
inline Error not_found_error(std::string m, const char* code = "") {
  return {ErrorKind::not_found, std::move(m), code};
}
inline Error permanent_error(std::string m) { return {ErrorKind::permanent, std::move(m)}; }

}  // namespace twinspan

// TS_TRY(value, call()) declares value or returns the error; TS_TRYV(call()) for a Status.
#define TS_TRY(var, ...) BOOST_OUTCOME_TRY(auto var, __VA_ARGS__)
#define TS_TRYV(...)                                             \
  do {                                                           \
    if (auto ts_status = (__VA_ARGS__); !ts_status) [[unlikely]] \
      return std::move(ts_status).as_failure();                  \
  } while (0)

// A bug, never an input: prints where, and ends the process (the checkpoint is the way back).
#define TS_CHECK(condition)                                                              \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (0)

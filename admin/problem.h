#pragma once
// What a client gets when a call fails: application/problem+json (RFC 9457) with a stable `code`, the places
// in the body that are wrong (JSON pointer, or line, column and offset for text that does not parse), and the
// request's id. Thread: any.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace twinspan::admin {

struct Problem {
  struct At {
    std::string pointer;  // RFC 6901; "" = the whole body
    std::string message, hint;
    std::int64_t line = -1, column = -1, offset = -1;  // of the body's text; from 1, from 1, from 0
  };
  int status = 500;
  std::string code;
  std::string detail;
  std::vector<At> errors;
  std::string allow;   // 405: the methods there are
  bool close = false;  // the connection cannot be used any further

  Problem() = default;
  Problem(int status, std::string code, std::string detail)
      : status(status), code(std::move(code)), detail(std::move(detail)) {}
  Problem(const Error& error);  // NOLINT: lets TS_TRY turn an Error of the control plane into a Problem
};

std::string_view status_title(int status);
std::string to_json(const Problem& problem, std::string_view request_id);

}  // namespace twinspan::admin

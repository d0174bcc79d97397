#include "admin/problem.h"

#include <boost/json.hpp>

namespace twinspan::admin {
namespace {

int status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::not_found: return 404;
    case ErrorKind::conflict: return 409;
    case ErrorKind::config:
    case ErrorKind::data: return 422;
    case ErrorKind::transient:
    case ErrorKind::shutdown: return 503;
    case ErrorKind::permanent: return 500;
  }
  return 500;
}

}  // namespace

Problem::Problem(const Error& error)
    : status(status_of(error.kind)),
      code(error.code != nullptr && *error.code != '\0' ? error.code : twinspan::to_string(error.kind)),
      detail(error.message) {}

std::string_view status_title(int status) {
  switch (status) {
    case 400: return "Bad request";
    case 403: return "Forbidden";
    case 404: return "Not found";
    case 405: return "Method not allowed";
    case 406: return "Not acceptable";
    case 408: return "Request timeout";
    case 409: return "Conflict";
    case 413: return "Content too large";
    case 415: return "Unsupported media type";
    case 421: return "Misdirected request";
    case 422: return "Unprocessable content";
    case 431: return "Request header fields too large";
    case 503: return "Service unavailable";
    case 505: return "HTTP version not supported";
    default: return "Internal error";
  }
}

std::string to_json(const Problem& problem, std::string_view request_id) {
  boost::json::object out;
  out["type"] = "about:blank";
  out["title"] = status_title(problem.status);
  out["status"] = problem.status;
  out["detail"] = problem.detail;
  out["code"] = problem.code;
  boost::json::array errors;
  for (const Problem::At& at : problem.errors) {
    boost::json::object one;
    one["pointer"] = at.pointer;
    if (at.line >= 0) one["line"] = at.line;
    if (at.column >= 0) one["column"] = at.column;
    if (at.offset >= 0) one["offset"] = at.offset;
    one["message"] = at.message;
    if (!at.hint.empty()) one["hint"] = at.hint;
    errors.push_back(std::move(one));
  }
  out["errors"] = std::move(errors);
  out["request_id"] = request_id;
  return boost::json::serialize(out);
}

}  // namespace twinspan::admin

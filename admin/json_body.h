#pragma once
// Reads a request body against the body parameters of its endpoint: syntax errors with line, column and
// offset (400), and all wrong, missing and unknown keys at once with their JSON pointers (422). Thread: any.

#include <boost/json/object.hpp>

#include <optional>
#include <string_view>
#include <vector>

#include "admin/endpoint_table.h"
#include "admin/problem.h"

namespace twinspan::admin {

std::optional<Problem> parse_body(std::string_view text, const std::vector<Parameter>& parameters,
                                  boost::json::object& out);

// A 422 about one place in the body.
Problem invalid(std::string pointer, std::string message, std::string hint = "");

}  // namespace twinspan::admin

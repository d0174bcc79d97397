#pragma once
// JSON Schema (draft 2020-12) of the two kinds of file, written from the descriptor tables, for editors and for the
// console's forms. Thread: any.

#include <string>

namespace twinspan::config {

class ObjectTable;

std::string pipeline_json_schema();
std::string service_json_schema();
std::string json_schema(const ObjectTable& root, const std::string& title);

}  // namespace twinspan::config

#pragma once
// The reference of everything a user can write: keys of both files from their descriptor tables, aggregates and
// functions from the tables that the compiler resolves against. Nothing in it is written a second time, so it cannot
// say anything else than what the program does. Thread: control.

#include <string>

namespace twinspan::gateway {

std::string reference_markdown();
std::string reference_json();

}  // namespace twinspan::gateway

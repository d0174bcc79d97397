#pragma once
// The little JSON writing that config needs: strings, and nothing else. Thread: any.

#include <string>
#include <string_view>

namespace twinspan::config {

std::string json_string(std::string_view text);

}  // namespace twinspan::config

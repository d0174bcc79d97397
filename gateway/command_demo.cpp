#include "gateway/command_demo.h"
namespace twinspan::gateway { int command_demo(const std::vector<std::string>&) { return 1; } }

#pragma once
// The live screen as text: a view and a size in, one frame of ANSI sequences out. Draws over the last frame
// without clearing, so nothing flickers. What does not fit is left out from the bottom of its part. Thread:
// main.

#include <string>

#include "gateway/demo/demo_view.h"
#include "gateway/demo/terminal.h"

namespace twinspan::gateway {

std::string render_screen(const DemoView& view, TerminalSize size);

// For both outputs: event time as the pipeline's zone has it, and text from records without what would move
// the cursor.
std::string event_clock(EventTime t);   // 08:31:05; "-" if none
std::string event_minute(EventTime t);  // 08:31
std::string printable(const std::string& text);

}  // namespace twinspan::gateway

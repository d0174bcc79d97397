#pragma once
// A fixed piece of work that uses a core and its memory as the engine does; timed before and after each job, so that a
// run on a disturbed machine is noticed. Nanoseconds of CPU; smaller is faster. Thread: main.

namespace twinspan::bench {

double calibrate();

}  // namespace twinspan::bench

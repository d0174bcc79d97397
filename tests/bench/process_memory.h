#pragma once
// Peak memory of a running child. Not rusage's ru_maxrss: that counts what the parent had at the fork as well.
// Thread: any.

#include <sys/types.h>

namespace twinspan::bench {

// The most that has been resident since its exec, in MiB (VmHWM); 0 when the process is gone.
double peak_rss_mib(pid_t pid);

}  // namespace twinspan::bench

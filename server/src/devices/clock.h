// The clock of everything here: monotonic, so that a jump of the wall clock ends no run and delays no restart.
#ifndef EMS_DEVICES_CLOCK_H_
#define EMS_DEVICES_CLOCK_H_

#include <algorithm>
#include <chrono>

#include "absl/time/time.h"
#include "base/clock.h"

namespace ems {

using Clock = std::chrono::steady_clock;
using Instant = Clock::time_point;

// Returns the instant `duration` from now; at most in ten years, so that no arithmetic overflows.
inline Instant FromNow(absl::Duration duration) {
  return Clock::now() + absl::ToChronoNanoseconds(std::min(duration, absl::Hours(24 * 365 * 10)));
}

// Returns the instant at which a deadline on SteadyNow's scale passes.
inline Instant FromDeadline(absl::Time deadline) { return FromNow(deadline - SteadyNow()); }

}  // namespace ems

#endif  // EMS_DEVICES_CLOCK_H_

#include "base/clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace ems {

absl::Time SteadyNow() {
  using Clock = std::chrono::steady_clock;
  static const Clock::time_point start = Clock::now();
  static const absl::Time day = absl::Now();
  return day + absl::FromChrono(Clock::now() - start);
}

absl::Time FromWallClock(absl::Time deadline) { return SteadyNow() + (deadline - absl::Now()); }

absl::Time ToWallClock(absl::Time deadline) { return absl::Now() + (deadline - SteadyNow()); }

}  // namespace ems

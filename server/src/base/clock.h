// Time for deadlines and for how long something took. Boards without a battery set their clock by years when they find
// a time server; that must neither end a request nor stretch a wait.
#ifndef EMS_BASE_CLOCK_H_
#define EMS_BASE_CLOCK_H_

#include "absl/time/time.h"

namespace ems {

// Returns the time of day of the first call, moved on by the monotonic clock. Use it instead of absl::Now().
absl::Time SteadyNow();

// Converts a deadline of the wall clock, as that stands now, and back.
absl::Time FromWallClock(absl::Time deadline);
absl::Time ToWallClock(absl::Time deadline);

}  // namespace ems

#endif  // EMS_BASE_CLOCK_H_

// How long runs of a model take, for the limit beyond which a run is a hang.
#ifndef EMS_DEVICES_RUN_TIMES_H_
#define EMS_DEVICES_RUN_TIMES_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace ems {

// A histogram with four buckets for each power of two of microseconds. Not thread-safe.
class RunTimes {
 public:
  void Add(absl::Duration time);

  // Returns an upper bound of the 99th percentile, at most a fifth too large; zero before the first run. Old runs fade:
  // after 10,000 runs all counts are halved.
  absl::Duration Percentile99() const;

 private:
  std::array<uint32_t, 160> counts_{};
  uint32_t total_ = 0;
};

}  // namespace ems

#endif  // EMS_DEVICES_RUN_TIMES_H_

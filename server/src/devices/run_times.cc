#include "devices/run_times.h"

#include <algorithm>
#include <cmath>

namespace ems {

namespace {

constexpr uint32_t kMostRuns = 10000;

}  // namespace

void RunTimes::Add(absl::Duration time) {
  const double micros = std::max(1.0, absl::ToDoubleMicroseconds(time));
  // The least as floating point: infinity is no integer.
  const double bucket = std::min(std::ceil(4 * std::log2(micros)), static_cast<double>(counts_.size() - 1));
  ++counts_.at(static_cast<size_t>(bucket));
  if (++total_ < kMostRuns) return;
  total_ = 0;
  for (uint32_t& count : counts_) total_ += count /= 2;
}

absl::Duration RunTimes::Percentile99() const {
  uint32_t beyond = total_;
  for (size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    beyond -= counts_.at(bucket);
    if (beyond * 100 <= total_) {
      return total_ == 0 ? absl::ZeroDuration() : absl::Microseconds(std::exp2(static_cast<double>(bucket) / 4));
    }
  }
  return absl::ZeroDuration();
}

}  // namespace ems

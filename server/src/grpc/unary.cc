#include "grpc/unary.h"

#include <chrono>

#include "base/clock.h"

namespace ems {

absl::Time Deadline(const grpc::ServerContext& context) {
  const std::chrono::system_clock::time_point deadline = context.deadline();
  // gRPC's "none" is the largest time of the clock.
  return deadline == std::chrono::system_clock::time_point::max() ? absl::InfiniteFuture()
                                                                  : FromWallClock(absl::FromChrono(deadline));
}

}  // namespace ems

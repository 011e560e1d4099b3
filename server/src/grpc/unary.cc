#include "grpc/unary.h"

#include <chrono>

namespace ems {

absl::Time Deadline(const grpc::ServerContext& context) {
  const std::chrono::system_clock::time_point deadline = context.deadline();
  // gRPC's "none" is the largest time of the clock.
  return deadline == std::chrono::system_clock::time_point::max() ? absl::InfiniteFuture() : absl::FromChrono(deadline);
}

}  // namespace ems

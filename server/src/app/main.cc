// edge_model_server: reads its flags, loads the models, serves until it is asked to stop.
#include <malloc.h>

#include <algorithm>
#include <exception>
#include <iostream>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "absl/synchronization/mutex.h"
#include "app/log.h"
#include "app/run.h"

int main(int argc, char** argv) {
  absl::StatusOr<std::variant<ems::Options, ems::Printed>> parsed = ems::ParseOptions(argc, argv);
  if (!parsed.ok()) {
    ems::Log(ems::Severity::kError, std::string(parsed.status().message()));
    return ems::kExitConfig;
  }
  if (const auto* printed = std::get_if<ems::Printed>(&*parsed)) {
    std::cout << printed->text;
    return ems::kExitOk;
  }
  // Debian's Abseil checks the order of all locks, gRPC's too, which costs each request.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // An arena of malloc for each core, not 8: each holds on to the memory of the requests that it has ever seen.
  mallopt(M_ARENA_MAX, static_cast<int>(std::max(2U, std::thread::hardware_concurrency())));
  auto& options = std::get<ems::Options>(*parsed);
  try {
    return options.check ? ems::Check(std::move(options)) : ems::Run(std::move(options));
  } catch (const std::exception& error) {  // at the start: no memory, thread or descriptor
    ems::Log(ems::Severity::kError, error.what());
    return ems::kExitInternal;
  }
}

// Models on the CPU, in the server's own process: a pool of interpreters.
#ifndef EMS_TFLITE_CPU_SERVABLE_H_
#define EMS_TFLITE_CPU_SERVABLE_H_

#include <memory>

#include "model/servable.h"
#include "tflite/runner.h"

namespace ems {

struct CpuOptions {
  int interpreters = 1;             // at most so many runs at once
  int threads = 1;                  // of each interpreter
  int queue = 100;                  // requests that may wait for an interpreter; more are RESOURCE_EXHAUSTED
  uint64_t memory_limit_bytes = 0;  // 0: none; a load that does not fit (file and arenas) is RESOURCE_EXHAUSTED
  std::string fallback;             // why the CPU computes a model that was meant for a device; for Placement::detail
};

// Loads `model` and runs each signature that has static shapes once.
absl::StatusOr<std::unique_ptr<Servable>> LoadOnCpu(std::shared_ptr<const TfliteModel> model,
                                                    const CpuOptions& options);

}  // namespace ems

#endif  // EMS_TFLITE_CPU_SERVABLE_H_

// Models on the CPU, in the server's own process: a pool of interpreters.
#ifndef EMS_TFLITE_CPU_SERVABLE_H_
#define EMS_TFLITE_CPU_SERVABLE_H_

#include <memory>
#include <string>

#include "base/thread_pool.h"
#include "model/servable.h"
#include "tflite/memory_budget.h"
#include "tflite/runner.h"

namespace ems {

struct CpuOptions {
  int interpreters = 1;  // at most so many runs at once; fewer where the memory does not suffice for all
  int threads = 1;       // of each interpreter
  int queue = 100;       // requests that may wait for an interpreter; more are RESOURCE_EXHAUSTED
  std::shared_ptr<MemoryBudget> memory;  // null: no limit; a load that does not fit in it is RESOURCE_EXHAUSTED
  // Threads that run rows of a request on interpreters that are free; null: the rows run one after the other.
  std::shared_ptr<ThreadPool> helpers;
  std::string fallback;  // why the CPU computes a model that was meant for a device; for Placement::detail
};

// Loads `model` and runs each signature once whose inputs are numbers and dynamic in the first dimension at most; a
// failure of that run is told in Placement::detail. A
// model with resource variables gets a single interpreter, so that every request sees the same values.
absl::StatusOr<std::unique_ptr<Servable>> LoadOnCpu(std::shared_ptr<const TfliteModel> model,
                                                    const CpuOptions& options);

}  // namespace ems

#endif  // EMS_TFLITE_CPU_SERVABLE_H_

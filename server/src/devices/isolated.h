// Models on the CPU in processes of their own, so that one that crashes takes nothing else down.
#ifndef EMS_DEVICES_ISOLATED_H_
#define EMS_DEVICES_ISOLATED_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "model/servable.h"
#include "tflite/cpu_servable.h"
#include "tflite/model.h"

namespace ems {

struct IsolatedOptions {
  std::string worker;  // path of edge_model_worker
  std::function<void(const std::string& line)> log;
};

// Loads a model as LoadOnCpu does, but each interpreter in a worker process: at most as many as the memory limit
// permits. A process that dies is started again, and its run is tried once more in another. UNAVAILABLE where no
// process could load the model, RESOURCE_EXHAUSTED where the first takes more than the limit.
absl::StatusOr<std::unique_ptr<Servable>> LoadIsolated(const ServableId& id, std::shared_ptr<const TfliteModel> model,
                                                       const CpuOptions& cpu, const IsolatedOptions& options);

}  // namespace ems

#endif  // EMS_DEVICES_ISOLATED_H_

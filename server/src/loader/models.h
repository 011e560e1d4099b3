// The model files of a version folder, opened.
#ifndef EMS_LOADER_MODELS_H_
#define EMS_LOADER_MODELS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "pipeline/plan.h"
#include "tflite/model.h"

namespace ems {

using ModelPtr = std::shared_ptr<const TfliteModel>;

// At least one is set; null where there is no such file. `cpu` and `device` have the same signatures, and so has the
// pipeline of the segments, but for those of other keys than serving_default.
struct FolderModels {
  ModelPtr cpu;
  ModelPtr device;
  std::vector<ModelPtr> segments;
  PipelinePlan pipeline;  // of the segments
  QuantisationMap quantisations;
};

// Opens what FindModelFiles finds. Errors of TfliteModel::Open; INVALID_ARGUMENT where the files do not fit together.
absl::StatusOr<FolderModels> OpenFolder(const std::string& folder, const std::shared_ptr<MemoryBudget>& memory);

// Opens a file once more. FAILED_PRECONDITION where its signatures are others than before.
absl::StatusOr<ModelPtr> OpenAgain(const std::string& path, const SignatureMap& signatures,
                                   const std::shared_ptr<MemoryBudget>& memory);

}  // namespace ems

#endif  // EMS_LOADER_MODELS_H_

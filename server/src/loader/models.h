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

// A file and what is in it; null where there is no such file.
struct ModelFile {
  std::string path;
  std::shared_ptr<const TfliteModel> model;
};

// At least one is set. `cpu` and `device` have the same signatures, and so has the pipeline of the segments, but for
// those of other keys than serving_default.
struct FolderModels {
  ModelFile cpu;
  ModelFile device;
  std::vector<ModelFile> segments;
  PipelinePlan pipeline;  // of the segments
  QuantisationMap quantisations;
};

// Opens what FindModelFiles finds. INVALID_ARGUMENT where the files do not fit together.
absl::StatusOr<FolderModels> OpenFolder(const std::string& folder);

}  // namespace ems

#endif  // EMS_LOADER_MODELS_H_

// The files of a version folder.
#ifndef EMS_LOADER_FILES_H_
#define EMS_LOADER_FILES_H_

#include <string>

#include "absl/status/statusor.h"

namespace ems {

// Paths of the model for the CPU and of the same model compiled for a device. At least the first is set, or only the
// second.
struct ModelFiles {
  std::string cpu;
  std::string device;
};

// Finds the model in a version folder: model.tflite as in TensorFlow Serving's layout, else the only *.tflite. A name
// that ends in _edgetpu.tflite, as the Edge TPU compiler writes it, is the model for the device. Errors for the
// operator: NOT_FOUND for a folder without a model, INVALID_ARGUMENT for several; both say what to do.
absl::StatusOr<ModelFiles> FindModelFiles(const std::string& folder);

}  // namespace ems

#endif  // EMS_LOADER_FILES_H_

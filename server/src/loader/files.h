// The files of a version folder.
#ifndef EMS_LOADER_FILES_H_
#define EMS_LOADER_FILES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace ems {

// Paths of the model for the CPU, of the same model compiled for a device, and of the segments into which it was
// compiled, in order. At least one is set; never both of the last two.
struct ModelFiles {
  std::string cpu;
  std::string device;
  std::vector<std::string> segments;
};

// Finds the model in a version folder: model.tflite as in TensorFlow Serving's layout, else the only *.tflite. A name
// that ends in _edgetpu.tflite, as the Edge TPU compiler writes it, is the model for the device; the files
// *_segment_0_of_N*.tflite to N-1 are its segments, as the compiler's --num_segments writes them. Errors for the
// operator, which say what to do: NOT_FOUND for a folder without a model or without some of its segments,
// INVALID_ARGUMENT for several models.
absl::StatusOr<ModelFiles> FindModelFiles(const std::string& folder);

}  // namespace ems

#endif  // EMS_LOADER_FILES_H_

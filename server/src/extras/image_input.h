// Encoded images as values of an input.
#ifndef EMS_EXTRAS_IMAGE_INPUT_H_
#define EMS_EXTRAS_IMAGE_INPUT_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "ems/edge_model.pb.h"
#include "extras/image.h"
#include "model/servable.h"
#include "tflite/model.h"

namespace ems {

// How the files that a client sends become an input's tensor.
struct ImageInputPlan {
  DataType dtype = DataType::kInvalid;
  int height = 0;
  int width = 0;
  int channels = 0;
  bool keep_aspect = false;
  bool upright = true;
  // The value of the tensor is pixel * scale + offset, rounded for integers.
  float scale = 1;
  float offset = 0;
  int padding = 0;  // the pixel beside an image that keeps its aspect
};

// Returns the plan of an input; nothing where it takes no images. `settings` is the sidecar's message for it, or null.
// INVALID_ARGUMENT where the sidecar asks for images at an input of another shape or type.
absl::StatusOr<std::optional<ImageInputPlan>> PlanImageInput(const std::string& name, const TensorSpec& spec,
                                                             const Quantisation& quantisation,
                                                             const ImageInput* settings);

// Decodes the files of a DT_STRING tensor, of shape [] or [n], into a tensor [n, height, width, channels].
// INVALID_ARGUMENT with the number of the file that is not an image. DEADLINE_EXCEEDED where `deadline`, on the scale
// of SteadyNow, passes before the last file is begun.
absl::StatusOr<Tensor> DecodeImages(const ImageInputPlan& plan, const Tensor& files,
                                    absl::Time deadline = absl::InfiniteFuture());

}  // namespace ems

#endif  // EMS_EXTRAS_IMAGE_INPUT_H_

// Inputs of requests for the command line: zeros, raw bytes, NumPy arrays, PGM and PPM images.
#ifndef EMS_CLIENT_INPUT_H_
#define EMS_CLIENT_INPUT_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/tensor.h"
#include "model/servable.h"

namespace ems {

// Returns the tensor for an input: `source` is a file, "-" for standard input, or "zeros". The content decides the
// format; what is neither a NumPy array nor an image is raw bytes. A dimension of any size (-1) is 1, unless the source
// has a size. Pixels are 0 to 255 for uint8, less 128 for int8, divided by 255 for other types.
// NOT_FOUND for a file that cannot be read; INVALID_ARGUMENT for content that does not fit.
absl::StatusOr<Tensor> ReadInput(const TensorSpec& spec, const std::string& source);

}  // namespace ems

#endif  // EMS_CLIENT_INPUT_H_

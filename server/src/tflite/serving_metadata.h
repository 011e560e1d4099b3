// The metadata "signature_defs_metadata" of a .tflite file: TensorFlow Serving's place for signatures.
#ifndef EMS_TFLITE_SERVING_METADATA_H_
#define EMS_TFLITE_SERVING_METADATA_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace ems {

// The fields of a tensorflow.SignatureDef that say which tensors it means.
struct ServingSignature {
  std::map<std::string, std::string> inputs;  // keys to tensor names, such as "x:0"
  std::map<std::string, std::string> outputs;
  std::string method_name;
};

// Returns the signatures by key; none where the file has no such metadata. INVALID_ARGUMENT for metadata that does not
// parse.
absl::StatusOr<std::map<std::string, ServingSignature>> ReadServingMetadata(const tflite::Model& model);

}  // namespace ems

#endif  // EMS_TFLITE_SERVING_METADATA_H_

// The signatures of a .tflite file, from the first of three places that has any.
#ifndef EMS_TFLITE_SIGNATURES_H_
#define EMS_TFLITE_SIGNATURES_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include "tflite/model.h"

namespace ems {

// Reads the signatures and where their tensors are; see TfliteModel::signatures(). `model` is a verified flatbuffer
// with at least one subgraph. INVALID_ARGUMENT for a signature that names no tensor, leaves an input out, or has a
// tensor of a type that clients cannot send.
absl::Status ReadSignatures(const tflite::Model& model, SignatureMap& signatures,
                            std::map<std::string, SignatureTensors>& tensors);

}  // namespace ems

#endif  // EMS_TFLITE_SIGNATURES_H_

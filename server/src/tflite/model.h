// A .tflite file: its signatures and what it needs. Reading it computes nothing and needs no delegate.
#ifndef EMS_TFLITE_MODEL_H_
#define EMS_TFLITE_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/servable.h"

namespace tflite {
class FlatBufferModel;
}

namespace ems {

// Where the tensors of a signature are in the model: names to tensor indices of the main or another subgraph.
struct SignatureTensors {
  int subgraph = 0;
  std::map<std::string, int> inputs;
  std::map<std::string, int> outputs;
};

class TfliteModel {
 public:
  // Maps a file. Errors for the operator: NOT_FOUND, PERMISSION_DENIED; INVALID_ARGUMENT for a file that is cut, is not
  // a TFLite model, is of a newer schema, or uses an operator (named) that this runtime does not have; a custom
  // operator of a delegate (edgetpu-custom-op) is not an error.
  static absl::StatusOr<std::shared_ptr<const TfliteModel>> Open(const std::string& path);
  ~TfliteModel();
  TfliteModel(const TfliteModel&) = delete;
  TfliteModel& operator=(const TfliteModel&) = delete;

  // The signatures: the model's own table; else the metadata "SignatureDef" map that TensorFlow Serving reads; else
  // one serving_default of the tensors' names (":0" dropped).
  const SignatureMap& signatures() const { return signatures_; }
  const std::map<std::string, SignatureTensors>& tensors() const { return tensors_; }
  bool has_edgetpu_op() const { return has_edgetpu_op_; }
  uint64_t file_bytes() const { return file_bytes_; }
  const tflite::FlatBufferModel& flatbuffer() const { return *flatbuffer_; }

 private:
  TfliteModel();
  std::unique_ptr<tflite::FlatBufferModel> flatbuffer_;
  SignatureMap signatures_;
  std::map<std::string, SignatureTensors> tensors_;
  bool has_edgetpu_op_ = false;
  uint64_t file_bytes_ = 0;
};

}  // namespace ems

#endif  // EMS_TFLITE_MODEL_H_

// A .tflite file: its signatures and what it needs. Reading it computes nothing and needs no delegate.
#ifndef EMS_TFLITE_MODEL_H_
#define EMS_TFLITE_MODEL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/fd.h"
#include "model/servable.h"
#include "tflite/memory_budget.h"
#include "tflite/reporter.h"

namespace tflite::impl {
class FlatBufferModel;
}  // namespace tflite::impl

namespace ems {

// Where the tensors of a signature are in the model: names to tensor indices of the main or another subgraph.
struct SignatureTensors {
  int subgraph = 0;
  std::map<std::string, int> inputs;
  std::map<std::string, int> outputs;
};

// Scale and zero point of a quantised tensor: real = scale * (value - zero_point). A scale of 0: not quantised.
struct Quantisation {
  float scale = 0;
  int64_t zero_point = 0;
};

// Of the inputs and outputs of a signature, by their names in it.
struct SignatureQuantisation {
  std::map<std::string, Quantisation> inputs;
  std::map<std::string, Quantisation> outputs;
};
using QuantisationMap = std::map<std::string, SignatureQuantisation>;

class TfliteModel {
 public:
  // Copies a file into memory of its own, so that whoever writes into the file changes nothing that is served. The
  // memory counts against `budget`, where there is one, as long as the model exists.
  // Errors for the operator: NOT_FOUND, PERMISSION_DENIED; RESOURCE_EXHAUSTED; INVALID_ARGUMENT for a file that is cut,
  // is not a TFLite model, is of a newer schema, or uses a builtin operator (named) that this runtime does not have. A
  // custom operator is not an error: a delegate may compute it; see custom_operators().
  static absl::StatusOr<std::shared_ptr<const TfliteModel>> Open(const std::string& path,
                                                                 const std::shared_ptr<MemoryBudget>& budget = nullptr);

  // Maps a file that nobody changes, such as the copy of another process. Errors as Open.
  static absl::StatusOr<std::shared_ptr<const TfliteModel>> Map(const std::string& path);

  ~TfliteModel();
  TfliteModel(const TfliteModel&) = delete;
  TfliteModel& operator=(const TfliteModel&) = delete;

  // The signatures: the model's own table; else the metadata map of SignatureDefs that TensorFlow Serving reads; else
  // one serving_default of the tensors' names (":0" dropped). A single signature of another name is serving_default
  // too.
  const SignatureMap& signatures() const { return signatures_; }
  const std::map<std::string, SignatureTensors>& tensors() const { return tensors_; }

  // Returns the quantisation of a tensor of a subgraph.
  Quantisation quantisation(int subgraph, int tensor) const;

  // Returns that of all inputs and outputs, by signature.
  QuantisationMap quantisations() const;

  // The custom operators that only a delegate can compute, such as edgetpu-custom-op; sorted.
  const std::vector<std::string>& custom_operators() const { return custom_operators_; }
  bool has_edgetpu_op() const { return has_edgetpu_op_; }

  // Whether the model keeps values between runs in resource variables: then it needs a single interpreter.
  bool has_resources() const { return has_resources_; }

  // The file that was opened, for people.
  const std::string& path() const { return path_; }

  // The path under which another process of the same user maps the copy, as long as this object exists.
  std::string shared_path() const;

  const tflite::impl::FlatBufferModel& flatbuffer() const { return *flatbuffer_; }

 private:
  explicit TfliteModel(std::string path);
  // Maps the file at `path`, which must stay as it is, and checks it.
  absl::Status Read(const std::string& path);
  absl::Status ReadOperators();

  const std::string path_;
  std::unique_ptr<MemoryBudget::Share> share_;
  Fd copy_;
  Reporter reporter_;  // the flatbuffer keeps a pointer to it
  std::unique_ptr<tflite::impl::FlatBufferModel> flatbuffer_;
  SignatureMap signatures_;
  std::map<std::string, SignatureTensors> tensors_;
  std::vector<std::string> custom_operators_;
  bool has_edgetpu_op_ = false;
  bool has_resources_ = false;
};

}  // namespace ems

#endif  // EMS_TFLITE_MODEL_H_

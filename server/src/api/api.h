// The calls behind both front ends, without a transport: find a version, check a request, run it.
//
// Calls that a client makes in protocol buffers (gRPC) or in JSON of the same messages (REST) take and return those
// messages. A front end counts each request (Metrics::CountRequest) and its latency, once the model is known to be
// configured; the latency of the run itself is counted here.
#ifndef EMS_API_API_H_
#define EMS_API_API_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "catalogue/catalogue.h"
#include "metrics/metrics.h"
#include "model/servable.h"
#include "tensorflow_serving/apis/classification.pb.h"
#include "tensorflow_serving/apis/get_model_metadata.pb.h"
#include "tensorflow_serving/apis/get_model_status.pb.h"
#include "tensorflow_serving/apis/inference.pb.h"
#include "tensorflow_serving/apis/model.pb.h"
#include "tensorflow_serving/apis/model_management.pb.h"
#include "tensorflow_serving/apis/regression.pb.h"

namespace ems {

// A signature of a version, found for a request. The version stays loaded while it exists.
struct Target {
  ServableHandle handle;
  std::string signature_name;
  const Signature* signature = nullptr;
};

// Returns which version a message asks for.
ModelSpec FromProto(const tensorflow::serving::ModelSpec& proto);

// Writes what a reply says of itself: name, version and signature.
void ToProto(const Target& target, tensorflow::serving::ModelSpec* proto);

class Api {
 public:
  // Both must outlive the object, which is thread-safe.
  Api(Catalogue& catalogue, Metrics& metrics) : catalogue_(catalogue), metrics_(metrics) {}

  // An empty `signature` is serving_default. FAILED_PRECONDITION `Serving signature key "s" not found.`
  absl::StatusOr<Target> Resolve(const ModelSpec& spec, const std::string& signature) const;

  // Checks the inputs (model/rows.h) and the filter, and runs. An input may be called by the name of its tensor in the
  // model. `filter` names the outputs to return; empty: all.
  // INVALID_ARGUMENT "output tensor alias not found in signature: .." or "duplicate output tensor alias: ..";
  // DEADLINE_EXCEEDED before a run whose deadline has passed.
  absl::StatusOr<TensorMap> Predict(const Target& target, TensorMap inputs, const std::vector<std::string>& filter,
                                    absl::Time deadline) const;

  // The features of the examples become the inputs of a signature (codec/examples.h). Unlike Predict, an unknown
  // signature is INVALID_ARGUMENT, as in TensorFlow Serving.
  absl::StatusOr<tensorflow::serving::ClassificationResponse> Classify(
      const tensorflow::serving::ClassificationRequest& request, absl::Time deadline) const;
  absl::StatusOr<tensorflow::serving::RegressionResponse> Regress(const tensorflow::serving::RegressionRequest& request,
                                                                  absl::Time deadline) const;
  // Tasks on one model; each is run by itself.
  absl::StatusOr<tensorflow::serving::MultiInferenceResponse> MultiInference(
      const tensorflow::serving::MultiInferenceRequest& request, absl::Time deadline) const;

  // Returns the states of a model's versions. NOT_FOUND as Catalogue::Statuses.
  absl::StatusOr<tensorflow::serving::GetModelStatusResponse> Status(const ModelSpec& spec) const;

  // Returns the signatures of a version, under "signature_def". Errors of Catalogue::Find.
  absl::StatusOr<tensorflow::serving::GetModelMetadataResponse> Metadata(const ModelSpec& spec) const;

  // Serves another list of models from now on; blocks as Catalogue::SetConfig.
  absl::Status Reload(const tensorflow::serving::ReloadConfigRequest& request, absl::Time deadline) const;

  Catalogue& catalogue() const { return catalogue_; }
  Metrics& metrics() const { return metrics_; }

 private:
  absl::StatusOr<TensorMap> Run(const Target& target, const TensorMap& inputs, const char* api,
                                absl::Time deadline) const;

  // Resolves a signature for examples, converts them, and runs.
  struct Examples {
    Target target;
    TensorMap outputs;
    int64_t count = 0;
  };
  using CheckSignature = absl::Status (*)(const Signature& signature);
  absl::StatusOr<Examples> RunExamples(const tensorflow::serving::ModelSpec& spec,
                                       const tensorflow::serving::Input& input, CheckSignature check, const char* api,
                                       absl::Time deadline) const;

  Catalogue& catalogue_;
  Metrics& metrics_;
};

}  // namespace ems

#endif  // EMS_API_API_H_

// Inference without a transport: find a version, check a request, run it. Warm-up runs its requests this way too.
#ifndef EMS_API_INFERENCE_H_
#define EMS_API_INFERENCE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "catalogue/catalogue.h"
#include "metrics/metrics.h"
#include "model/servable.h"
#include "tensorflow_serving/apis/classification.pb.h"
#include "tensorflow_serving/apis/inference.pb.h"
#include "tensorflow_serving/apis/model.pb.h"
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

class Inference {
 public:
  // Finds the version that a request asks for; errors of Catalogue::Find.
  using Find = std::function<absl::StatusOr<ServableHandle>(const ModelSpec& spec)>;

  // `metrics` counts runs and examples, and must outlive the object, which is thread-safe. Null: nothing is counted.
  Inference(Find find, Metrics* metrics) : find_(std::move(find)), run_metrics_(metrics) {}

  // An empty `signature` is serving_default. FAILED_PRECONDITION `Serving signature key "s" not found.`
  absl::StatusOr<Target> Resolve(const ModelSpec& spec, const std::string& signature) const;

  // Checks the names of the inputs (model/rows.h), the filter, then dtypes and shapes, and runs. An input may be called
  // by the name of its tensor in the model. `filter` names the outputs to return; empty: all.
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
  // Tasks on one version of a model, that of the first task; each is run by itself. All are checked before the first is
  // run. No tasks: the error of Find for no name. INVALID_ARGUMENT for tasks without a name or on several models, for a
  // signature that occurs twice or that the model does not have; UNIMPLEMENTED for methods other than the two above.
  absl::StatusOr<tensorflow::serving::MultiInferenceResponse> MultiInference(
      const tensorflow::serving::MultiInferenceRequest& request, absl::Time deadline) const;

 private:
  absl::StatusOr<TensorMap> Run(const Target& target, const TensorMap& inputs, const char* api,
                                absl::Time deadline) const;

  // Resolves the signature of Classify and Regress.
  absl::StatusOr<Target> ResolveForExamples(const tensorflow::serving::ModelSpec& spec) const;
  // Converts examples and runs. `counted`: whether the examples go to the metrics.
  absl::StatusOr<TensorMap> RunExamples(const Target& target, const tensorflow::serving::Input& input, const char* api,
                                        bool counted, absl::Time deadline) const;
  // The signature has been checked.
  absl::StatusOr<tensorflow::serving::ClassificationResult> Classify(const Target& target,
                                                                     const tensorflow::serving::Input& input,
                                                                     bool counted, absl::Time deadline) const;
  absl::StatusOr<tensorflow::serving::RegressionResult> Regress(const Target& target,
                                                                const tensorflow::serving::Input& input, bool counted,
                                                                absl::Time deadline) const;

  const Find find_;
  Metrics* const run_metrics_;
};

}  // namespace ems

#endif  // EMS_API_INFERENCE_H_

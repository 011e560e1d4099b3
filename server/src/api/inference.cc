// Classify, Regress and MultiInference. Texts are those of TensorFlow Serving's classifier.cc, regressor.cc and
// multi_inference.cc.
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/api.h"
#include "codec/examples.h"

namespace ems {

namespace {

namespace tfs = tensorflow::serving;

std::string SignatureName(const tfs::ModelSpec& spec) {
  return spec.signature_name().empty() ? kDefaultSignature : spec.signature_name();
}

// Checks the tasks of a request before the first is run.
absl::Status CheckTasks(const tfs::MultiInferenceRequest& request) {
  std::set<std::string> signatures;
  for (const tfs::InferenceTask& task : request.tasks()) {
    if (task.model_spec().name().empty()) {
      return absl::InvalidArgumentError("Found ModelSpec with an empty model name.");
    }
    if (task.model_spec().name() != request.tasks(0).model_spec().name()) {
      return absl::InvalidArgumentError("All ModelSpecs in a MultiInferenceRequest must access the same model name.");
    }
    if (!signatures.insert(SignatureName(task.model_spec())).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("Duplicate evaluation of signature: ", SignatureName(task.model_spec())));
    }
    if (task.method_name() != kClassifyMethod && task.method_name() != kRegressMethod) {
      return absl::UnimplementedError(absl::StrCat("Unsupported signature method_name: ", task.method_name()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Api::Examples> Api::RunExamples(const tfs::ModelSpec& spec, const tfs::Input& input,
                                               CheckSignature check, const char* api, absl::Time deadline) const {
  absl::StatusOr<Target> target = Resolve(FromProto(spec), spec.signature_name());
  if (absl::IsFailedPrecondition(target.status())) {
    return absl::InvalidArgumentError(absl::StrCat("No signature was found with the name: ", SignatureName(spec)));
  }
  if (!target.ok()) return target.status();
  if (absl::Status status = check(*target->signature); !status.ok()) return status;
  absl::StatusOr<TensorMap> inputs = InputsOfExamples(input, *target->signature);
  if (!inputs.ok()) return inputs.status();
  metrics_.CountExamples(target->handle.id.name, CountExamples(input));
  absl::StatusOr<TensorMap> outputs = Run(*target, *inputs, api, deadline);
  if (!outputs.ok()) return outputs.status();
  return Examples{*std::move(target), *std::move(outputs), CountExamples(input)};
}

absl::StatusOr<tfs::ClassificationResponse> Api::Classify(const tfs::ClassificationRequest& request,
                                                          absl::Time deadline) const {
  absl::StatusOr<Examples> examples =
      RunExamples(request.model_spec(), request.input(), CheckClassifySignature, "Classify", deadline);
  if (!examples.ok()) return examples.status();
  absl::StatusOr<tfs::ClassificationResult> result = Classifications(examples->outputs, examples->count);
  if (!result.ok()) return result.status();
  tfs::ClassificationResponse response;
  ToProto(examples->target, response.mutable_model_spec());
  *response.mutable_result() = *std::move(result);
  return response;
}

absl::StatusOr<tfs::RegressionResponse> Api::Regress(const tfs::RegressionRequest& request, absl::Time deadline) const {
  absl::StatusOr<Examples> examples =
      RunExamples(request.model_spec(), request.input(), CheckRegressSignature, "Regress", deadline);
  if (!examples.ok()) return examples.status();
  absl::StatusOr<tfs::RegressionResult> result = Regressions(examples->outputs, examples->count);
  if (!result.ok()) return result.status();
  tfs::RegressionResponse response;
  ToProto(examples->target, response.mutable_model_spec());
  *response.mutable_result() = *std::move(result);
  return response;
}

absl::StatusOr<tfs::MultiInferenceResponse> Api::MultiInference(const tfs::MultiInferenceRequest& request,
                                                                absl::Time deadline) const {
  if (absl::Status status = CheckTasks(request); !status.ok()) return status;
  tfs::MultiInferenceResponse response;
  for (const tfs::InferenceTask& task : request.tasks()) {
    tfs::InferenceResult& result = *response.add_results();
    if (task.method_name() == kClassifyMethod) {
      tfs::ClassificationRequest part;
      *part.mutable_model_spec() = task.model_spec();
      *part.mutable_input() = request.input();
      absl::StatusOr<tfs::ClassificationResponse> answer = Classify(part, deadline);
      if (!answer.ok()) return answer.status();
      *result.mutable_model_spec() = std::move(*answer->mutable_model_spec());
      *result.mutable_classification_result() = std::move(*answer->mutable_result());
    } else {
      tfs::RegressionRequest part;
      *part.mutable_model_spec() = task.model_spec();
      *part.mutable_input() = request.input();
      absl::StatusOr<tfs::RegressionResponse> answer = Regress(part, deadline);
      if (!answer.ok()) return answer.status();
      *result.mutable_model_spec() = std::move(*answer->mutable_model_spec());
      *result.mutable_regression_result() = std::move(*answer->mutable_result());
    }
  }
  return response;
}

}  // namespace ems

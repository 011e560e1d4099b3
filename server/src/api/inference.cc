// Texts are those of TensorFlow Serving's predict_util.cc, classifier.cc, regressor.cc and multi_inference.cc.
#include "api/inference.h"

#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "codec/examples.h"
#include "model/rows.h"

namespace ems {

namespace {

namespace tfs = tensorflow::serving;

// Returns the names of a filter that a signature does not have or that stand twice in it, with TensorFlow Serving's
// texts (servables/tensorflow/predict_util.cc).
absl::Status CheckFilter(const Signature& signature, const std::vector<std::string>& filter) {
  std::set<std::string> seen;
  for (const std::string& name : filter) {
    if (signature.outputs.count(name) == 0) {
      const std::string known = absl::StrJoin(
          signature.outputs, ",", [](std::string* out, const auto& output) { absl::StrAppend(out, output.first); });
      return absl::InvalidArgumentError(absl::StrCat("output tensor alias not found in signature: ", name,
                                                     " Outputs expected to be in the set {", known, "}."));
    }
    if (!seen.insert(name).second) {
      return absl::InvalidArgumentError(absl::StrCat("duplicate output tensor alias: ", name));
    }
  }
  return absl::OkStatus();
}

// Leaves the outputs that a filter names, all where it is empty.
void KeepOnly(const std::vector<std::string>& filter, TensorMap* outputs) {
  if (filter.empty()) return;
  const std::set<std::string> names(filter.begin(), filter.end());
  for (auto output = outputs->begin(); output != outputs->end();) {
    output = names.count(output->first) == 0 ? outputs->erase(output) : std::next(output);
  }
}

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

ModelSpec FromProto(const tfs::ModelSpec& proto) {
  ModelSpec spec;
  spec.name = proto.name();
  if (proto.has_version()) spec.version = proto.version().value();
  spec.label = proto.version_label();
  return spec;
}

void ToProto(const Target& target, tfs::ModelSpec* proto) {
  proto->set_name(target.handle.id.name);
  proto->mutable_version()->set_value(target.handle.id.version);
  proto->set_signature_name(target.signature_name);
}

absl::StatusOr<Target> Inference::Resolve(const ModelSpec& spec, const std::string& signature) const {
  absl::StatusOr<ServableHandle> handle = find_(spec);
  if (!handle.ok()) return handle.status();
  Target target;
  target.handle = *std::move(handle);
  target.signature_name = signature.empty() ? kDefaultSignature : signature;
  const SignatureMap& signatures = target.handle.servable->signatures();
  const auto found = signatures.find(target.signature_name);
  if (found == signatures.end()) {
    return absl::FailedPreconditionError(
        absl::StrCat("Serving signature key \"", target.signature_name, "\" not found."));
  }
  target.signature = &found->second;
  return target;
}

absl::StatusOr<TensorMap> Inference::Predict(const Target& target, TensorMap inputs,
                                             const std::vector<std::string>& filter, absl::Time deadline) const {
  if (absl::Status status = CheckFilter(*target.signature, filter); !status.ok()) return status;
  absl::StatusOr<TensorMap> outputs = Run(target, inputs, "Predict", deadline);
  if (outputs.ok()) KeepOnly(filter, &*outputs);
  return outputs;
}

absl::StatusOr<TensorMap> Inference::Run(const Target& target, const TensorMap& inputs, const char* api,
                                         absl::Time deadline) const {
  if (absl::StatusOr<int64_t> runs = CheckInputs(*target.signature, inputs); !runs.ok()) return runs.status();
  const absl::Time start = SteadyNow();
  if (start >= deadline) return absl::DeadlineExceededError("the deadline passed before the run");
  RunOptions options;
  options.deadline = deadline;
  absl::StatusOr<TensorMap> outputs = target.handle.servable->Run(target.signature_name, inputs, options);
  // As in TensorFlow Serving (predict_util.cc), a run that fails has no latency.
  if (outputs.ok() && run_metrics_ != nullptr) {
    run_metrics_->RuntimeLatency(target.handle.id.name, api, SteadyNow() - start);
  }
  if (absl::Status status = RenameInputs(*target.signature, inputs); !status.ok()) return status;
  return outputs;
}

absl::StatusOr<Inference::Examples> Inference::RunExamples(const tfs::ModelSpec& spec, const tfs::Input& input,
                                                           CheckSignature check, const char* api, bool counted,
                                                           absl::Time deadline) const {
  absl::StatusOr<Target> target = Resolve(FromProto(spec), spec.signature_name());
  if (absl::IsFailedPrecondition(target.status())) {
    return absl::InvalidArgumentError(absl::StrCat("No signature was found with the name: ", SignatureName(spec)));
  }
  if (!target.ok()) return target.status();
  if (absl::Status status = check(*target->signature); !status.ok()) return status;
  absl::StatusOr<TensorMap> inputs = InputsOfExamples(input, *target->signature);
  if (!inputs.ok()) return inputs.status();
  if (counted && run_metrics_ != nullptr) run_metrics_->CountExamples(target->handle.id.name, CountExamples(input));
  absl::StatusOr<TensorMap> outputs = Run(*target, *inputs, api, deadline);
  if (!outputs.ok()) return outputs.status();
  return Examples{*std::move(target), *std::move(outputs), CountExamples(input)};
}

absl::StatusOr<tfs::ClassificationResponse> Inference::Classify(const tfs::ModelSpec& spec, const tfs::Input& input,
                                                                bool counted, absl::Time deadline) const {
  absl::StatusOr<Examples> examples = RunExamples(spec, input, CheckClassifySignature, "Classify", counted, deadline);
  if (!examples.ok()) return examples.status();
  absl::StatusOr<tfs::ClassificationResult> result = Classifications(examples->outputs, examples->count);
  if (!result.ok()) return result.status();
  tfs::ClassificationResponse response;
  ToProto(examples->target, response.mutable_model_spec());
  *response.mutable_result() = *std::move(result);
  return response;
}

absl::StatusOr<tfs::RegressionResponse> Inference::Regress(const tfs::ModelSpec& spec, const tfs::Input& input,
                                                           bool counted, absl::Time deadline) const {
  absl::StatusOr<Examples> examples = RunExamples(spec, input, CheckRegressSignature, "Regress", counted, deadline);
  if (!examples.ok()) return examples.status();
  absl::StatusOr<tfs::RegressionResult> result = Regressions(examples->outputs, examples->count);
  if (!result.ok()) return result.status();
  tfs::RegressionResponse response;
  ToProto(examples->target, response.mutable_model_spec());
  *response.mutable_result() = *std::move(result);
  return response;
}

absl::StatusOr<tfs::ClassificationResponse> Inference::Classify(const tfs::ClassificationRequest& request,
                                                                absl::Time deadline) const {
  return Classify(request.model_spec(), request.input(), true, deadline);
}

absl::StatusOr<tfs::RegressionResponse> Inference::Regress(const tfs::RegressionRequest& request,
                                                           absl::Time deadline) const {
  return Regress(request.model_spec(), request.input(), true, deadline);
}

absl::StatusOr<tfs::MultiInferenceResponse> Inference::MultiInference(const tfs::MultiInferenceRequest& request,
                                                                      absl::Time deadline) const {
  if (absl::Status status = CheckTasks(request); !status.ok()) return status;
  tfs::MultiInferenceResponse response;
  bool counted = true;  // the examples are those of one request
  for (const tfs::InferenceTask& task : request.tasks()) {
    tfs::InferenceResult& result = *response.add_results();
    if (task.method_name() == kClassifyMethod) {
      absl::StatusOr<tfs::ClassificationResponse> answer =
          Classify(task.model_spec(), request.input(), counted, deadline);
      if (!answer.ok()) return answer.status();
      *result.mutable_model_spec() = std::move(*answer->mutable_model_spec());
      *result.mutable_classification_result() = std::move(*answer->mutable_result());
    } else {
      absl::StatusOr<tfs::RegressionResponse> answer = Regress(task.model_spec(), request.input(), counted, deadline);
      if (!answer.ok()) return answer.status();
      *result.mutable_model_spec() = std::move(*answer->mutable_model_spec());
      *result.mutable_regression_result() = std::move(*answer->mutable_result());
    }
    counted = false;
  }
  return response;
}

}  // namespace ems

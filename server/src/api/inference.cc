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

// FAILED_PRECONDITION for a signature that the version does not have.
absl::StatusOr<Target> TargetOf(ServableHandle handle, const std::string& signature) {
  Target target;
  target.handle = std::move(handle);
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

// Checks a task on `model`; `names` has the signatures of those before.
absl::StatusOr<Target> TargetOf(const tfs::InferenceTask& task, const std::string& model, const ServableHandle& handle,
                                std::set<std::string>* names) {
  const tfs::ModelSpec& spec = task.model_spec();
  if (spec.name().empty()) return absl::InvalidArgumentError("Found ModelSpec with an empty model name.");
  if (spec.name() != model) {
    return absl::InvalidArgumentError("All ModelSpecs in a MultiInferenceRequest must access the same model name.");
  }
  const std::string name = SignatureName(spec);
  if (!names->insert(name).second) {
    return absl::InvalidArgumentError(absl::StrCat("Duplicate evaluation of signature: ", name));
  }
  absl::StatusOr<Target> target = TargetOf(handle, name);
  if (!target.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("Requested signature not found in model graph: ", name));
  }
  absl::Status status = absl::UnimplementedError("Unsupported signature method_name: " + task.method_name());
  if (task.method_name() == kClassifyMethod) status = CheckClassifySignature(*target->signature);
  if (task.method_name() == kRegressMethod) status = CheckRegressSignature(*target->signature);
  if (!status.ok()) return status;
  return target;
}

// Checks all tasks before the first is run.
absl::StatusOr<std::vector<Target>> TargetsOf(const tfs::MultiInferenceRequest& request, const ServableHandle& handle) {
  std::vector<Target> targets;
  std::set<std::string> names;
  for (const tfs::InferenceTask& task : request.tasks()) {
    absl::StatusOr<Target> target = TargetOf(task, request.tasks(0).model_spec().name(), handle, &names);
    if (!target.ok()) return target.status();
    targets.push_back(*std::move(target));
  }
  return targets;
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
  return TargetOf(*std::move(handle), signature);
}

absl::StatusOr<TensorMap> Inference::Predict(const Target& target, TensorMap inputs,
                                             const std::vector<std::string>& filter, absl::Time deadline) const {
  if (absl::Status status = RenameInputs(*target.signature, inputs); !status.ok()) return status;
  if (absl::Status status = CheckFilter(*target.signature, filter); !status.ok()) return status;
  absl::StatusOr<TensorMap> outputs = Run(target, inputs, "Predict", deadline);
  if (outputs.ok()) KeepOnly(filter, &*outputs);
  return outputs;
}

absl::StatusOr<TensorMap> Inference::Run(const Target& target, const TensorMap& inputs, const char* api,
                                         absl::Time deadline) const {
  if (const absl::StatusOr<int64_t> runs = CheckInputs(*target.signature, inputs); !runs.ok()) return runs.status();
  const absl::Time start = SteadyNow();
  if (start >= deadline) return absl::DeadlineExceededError("the deadline passed before the run");
  RunOptions options;
  options.deadline = deadline;
  absl::StatusOr<TensorMap> outputs = target.handle.servable->Run(target.signature_name, inputs, options);
  // As in TensorFlow Serving (predict_util.cc), a run that fails has no latency.
  if (outputs.ok() && run_metrics_ != nullptr) {
    run_metrics_->RuntimeLatency(target.handle.id.name, api, SteadyNow() - start);
  }
  return outputs;
}

absl::StatusOr<Target> Inference::ResolveForExamples(const tfs::ModelSpec& spec) const {
  absl::StatusOr<Target> target = Resolve(FromProto(spec), spec.signature_name());
  if (absl::IsFailedPrecondition(target.status())) {
    return absl::InvalidArgumentError(absl::StrCat("No signature was found with the name: ", SignatureName(spec)));
  }
  return target;
}

absl::StatusOr<TensorMap> Inference::RunExamples(const Target& target, const tfs::Input& input, const char* api,
                                                 bool counted, absl::Time deadline) const {
  absl::StatusOr<TensorMap> inputs = InputsOfExamples(input, *target.signature);
  if (!inputs.ok()) return inputs.status();
  if (counted && run_metrics_ != nullptr) run_metrics_->CountExamples(target.handle.id.name, CountExamples(input));
  return Run(target, *inputs, api, deadline);
}

absl::StatusOr<tfs::ClassificationResult> Inference::Classify(const Target& target, const tfs::Input& input,
                                                              bool counted, absl::Time deadline) const {
  absl::StatusOr<TensorMap> outputs = RunExamples(target, input, "Classify", counted, deadline);
  if (!outputs.ok()) return outputs.status();
  return Classifications(*outputs, CountExamples(input));
}

absl::StatusOr<tfs::RegressionResult> Inference::Regress(const Target& target, const tfs::Input& input, bool counted,
                                                         absl::Time deadline) const {
  absl::StatusOr<TensorMap> outputs = RunExamples(target, input, "Regress", counted, deadline);
  if (!outputs.ok()) return outputs.status();
  return Regressions(*outputs, CountExamples(input));
}

absl::StatusOr<tfs::ClassificationResponse> Inference::Classify(const tfs::ClassificationRequest& request,
                                                                absl::Time deadline) const {
  const absl::StatusOr<Target> target = ResolveForExamples(request.model_spec());
  if (!target.ok()) return target.status();
  if (absl::Status status = CheckClassifySignature(*target->signature); !status.ok()) return status;
  absl::StatusOr<tfs::ClassificationResult> result = Classify(*target, request.input(), true, deadline);
  if (!result.ok()) return result.status();
  tfs::ClassificationResponse response;
  ToProto(*target, response.mutable_model_spec());
  *response.mutable_result() = *std::move(result);
  return response;
}

absl::StatusOr<tfs::RegressionResponse> Inference::Regress(const tfs::RegressionRequest& request,
                                                           absl::Time deadline) const {
  const absl::StatusOr<Target> target = ResolveForExamples(request.model_spec());
  if (!target.ok()) return target.status();
  if (absl::Status status = CheckRegressSignature(*target->signature); !status.ok()) return status;
  absl::StatusOr<tfs::RegressionResult> result = Regress(*target, request.input(), true, deadline);
  if (!result.ok()) return result.status();
  tfs::RegressionResponse response;
  ToProto(*target, response.mutable_model_spec());
  *response.mutable_result() = *std::move(result);
  return response;
}

absl::StatusOr<tfs::MultiInferenceResponse> Inference::MultiInference(const tfs::MultiInferenceRequest& request,
                                                                      absl::Time deadline) const {
  // The version of the first task serves all.
  const absl::StatusOr<ServableHandle> handle =
      find_(request.tasks().empty() ? ModelSpec() : FromProto(request.tasks(0).model_spec()));
  if (!handle.ok()) return handle.status();
  const absl::StatusOr<std::vector<Target>> targets = TargetsOf(request, *handle);
  if (!targets.ok()) return targets.status();
  tfs::MultiInferenceResponse response;
  for (int i = 0; i < request.tasks_size(); ++i) {
    const Target& target = (*targets)[i];
    const bool counted = i == 0;  // the examples are those of one request
    tfs::InferenceResult& result = *response.add_results();
    ToProto(target, result.mutable_model_spec());
    if (request.tasks(i).method_name() == kClassifyMethod) {
      absl::StatusOr<tfs::ClassificationResult> answer = Classify(target, request.input(), counted, deadline);
      if (!answer.ok()) return answer.status();
      *result.mutable_classification_result() = *std::move(answer);
    } else {
      absl::StatusOr<tfs::RegressionResult> answer = Regress(target, request.input(), counted, deadline);
      if (!answer.ok()) return answer.status();
      *result.mutable_regression_result() = *std::move(answer);
    }
  }
  return response;
}

}  // namespace ems

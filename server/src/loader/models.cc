#include "loader/models.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "loader/files.h"

namespace ems {
namespace {

bool SameTensors(const std::map<std::string, TensorSpec>& left, const std::map<std::string, TensorSpec>& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](const auto& a, const auto& b) {
    return a.first == b.first && a.second.dtype == b.second.dtype && a.second.shape == b.second.shape;
  });
}

// Whether clients see no difference between two models.
bool SameSignatures(const SignatureMap& a, const SignatureMap& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& one, const auto& other) {
    return one.first == other.first && SameTensors(one.second.inputs, other.second.inputs) &&
           SameTensors(one.second.outputs, other.second.outputs);
  });
}

absl::StatusOr<ModelPtr> OpenIf(const std::string& path, const std::shared_ptr<MemoryBudget>& memory) {
  if (path.empty()) return ModelPtr();
  return TfliteModel::Open(path, memory);
}

// Returns the signature of a model that has one, as a segment and the model before its splitting have.
absl::StatusOr<const Signature*> TheSignature(const TfliteModel& model) {
  const auto found = model.signatures().find(kDefaultSignature);
  if (found != model.signatures().end()) return &found->second;
  return absl::InvalidArgumentError(
      absl::StrCat(model.path(), " has no signature ", kDefaultSignature, ": a model in segments needs it"));
}

absl::Status PlanSegments(const std::string& folder, FolderModels& models) {
  std::vector<SegmentSpec> specs;
  for (const ModelPtr& segment : models.segments) {
    const absl::StatusOr<const Signature*> signature = TheSignature(*segment);
    if (!signature.ok()) return signature.status();
    specs.push_back({std::filesystem::path(segment->path()).filename(), **signature});
  }
  const Signature* whole = nullptr;
  if (models.cpu) {
    const absl::StatusOr<const Signature*> signature = TheSignature(*models.cpu);
    if (!signature.ok()) return signature.status();
    whole = *signature;
  }
  absl::StatusOr<PipelinePlan> plan = PlanPipeline(specs, whole);
  if (!plan.ok()) return absl::InvalidArgumentError(absl::StrCat(folder, ": ", plan.status().message()));
  models.pipeline = *std::move(plan);
  return absl::OkStatus();
}

// Returns the quantisation of the pipeline's inputs and outputs: that of the tensors in the segments.
QuantisationMap QuantisationsOf(const FolderModels& models) {
  std::map<std::string, Quantisation> tensors;
  for (const ModelPtr& segment : models.segments) {
    const Signature& signature = segment->signatures().at(kDefaultSignature);
    const SignatureQuantisation of = segment->quantisations().at(kDefaultSignature);
    for (const auto& [key, spec] : signature.inputs) tensors.emplace(spec.tensor_name, of.inputs.at(key));
    for (const auto& [key, spec] : signature.outputs) tensors.emplace(spec.tensor_name, of.outputs.at(key));
  }
  SignatureQuantisation whole;
  const Signature& signature = models.pipeline.signature;
  for (const auto& [key, spec] : signature.inputs) whole.inputs[key] = tensors.at(spec.tensor_name);
  for (const auto& [key, spec] : signature.outputs) whole.outputs[key] = tensors.at(spec.tensor_name);
  return {{kDefaultSignature, std::move(whole)}};
}

}  // namespace

absl::StatusOr<FolderModels> OpenFolder(const std::string& folder, const std::shared_ptr<MemoryBudget>& memory) {
  const absl::StatusOr<ModelFiles> files = FindModelFiles(folder);
  if (!files.ok()) return files.status();
  absl::StatusOr<ModelPtr> cpu = OpenIf(files->cpu, memory);
  if (!cpu.ok()) return cpu.status();
  absl::StatusOr<ModelPtr> device = OpenIf(files->device, memory);
  if (!device.ok()) return device.status();
  FolderModels models{*std::move(cpu), *std::move(device), {}, {}, {}};
  for (const std::string& path : files->segments) {
    absl::StatusOr<ModelPtr> segment = OpenIf(path, memory);
    if (!segment.ok()) return segment.status();
    models.segments.push_back(*std::move(segment));
  }
  if (!models.segments.empty()) {
    if (absl::Status status = PlanSegments(folder, models); !status.ok()) return status;
    models.quantisations = QuantisationsOf(models);
    return models;
  }
  if (models.cpu && models.device && !SameSignatures(models.cpu->signatures(), models.device->signatures())) {
    return absl::InvalidArgumentError(absl::StrCat(models.device->path(), " and ", models.cpu->path(),
                                                   " differ in their signatures: compile the first from the second"));
  }
  models.quantisations = (models.device ? models.device : models.cpu)->quantisations();
  return models;
}

absl::StatusOr<ModelPtr> OpenAgain(const std::string& path, const SignatureMap& signatures,
                                   const std::shared_ptr<MemoryBudget>& memory) {
  absl::StatusOr<ModelPtr> model = TfliteModel::Open(path, memory);
  if (!model.ok() || SameSignatures((*model)->signatures(), signatures)) return model;
  return absl::FailedPreconditionError(
      absl::StrCat(path, " has other signatures than when the version was loaded: put another model in a new version"));
}

}  // namespace ems

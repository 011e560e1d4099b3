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
bool SameSignatures(const TfliteModel& left, const TfliteModel& right) {
  const SignatureMap& a = left.signatures();
  const SignatureMap& b = right.signatures();
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& one, const auto& other) {
    return one.first == other.first && SameTensors(one.second.inputs, other.second.inputs) &&
           SameTensors(one.second.outputs, other.second.outputs);
  });
}

absl::StatusOr<ModelFile> OpenIf(const std::string& path) {
  if (path.empty()) return ModelFile();
  absl::StatusOr<std::shared_ptr<const TfliteModel>> model = TfliteModel::Open(path);
  if (!model.ok()) return model.status();
  return ModelFile{path, *std::move(model)};
}

// Returns the signature of a model that has one, as a segment and the model before its splitting have.
absl::StatusOr<const Signature*> TheSignature(const ModelFile& file) {
  const auto found = file.model->signatures().find(kDefaultSignature);
  if (found != file.model->signatures().end()) return &found->second;
  return absl::InvalidArgumentError(
      absl::StrCat(file.path, " has no signature ", kDefaultSignature, ": a model in segments needs it"));
}

absl::Status PlanSegments(const std::string& folder, FolderModels& models) {
  std::vector<SegmentSpec> specs;
  for (const ModelFile& segment : models.segments) {
    const absl::StatusOr<const Signature*> signature = TheSignature(segment);
    if (!signature.ok()) return signature.status();
    specs.push_back({std::filesystem::path(segment.path).filename(), **signature});
  }
  const Signature* whole = nullptr;
  if (models.cpu.model) {
    const absl::StatusOr<const Signature*> signature = TheSignature(models.cpu);
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
  for (const ModelFile& segment : models.segments) {
    const Signature& signature = segment.model->signatures().at(kDefaultSignature);
    const SignatureQuantisation of = segment.model->quantisations().at(kDefaultSignature);
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

absl::StatusOr<FolderModels> OpenFolder(const std::string& folder) {
  const absl::StatusOr<ModelFiles> files = FindModelFiles(folder);
  if (!files.ok()) return files.status();
  absl::StatusOr<ModelFile> cpu = OpenIf(files->cpu);
  if (!cpu.ok()) return cpu.status();
  absl::StatusOr<ModelFile> device = OpenIf(files->device);
  if (!device.ok()) return device.status();
  FolderModels models{*std::move(cpu), *std::move(device), {}, {}, {}};
  for (const std::string& path : files->segments) {
    absl::StatusOr<ModelFile> segment = OpenIf(path);
    if (!segment.ok()) return segment.status();
    models.segments.push_back(*std::move(segment));
  }
  if (!models.segments.empty()) {
    if (absl::Status status = PlanSegments(folder, models); !status.ok()) return status;
    models.quantisations = QuantisationsOf(models);
    return models;
  }
  if (models.cpu.model && models.device.model && !SameSignatures(*models.cpu.model, *models.device.model)) {
    return absl::InvalidArgumentError(absl::StrCat(models.device.path, " and ", models.cpu.path,
                                                   " differ in their signatures: compile the first from the second"));
  }
  models.quantisations = (models.device.model ? models.device : models.cpu).model->quantisations();
  return models;
}

}  // namespace ems

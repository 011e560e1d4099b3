#include "tflite/signatures.h"

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "tflite/serving_metadata.h"
#include "tflite/types.h"

namespace ems {
namespace {

// The parts of a signature before its tensors are looked at.
struct Draft {
  std::string method_name;
  SignatureTensors tensors;
};
using Drafts = std::map<std::string, Draft>;

absl::string_view NameOf(const tflite::SubGraph& graph, int tensor) {
  const auto* name = graph.tensors()->Get(tensor)->name();
  return name == nullptr ? absl::string_view() : absl::string_view(name->c_str(), name->size());
}

absl::string_view WithoutPort(absl::string_view name) { return absl::StripSuffix(name, ":0"); }

Shape ShapeOf(const tflite::Tensor& tensor) {
  // The converter writes shape_signature only for shapes with a dynamic dimension.
  const auto* sizes = tensor.shape_signature();
  if (sizes == nullptr || sizes->size() == 0) sizes = tensor.shape();
  return sizes == nullptr ? Shape{} : Shape(sizes->begin(), sizes->end());
}

absl::StatusOr<TensorSpec> SpecOf(const tflite::SubGraph& graph, int index, const std::string& key) {
  const tflite::Tensor& tensor = *graph.tensors()->Get(index);
  TensorSpec spec;
  spec.dtype = FromTflite(tensor.type());
  spec.shape = ShapeOf(tensor);
  spec.tensor_name = std::string(NameOf(graph, index));
  if (spec.dtype != DataType::kInvalid) return spec;
  return absl::InvalidArgumentError(absl::StrCat("the tensor ", key, " has the type ",
                                                 tflite::EnumNameTensorType(tensor.type()),
                                                 ", which clients cannot send: convert the model with other inputs and "
                                                 "outputs"));
}

absl::Status FillSpecs(const tflite::SubGraph& graph, const std::map<std::string, int>& tensors,
                       std::map<std::string, TensorSpec>& specs) {
  for (const auto& [key, index] : tensors) {
    if (index < 0 || index >= static_cast<int>(graph.tensors()->size())) {
      return absl::InvalidArgumentError(absl::StrCat("the tensor ", key, " has the index ", index, ", which is none"));
    }
    absl::StatusOr<TensorSpec> spec = SpecOf(graph, index, key);
    if (!spec.ok()) return spec.status();
    specs[key] = *std::move(spec);
  }
  return absl::OkStatus();
}

// An input that no client can set would be computed from what is in memory by chance.
absl::Status CheckAllInputs(const tflite::SubGraph& graph, const SignatureTensors& tensors) {
  if (graph.inputs() == nullptr) return absl::OkStatus();
  for (const int input : *graph.inputs()) {
    if (input < 0 || input >= static_cast<int>(graph.tensors()->size())) {
      return absl::InvalidArgumentError(absl::StrCat("the model's input ", input, " does not exist"));
    }
    const bool named = std::any_of(tensors.inputs.begin(), tensors.inputs.end(),
                                   [&](const auto& entry) { return entry.second == input; });
    if (named) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("no input of the signature sets the model's input ", NameOf(graph, input)));
  }
  return absl::OkStatus();
}

absl::StatusOr<Signature> Finish(const tflite::Model& model, const Draft& draft) {
  if (draft.tensors.subgraph < 0 || draft.tensors.subgraph >= static_cast<int>(model.subgraphs()->size())) {
    return absl::InvalidArgumentError(absl::StrCat("subgraph ", draft.tensors.subgraph, " does not exist"));
  }
  const tflite::SubGraph& graph = *model.subgraphs()->Get(draft.tensors.subgraph);
  if (graph.tensors() == nullptr) return absl::InvalidArgumentError("its subgraph has no tensors");
  Signature signature;
  signature.method_name = draft.method_name;
  if (absl::Status status = FillSpecs(graph, draft.tensors.inputs, signature.inputs); !status.ok()) return status;
  if (absl::Status status = FillSpecs(graph, draft.tensors.outputs, signature.outputs); !status.ok()) return status;
  if (absl::Status status = CheckAllInputs(graph, draft.tensors); !status.ok()) return status;
  return signature;
}

std::map<std::string, int> Indices(const flatbuffers::Vector<flatbuffers::Offset<tflite::TensorMap>>* maps) {
  std::map<std::string, int> indices;
  if (maps == nullptr) return indices;
  for (const tflite::TensorMap* map : *maps) {
    if (map->name() != nullptr) indices[map->name()->str()] = static_cast<int>(map->tensor_index());
  }
  return indices;
}

Drafts FromTable(const tflite::Model& model) {
  Drafts drafts;
  if (model.signature_defs() == nullptr) return drafts;
  for (const tflite::SignatureDef* def : *model.signature_defs()) {
    if (def->signature_key() == nullptr) continue;
    Draft draft;
    draft.method_name = kPredictMethod;
    draft.tensors.subgraph = static_cast<int>(def->subgraph_index());
    draft.tensors.inputs = Indices(def->inputs());
    draft.tensors.outputs = Indices(def->outputs());
    drafts[def->signature_key()->str()] = std::move(draft);
  }
  return drafts;
}

// Returns the index of the tensor that the metadata names, with or without ":0" on either side.
std::optional<int> FindTensor(const tflite::SubGraph& graph, const std::string& name) {
  if (graph.tensors() == nullptr) return std::nullopt;
  for (int i = 0; i < static_cast<int>(graph.tensors()->size()); ++i) {
    if (WithoutPort(NameOf(graph, i)) == WithoutPort(name)) return i;
  }
  return std::nullopt;
}

absl::Status FindTensors(const tflite::SubGraph& graph, const std::map<std::string, std::string>& names,
                         std::map<std::string, int>& indices) {
  for (const auto& [key, name] : names) {
    const std::optional<int> index = FindTensor(graph, name);
    if (!index) {
      return absl::InvalidArgumentError(absl::StrCat("the tensor ", key, " is \"", name, "\", which does not exist"));
    }
    indices[key] = *index;
  }
  return absl::OkStatus();
}

absl::StatusOr<Drafts> FromMetadata(const tflite::Model& model) {
  const absl::StatusOr<std::map<std::string, ServingSignature>> map = ReadServingMetadata(model);
  if (!map.ok()) return map.status();
  const tflite::SubGraph& graph = *model.subgraphs()->Get(0);
  Drafts drafts;
  for (const auto& [key, serving] : *map) {
    Draft draft;
    draft.method_name = serving.method_name.empty() ? kPredictMethod : serving.method_name;
    absl::Status status = FindTensors(graph, serving.inputs, draft.tensors.inputs);
    if (status.ok()) status = FindTensors(graph, serving.outputs, draft.tensors.outputs);
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("signature ", key, " of the metadata: ", status.message()));
    }
    drafts[key] = std::move(draft);
  }
  return drafts;
}

// Names the tensors by their own names; those without and second ones of a name get a number.
std::map<std::string, int> Named(const tflite::SubGraph& graph, const flatbuffers::Vector<int32_t>* indices,
                                 const std::string& otherwise) {
  std::map<std::string, int> named;
  if (indices == nullptr || graph.tensors() == nullptr) return named;
  for (const int index : *indices) {
    if (index < 0 || index >= static_cast<int>(graph.tensors()->size())) continue;
    std::string name(WithoutPort(NameOf(graph, index)));
    if (name.empty()) name = otherwise;
    const std::string stem = name;
    for (int number = 1; named.count(name) != 0; ++number) name = absl::StrCat(stem, "_", number);
    named[name] = index;
  }
  return named;
}

Drafts FromNames(const tflite::Model& model) {
  const tflite::SubGraph& graph = *model.subgraphs()->Get(0);
  Draft draft;
  draft.method_name = kPredictMethod;
  draft.tensors.inputs = Named(graph, graph.inputs(), "input");
  draft.tensors.outputs = Named(graph, graph.outputs(), "output");
  return {{kDefaultSignature, std::move(draft)}};
}

absl::StatusOr<Drafts> FindDrafts(const tflite::Model& model) {
  if (Drafts drafts = FromTable(model); !drafts.empty()) return drafts;
  absl::StatusOr<Drafts> drafts = FromMetadata(model);
  if (!drafts.ok() || !drafts->empty()) return drafts;
  return FromNames(model);
}

}  // namespace

absl::Status ReadSignatures(const tflite::Model& model, SignatureMap& signatures,
                            std::map<std::string, SignatureTensors>& tensors) {
  absl::StatusOr<Drafts> drafts = FindDrafts(model);
  if (!drafts.ok()) return drafts.status();
  if (drafts->size() == 1) drafts->emplace(kDefaultSignature, drafts->begin()->second);
  for (auto& [key, draft] : *drafts) {
    absl::StatusOr<Signature> signature = Finish(model, draft);
    if (!signature.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("signature ", key, ": ", signature.status().message()));
    }
    signatures[key] = *std::move(signature);
    tensors[key] = std::move(draft.tensors);
  }
  return absl::OkStatus();
}

}  // namespace ems

#include "extras/classes.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace ems {
namespace {

constexpr int kDefaultTopK = 5;

template <typename T>
std::vector<float> Dequantised(const T* values, size_t count, const Quantisation& quantisation) {
  std::vector<float> scores(count);
  const float scale = quantisation.scale > 0 ? quantisation.scale : 1;
  const auto zero = quantisation.scale > 0 ? static_cast<float>(quantisation.zero_point) : 0;
  for (size_t i = 0; i < count; ++i) scores[i] = (static_cast<float>(values[i]) - zero) * scale;
  return scores;
}

std::vector<float> ScoresOf(const Tensor& tensor, const Quantisation& quantisation) {
  const size_t count = tensor.bytes.size() / ElementSize(tensor.dtype);
  if (tensor.dtype == DataType::kInt8) return Dequantised(tensor.data<int8_t>(), count, quantisation);
  if (tensor.dtype == DataType::kUint8) return Dequantised(tensor.data<uint8_t>(), count, quantisation);
  return {tensor.data<float>(), tensor.data<float>() + count};
}

bool CanBeScores(const TensorSpec& spec) {
  return spec.shape.size() == 2 && spec.shape[1] > 0 &&
         (spec.dtype == DataType::kFloat || spec.dtype == DataType::kInt8 || spec.dtype == DataType::kUint8);
}

// Writes the best places of a row of scores.
void AddRow(const ClassesPlan& plan, const float* scores, int64_t classes, int64_t place, TensorMap& outputs) {
  std::vector<int32_t> order(classes);
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + plan.top_k, order.end(),
                    [&](int32_t a, int32_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
  for (int k = 0; k < plan.top_k; ++k, ++place) {
    const int32_t index = order[k];
    const bool found = scores[index] >= plan.minimum_score;
    outputs.at("top_scores").data<float>()[place] = found ? scores[index] : 0;
    outputs.at("top_indices").data<int32_t>()[place] = found ? index : -1;
    if (found) outputs.at("top_labels").strings[place] = LabelOf(plan.labels, index);
  }
}

}  // namespace

std::string LabelOf(const std::vector<std::string>& labels, int64_t index) {
  const bool known = index >= 0 && index < static_cast<int64_t>(labels.size());
  return known ? labels[index] : absl::StrCat(index);
}

absl::StatusOr<std::optional<ClassesPlan>> PlanClasses(const Sidecar& sidecar,
                                                       const std::map<std::string, Quantisation>& quantisations,
                                                       Signature& signature) {
  if (!sidecar.settings.has_classification()) return std::nullopt;
  const Classification& settings = sidecar.settings.classification();
  std::string name = settings.output();
  if (name.empty()) {
    if (signature.outputs.size() != 1) {
      return absl::InvalidArgumentError("classification: the model has several outputs: name the scores in output");
    }
    name = signature.outputs.begin()->first;
  }
  const auto found = signature.outputs.find(name);
  if (found == signature.outputs.end()) return std::nullopt;
  const TensorSpec& spec = found->second;
  if (!CanBeScores(spec)) {
    return absl::InvalidArgumentError(absl::StrCat("classification: the output ", name, " is ",
                                                   std::string(Name(spec.dtype)), " ", ToString(spec.shape),
                                                   ", not scores of shape [n, classes]"));
  }
  ClassesPlan plan;
  plan.output = name;
  plan.quantisation = quantisations.at(name);
  plan.top_k =
      static_cast<int>(std::min<int64_t>(settings.top_k() == 0 ? kDefaultTopK : settings.top_k(), spec.shape[1]));
  plan.minimum_score = settings.minimum_score();
  plan.labels = sidecar.labels;
  const Shape shape = {spec.shape[0], plan.top_k};
  signature.outputs["top_labels"] = {DataType::kString, shape, ""};
  signature.outputs["top_scores"] = {DataType::kFloat, shape, ""};
  signature.outputs["top_indices"] = {DataType::kInt32, shape, ""};
  return plan;
}

absl::Status AddClasses(const ClassesPlan& plan, TensorMap& outputs) {
  const auto found = outputs.find(plan.output);
  if (found == outputs.end() || found->second.shape.size() != 2 || found->second.shape[1] < plan.top_k) {
    return absl::InternalError(absl::StrCat("the model gave no scores as output ", plan.output));
  }
  const Shape shape = found->second.shape;
  const std::vector<float> scores = ScoresOf(found->second, plan.quantisation);
  outputs["top_labels"] = MakeTensor(DataType::kString, {shape[0], plan.top_k});
  outputs["top_scores"] = MakeTensor(DataType::kFloat, {shape[0], plan.top_k});
  outputs["top_indices"] = MakeTensor(DataType::kInt32, {shape[0], plan.top_k});
  for (int64_t row = 0; row < shape[0]; ++row) {
    AddRow(plan, scores.data() + row * shape[1], shape[1], row * plan.top_k, outputs);
  }
  return absl::OkStatus();
}

}  // namespace ems

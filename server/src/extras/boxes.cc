#include "extras/boxes.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "extras/classes.h"

namespace ems {
namespace {

// The names that converters give to the outputs of the operator.
constexpr char kOperatorName[] = "TFLite_Detection_PostProcess";

// Finds an output by the name that the sidecar gives, else by the operator's name and number.
absl::StatusOr<std::string> FindOutput(const Signature& signature, const std::string& name, int number, size_t rank) {
  const std::string made = number == 0 ? kOperatorName : absl::StrCat(kOperatorName, ":", number);
  for (const auto& [key, spec] : signature.outputs) {
    if (name.empty() ? (spec.tensor_name != made && key != made) : key != name) continue;
    if (spec.dtype == DataType::kFloat && spec.shape.size() == rank) return key;
    return absl::InvalidArgumentError(absl::StrCat("detection: the output ", key, " is ", std::string(Name(spec.dtype)),
                                                   " ", ToString(spec.shape), ", not DT_FLOAT of ", rank,
                                                   " dimensions"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("detection: the model has no output ", name.empty() ? made : name, ": name its outputs"));
}

// The places of an image's boxes whose score suffices.
std::vector<int64_t> Found(const float* scores, int64_t most, float count, float minimum) {
  std::vector<int64_t> found;
  const double end = std::isfinite(count) ? std::clamp<double>(count, 0, static_cast<double>(most)) : 0;
  for (int64_t i = 0; i < static_cast<int64_t>(end); ++i) {
    if (scores[i] >= minimum) found.push_back(i);
  }
  return found;
}

bool HasLayout(const Tensor& boxes, const Tensor& classes, const Tensor& scores, const Tensor& count) {
  if (boxes.shape.size() != 3 || boxes.shape[2] != 4) return false;
  const Shape each = {boxes.shape[0], boxes.shape[1]};
  return classes.shape == each && scores.shape == each && count.shape == Shape{boxes.shape[0]};
}

}  // namespace

absl::StatusOr<std::optional<BoxesPlan>> PlanBoxes(const Sidecar& sidecar, Signature& signature) {
  if (!sidecar.settings.has_detection()) return std::nullopt;
  const Detection& settings = sidecar.settings.detection();
  BoxesPlan plan;
  const std::vector<std::pair<std::string*, std::string>> outputs = {{&plan.boxes, settings.boxes()},
                                                                     {&plan.classes, settings.classes()},
                                                                     {&plan.scores, settings.scores()},
                                                                     {&plan.count, settings.count()}};
  const std::vector<size_t> ranks = {3, 2, 2, 1};
  for (size_t i = 0; i < outputs.size(); ++i) {
    absl::StatusOr<std::string> key = FindOutput(signature, outputs[i].second, static_cast<int>(i), ranks[i]);
    if (!key.ok()) return key.status();
    *outputs[i].first = *std::move(key);
  }
  plan.minimum_score = settings.minimum_score();
  plan.labels = sidecar.labels;
  signature.outputs["detection_boxes"] = {DataType::kFloat, {-1, -1, 4}, ""};
  signature.outputs["detection_scores"] = {DataType::kFloat, {-1, -1}, ""};
  signature.outputs["detection_classes"] = {DataType::kFloat, {-1, -1}, ""};
  signature.outputs["detection_labels"] = {DataType::kString, {-1, -1}, ""};
  signature.outputs["num_detections"] = {DataType::kFloat, {-1}, ""};
  return plan;
}

absl::Status AddBoxes(const BoxesPlan& plan, TensorMap& outputs) {
  for (const std::string& key : {plan.boxes, plan.classes, plan.scores, plan.count}) {
    if (outputs.count(key) == 0) return absl::InternalError(absl::StrCat("the model gave no output ", key));
  }
  // Copies: the results may have the same names.
  const Tensor boxes = outputs.at(plan.boxes);
  const Tensor classes = outputs.at(plan.classes);
  const Tensor scores = outputs.at(plan.scores);
  const Tensor count = outputs.at(plan.count);
  if (!HasLayout(boxes, classes, scores, count)) {
    return absl::InternalError("the model's outputs have not the layout of TFLite_Detection_PostProcess");
  }
  const int64_t images = boxes.shape[0];
  const int64_t most = boxes.shape[1];
  std::vector<std::vector<int64_t>> found;
  size_t places = 0;
  for (int64_t i = 0; i < images; ++i) {
    found.push_back(Found(scores.data<float>() + i * most, most, count.data<float>()[i], plan.minimum_score));
    places = std::max(places, found.back().size());
  }
  const auto m = static_cast<int64_t>(places);
  Tensor kept_boxes = MakeTensor(DataType::kFloat, {images, m, 4});
  Tensor kept_scores = MakeTensor(DataType::kFloat, {images, m});
  Tensor kept_classes = MakeTensor(DataType::kFloat, {images, m});
  Tensor labels = MakeTensor(DataType::kString, {images, m});
  Tensor number = MakeTensor(DataType::kFloat, {images});
  for (int64_t i = 0; i < images; ++i) {
    number.data<float>()[i] = static_cast<float>(found[i].size());
    int64_t to = i * m;
    for (const int64_t place : found[i]) {
      const int64_t from = i * most + place;
      std::copy_n(boxes.data<float>() + from * 4, 4, kept_boxes.data<float>() + to * 4);
      kept_scores.data<float>()[to] = scores.data<float>()[from];
      const float index = classes.data<float>()[from];
      kept_classes.data<float>()[to] = index;
      labels.strings[to] = LabelOf(plan.labels, std::isfinite(index) ? static_cast<int64_t>(index) : -1);
      ++to;
    }
  }
  outputs["detection_boxes"] = std::move(kept_boxes);
  outputs["detection_scores"] = std::move(kept_scores);
  outputs["detection_classes"] = std::move(kept_classes);
  outputs["detection_labels"] = std::move(labels);
  outputs["num_detections"] = std::move(number);
  return absl::OkStatus();
}

}  // namespace ems

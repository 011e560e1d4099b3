#include "extras/servable.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "extras/boxes.h"
#include "extras/classes.h"
#include "extras/image_input.h"

namespace ems {
namespace {

// What is done to the requests and replies of a signature.
struct Plan {
  std::map<std::string, ImageInputPlan> images;
  std::optional<ClassesPlan> classes;
  std::optional<BoxesPlan> boxes;
};

// Returns the message of the sidecar for an input, or null.
const ImageInput* SettingsOf(const Sidecar& sidecar, const Signature& signature, const std::string& input) {
  for (const ImageInput& image : sidecar.settings.image()) {
    if (image.input() == input || (image.input().empty() && signature.inputs.size() == 1)) return &image;
  }
  return nullptr;
}

absl::Status PlanImages(const Sidecar& sidecar, const std::map<std::string, Quantisation>& quantisations,
                        Signature& signature, Plan& plan) {
  for (auto& [name, spec] : signature.inputs) {
    const Quantisation& quantisation = quantisations.at(name);
    absl::StatusOr<std::optional<ImageInputPlan>> image =
        PlanImageInput(name, spec, quantisation, SettingsOf(sidecar, signature, name));
    if (!image.ok()) return image.status();
    if (!*image) continue;
    spec.image = true;
    plan.images[name] = **image;
  }
  return absl::OkStatus();
}

absl::Status MakePlan(const Sidecar& sidecar, const SignatureQuantisation& quantisation, Signature& signature,
                      Plan& plan) {
  if (absl::Status status = PlanImages(sidecar, quantisation.inputs, signature, plan); !status.ok()) return status;
  absl::StatusOr<std::optional<ClassesPlan>> classes = PlanClasses(sidecar, quantisation.outputs, signature);
  if (!classes.ok()) return classes.status();
  plan.classes = *std::move(classes);
  absl::StatusOr<std::optional<BoxesPlan>> boxes = PlanBoxes(sidecar, signature);
  if (!boxes.ok()) return boxes.status();
  plan.boxes = *std::move(boxes);
  return absl::OkStatus();
}

class ExtrasServable final : public Servable {
 public:
  ExtrasServable(std::unique_ptr<Servable> inner, SignatureMap signatures, std::map<std::string, Plan> plans)
      : inner_(std::move(inner)), signatures_(std::move(signatures)), plans_(std::move(plans)) {}

  const SignatureMap& signatures() const override { return signatures_; }

  absl::StatusOr<TensorMap> Run(const std::string& signature, const TensorMap& inputs,
                                const RunOptions& options) override {
    const auto found = plans_.find(signature);
    if (found == plans_.end()) return inner_->Run(signature, inputs, options);
    const Plan& plan = found->second;
    absl::StatusOr<TensorMap> outputs = RunInner(plan, signature, inputs, options);
    if (!outputs.ok()) return outputs;
    if (plan.classes) {
      if (absl::Status status = AddClasses(*plan.classes, *outputs); !status.ok()) return status;
    }
    if (plan.boxes) {
      if (absl::Status status = AddBoxes(*plan.boxes, *outputs); !status.ok()) return status;
    }
    return outputs;
  }

  std::vector<Placement> placements() const override { return inner_->placements(); }

 private:
  // Copies the inputs only where there are files among them.
  absl::StatusOr<TensorMap> RunInner(const Plan& plan, const std::string& signature, const TensorMap& inputs,
                                     const RunOptions& options) {
    TensorMap decoded;
    for (const auto& [name, image] : plan.images) {
      const Tensor& sent = inputs.at(name);
      if (sent.dtype != DataType::kString) continue;
      absl::StatusOr<Tensor> tensor = DecodeImages(image, sent, options.deadline);
      if (!tensor.ok()) {
        return absl::Status(tensor.status().code(), absl::StrCat("input ", name, ": ", tensor.status().message()));
      }
      decoded[name] = *std::move(tensor);
    }
    if (decoded.empty()) return inner_->Run(signature, inputs, options);
    decoded.insert(inputs.begin(), inputs.end());  // those that are not there yet
    return inner_->Run(signature, decoded, options);
  }

  const std::unique_ptr<Servable> inner_;
  const SignatureMap signatures_;
  const std::map<std::string, Plan> plans_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Servable>> WithExtras(std::unique_ptr<Servable> inner, const Sidecar& sidecar,
                                                     const QuantisationMap& quantisations) {
  SignatureMap signatures = inner->signatures();
  std::map<std::string, Plan> plans;
  for (auto& [key, signature] : signatures) {
    Plan plan;
    if (absl::Status status = MakePlan(sidecar, quantisations.at(key), signature, plan); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("edge_model.pbtxt, signature ", key, ": ", status.message()));
    }
    if (!plan.images.empty() || plan.classes || plan.boxes) plans[key] = std::move(plan);
  }
  if (plans.empty()) return inner;
  return std::make_unique<ExtrasServable>(std::move(inner), std::move(signatures), std::move(plans));
}

}  // namespace ems

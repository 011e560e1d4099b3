// The best classes of a classifier, by name.
#ifndef EMS_EXTRAS_CLASSES_H_
#define EMS_EXTRAS_CLASSES_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "extras/sidecar.h"
#include "model/servable.h"
#include "tflite/model.h"

namespace ems {

struct ClassesPlan {
  std::string output;  // scores [n, classes]
  Quantisation quantisation;
  int top_k = 5;
  float minimum_score = 0;
  std::vector<std::string> labels;
};

// Plans what `settings` asks of a signature, and adds its outputs to the signature; nothing where the signature has no
// such output but another may. INVALID_ARGUMENT where the output is named but cannot be scores.
absl::StatusOr<std::optional<ClassesPlan>> PlanClasses(const Sidecar& sidecar,
                                                       const std::map<std::string, Quantisation>& quantisations,
                                                       Signature& signature);

// Adds top_labels, top_scores and top_indices. INTERNAL where the model gave other scores than its signature says.
absl::Status AddClasses(const ClassesPlan& plan, TensorMap& outputs);

// Returns the name of a class: its label, or its number where there is none.
std::string LabelOf(const std::vector<std::string>& labels, int64_t index);

}  // namespace ems

#endif  // EMS_EXTRAS_CLASSES_H_

#include "catalogue/served.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ems {
namespace {

absl::StatusOr<int64_t> LabelIn(const ServedModel* model, const std::string& label) {
  if (model != nullptr) {
    const auto found = model->labels.find(label);
    if (found != model->labels.end()) return found->second;
  }
  return absl::InvalidArgumentError(absl::StrCat("Unrecognized servable version label: ", label));
}

const ServedModel* FindModel(const Served::Table& table, const std::string& name) {
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace

std::shared_ptr<const Served::Table> Served::table() const {
  const std::lock_guard lock(mu_);
  return table_;
}

void Served::Replace(Table table) {
  std::shared_ptr<const Table> replaced = std::make_shared<Table>(std::move(table));
  const std::lock_guard lock(mu_);
  table_.swap(replaced);
}

absl::StatusOr<int64_t> Served::VersionOfLabel(const ModelSpec& spec) const {
  return LabelIn(FindModel(*table(), spec.name), spec.label);
}

absl::StatusOr<ServableHandle> Served::Find(const ModelSpec& spec) const {
  if (spec.name.empty()) return absl::InvalidArgumentError("ModelSpec has no name specified.");
  const std::shared_ptr<const Table> now = table();
  const ServedModel* model = FindModel(*now, spec.name);
  std::optional<int64_t> version = spec.version;
  if (!spec.label.empty()) {
    absl::StatusOr<int64_t> labelled = LabelIn(model, spec.label);
    if (!labelled.ok()) return labelled.status();
    version = *labelled;
  }
  if (model != nullptr && !model->versions.empty()) {
    const auto found = version ? model->versions.find(*version) : std::prev(model->versions.end());
    if (found != model->versions.end()) return ServableHandle{{spec.name, found->first}, found->second};
  }
  // The texts are TensorFlow Serving's; clients compare them.
  const std::string request =
      version ? absl::StrCat("Specific(", spec.name, ", ", *version, ")") : absl::StrCat("Latest(", spec.name, ")");
  return absl::NotFoundError(absl::StrCat("Servable not found for request: ", request));
}

bool Served::Ready() const {
  const std::shared_ptr<const Table> now = table();
  return std::all_of(now->begin(), now->end(), [](const auto& model) { return !model.second.versions.empty(); });
}

}  // namespace ems

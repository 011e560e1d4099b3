#include "pipeline/plan.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace ems {
namespace {

using Specs = std::map<std::string, TensorSpec>;

bool SameSize(int64_t left, int64_t right) { return left == right || left < 0 || right < 0; }

bool Fits(const TensorSpec& made, const TensorSpec& taken) {
  return made.dtype == taken.dtype && made.shape.size() == taken.shape.size() &&
         std::equal(made.shape.begin(), made.shape.end(), taken.shape.begin(), SameSize);
}

std::string Describe(const TensorSpec& spec) {
  return absl::StrCat(std::string(Name(spec.dtype)), " ", ToString(spec.shape));
}

absl::Status Misfit(const std::string& taker, const TensorSpec& taken, const std::string& maker,
                    const TensorSpec& made) {
  return absl::InvalidArgumentError(absl::StrCat(taker, " takes the tensor ", taken.tensor_name, " as ",
                                                 Describe(taken), ", but it is ", Describe(made), " in ", maker,
                                                 ": put the segments of one compilation there"));
}

// What is known of a tensor while the segments are read in order.
struct Known {
  TensorSpec spec;
  std::string key;     // in the segment that first names it
  int segment = 0;     // that takes it from outside or makes it
  bool made = false;   // else it is an input of the whole
  bool taken = false;  // by a later segment than the one that makes it
};

class Planner {
 public:
  explicit Planner(const std::vector<SegmentSpec>& segments) : segments_(segments) {}

  absl::Status Read() {
    for (size_t i = 0; i < segments_.size(); ++i) {
      plan_.steps.emplace_back();
      for (const auto& [key, spec] : segments_[i].signature.inputs) {
        if (absl::Status status = Take(i, key, spec); !status.ok()) return status;
      }
      for (const auto& [key, spec] : segments_[i].signature.outputs) {
        if (absl::Status status = Make(i, key, spec); !status.ok()) return status;
      }
    }
    return absl::OkStatus();
  }

  PipelinePlan ByTheSegments() {
    plan_.signature.method_name = segments_.back().signature.method_name;
    for (const auto& [name, tensor] : known_) {
      if (!tensor.made || passed_.count(name) != 0) Add(tensor, plan_.signature.inputs);
      if (tensor.made && !tensor.taken) Add(tensor, plan_.signature.outputs);
    }
    return std::move(plan_);
  }

  absl::StatusOr<PipelinePlan> ByTheWhole(const Signature& whole) {
    for (const auto& [name, tensor] : known_) {
      if (tensor.made && passed_.count(name) == 0) continue;
      if (absl::Status status = Expect(name, whole.inputs); !status.ok()) return status;
    }
    for (const Specs* specs : {&whole.inputs, &whole.outputs}) {
      for (const auto& [key, spec] : *specs) {
        const auto found = known_.find(spec.tensor_name);
        if (found == known_.end()) {
          return absl::InvalidArgumentError(absl::StrCat("no segment has the tensor ", spec.tensor_name,
                                                         " of the model before it was split: split that model again"));
        }
        const Known& tensor = found->second;
        if (!Fits(tensor.spec, spec)) {
          return Misfit("the model before it was split", spec, NameOf(tensor.segment), tensor.spec);
        }
      }
    }
    plan_.signature = whole;
    return std::move(plan_);
  }

 private:
  const std::string& NameOf(int segment) const { return segments_[static_cast<size_t>(segment)].name; }

  absl::Status Take(size_t i, const std::string& key, const TensorSpec& spec) {
    plan_.steps[i].inputs[key] = spec.tensor_name;
    const int segment = static_cast<int>(i);
    const auto [entry, is_new] = known_.try_emplace(spec.tensor_name, Known{spec, key, segment, false, false});
    Known& tensor = entry->second;
    if (!is_new && !Fits(tensor.spec, spec)) return Misfit(NameOf(segment), spec, NameOf(tensor.segment), tensor.spec);
    tensor.taken = tensor.taken || tensor.made;
    return absl::OkStatus();
  }

  absl::Status Make(size_t i, const std::string& key, const TensorSpec& spec) {
    plan_.steps[i].outputs[key] = spec.tensor_name;
    const int segment = static_cast<int>(i);
    const auto [entry, is_new] = known_.try_emplace(spec.tensor_name, Known{spec, key, segment, true, false});
    if (is_new) return absl::OkStatus();
    Known& tensor = entry->second;
    if (!Fits(tensor.spec, spec)) return Misfit(NameOf(segment), spec, NameOf(tensor.segment), tensor.spec);
    const Specs& inputs = segments_[i].signature.inputs;
    const bool passes = std::any_of(inputs.begin(), inputs.end(), [&spec = spec](const auto& input) {
      return input.second.tensor_name == spec.tensor_name;
    });
    if (!passes) {
      return absl::InvalidArgumentError(
          absl::StrCat(NameOf(segment), " makes the tensor ", spec.tensor_name, ", which ", NameOf(tensor.segment),
                       tensor.made ? " makes too" : " takes before", ": put the segments of one compilation there"));
    }
    if (!tensor.made) passed_.insert(spec.tensor_name);
    tensor.made = true;
    tensor.segment = segment;
    tensor.taken = false;
    return absl::OkStatus();
  }

  absl::Status Expect(const std::string& name, const Specs& inputs) const {
    for (const auto& [key, spec] : inputs) {
      if (spec.tensor_name == name) return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat(NameOf(known_.at(name).segment), " takes the tensor ", name,
                                                   ", which no segment before it makes and the model before it was "
                                                   "split does not take: split that model again"));
  }

  // Adds a tensor under the segment's name for it, or under its own where another has that name.
  static void Add(const Known& tensor, Specs& specs) {
    if (!specs.emplace(tensor.key, tensor.spec).second) specs[tensor.spec.tensor_name] = tensor.spec;
  }

  const std::vector<SegmentSpec>& segments_;
  PipelinePlan plan_;
  std::map<std::string, Known> known_;
  std::set<std::string> passed_;  // inputs of the whole that a segment passes on
};

}  // namespace

absl::StatusOr<PipelinePlan> PlanPipeline(const std::vector<SegmentSpec>& segments, const Signature* whole) {
  Planner planner(segments);
  if (absl::Status status = planner.Read(); !status.ok()) return status;
  if (whole != nullptr) return planner.ByTheWhole(*whole);
  return planner.ByTheSegments();
}

}  // namespace ems

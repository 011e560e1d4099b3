// How the segments of a model fit together: a tensor that one makes goes to each later one that takes it.
#ifndef EMS_PIPELINE_PLAN_H_
#define EMS_PIPELINE_PLAN_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "model/servable.h"

namespace ems {

// A segment as the plan sees it. `name` is the file's, for errors.
struct SegmentSpec {
  std::string name;
  Signature signature;
};

struct PipelinePlan {
  // Names of a segment's inputs and outputs, and of the tensors that they are.
  struct Step {
    std::map<std::string, std::string> inputs;
    std::map<std::string, std::string> outputs;
  };
  // Of the whole model. TensorSpec::tensor_name is the tensor.
  Signature signature;
  std::vector<Step> steps;
};

// Plans segments in the order of their runs, at least one. Tensors are known by their names, as the Edge TPU compiler
// leaves them. The inputs of the whole are those that no segment makes, its outputs those of the last segment and those
// of others that no later one takes. Where `whole`, the signature of the model before it was split, is there, it gives
// the names of inputs and outputs, and which tensors these are. INVALID_ARGUMENT where something does not fit.
absl::StatusOr<PipelinePlan> PlanPipeline(const std::vector<SegmentSpec>& segments, const Signature* whole);

}  // namespace ems

#endif  // EMS_PIPELINE_PLAN_H_

// A model in segments, each computed by a servable of its own, one after the other.
#ifndef EMS_PIPELINE_PIPELINE_H_
#define EMS_PIPELINE_PIPELINE_H_

#include <memory>
#include <string>
#include <vector>

#include "model/servable.h"
#include "pipeline/plan.h"

namespace ems {

struct PipelineOptions {
  std::string title;  // "NAME version N", for errors
  int queue = 100;    // rows that may be under way; a request that would leave more is refused, unless none is
};

// Returns a servable of the signature serving_default. Each request goes through the segments on its own, and so do the
// rows of a request: as soon as a segment is done with one it takes the next.
std::unique_ptr<Servable> MakePipeline(PipelinePlan plan, std::vector<std::unique_ptr<Servable>> segments,
                                       PipelineOptions options);

// Returns "segment 0 of 2", as the Edge TPU compiler counts.
std::string SegmentName(size_t index, size_t count);

}  // namespace ems

#endif  // EMS_PIPELINE_PIPELINE_H_

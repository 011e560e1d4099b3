#include "pipeline/pipeline.h"

#include <map>
#include <mutex>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/thread_pool.h"
#include "model/rows.h"

namespace ems {
namespace {

// Rows of a request that are under way for each segment: one in it, and one that waits so that it need not.
constexpr int kRowsPerSegment = 2;

class Pipeline final : public Servable {
 public:
  Pipeline(PipelinePlan plan, std::vector<std::unique_ptr<Servable>> segments, PipelineOptions options)
      : plan_(std::move(plan)),
        signatures_{{kDefaultSignature, plan_.signature}},
        options_(std::move(options)),
        segments_(std::move(segments)),
        helpers_(kRowsPerSegment * static_cast<int>(segments_.size()) - 1) {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      for (const auto& [key, tensor] : plan_.steps[i].inputs) last_use_[tensor] = {i, key};
    }
    for (const auto& [key, spec] : plan_.signature.outputs) last_use_[spec.tensor_name] = {plan_.steps.size(), key};
  }

  const SignatureMap& signatures() const override { return signatures_; }

  absl::StatusOr<TensorMap> Run(const std::string& signature, const TensorMap& inputs,
                                const RunOptions& options) override {
    const absl::StatusOr<int64_t> runs = CheckInputs(signatures_.at(signature), inputs);
    if (!runs.ok()) return runs.status();
    if (absl::Status status = Enter(*runs); !status.ok()) return status;
    const Leaver leaver{*this, *runs};
    if (*runs == 1) return RunRow(inputs, options);
    return RunInWindows(*runs,
                        [&](int64_t first, int64_t count) { return RunRows(inputs, *runs, first, count, options); });
  }

  std::vector<Placement> placements() const override {
    std::vector<Placement> placements;
    for (size_t i = 0; i < segments_.size(); ++i) {
      for (Placement& placement : segments_[i]->placements()) {
        placement.part = SegmentName(i, segments_.size());
        placements.push_back(std::move(placement));
      }
    }
    return placements;
  }

 private:
  // Takes the rows off the bound in any case, an exception too.
  struct Leaver {
    Pipeline& pipeline;
    int64_t rows;
    ~Leaver() { pipeline.Leave(rows); }
  };

  absl::Status Enter(int64_t rows) {
    const std::lock_guard lock(mutex_);
    if (under_way_ > 0 && under_way_ + rows > options_.queue) {
      return absl::ResourceExhaustedError(
          absl::StrCat(options_.title, ": ", under_way_, " rows are under way; the bound is ", options_.queue));
    }
    under_way_ += rows;
    return absl::OkStatus();
  }

  void Leave(int64_t rows) {
    const std::lock_guard lock(mutex_);
    under_way_ -= rows;
  }

  absl::StatusOr<TensorMap> RunRows(const TensorMap& inputs, int64_t runs, int64_t first, int64_t count,
                                    const RunOptions& options) {
    std::vector<TensorMap> rows(static_cast<size_t>(count));
    const absl::Status status = ForEach(helpers_, count, [&](int64_t run) {
      try {
        absl::StatusOr<TensorMap> row = RunRow(Slice(inputs, first + run, runs), options);
        if (!row.ok()) return row.status();
        rows[static_cast<size_t>(run)] = *std::move(row);
        return absl::OkStatus();
      } catch (const std::bad_alloc&) {
        return NoMemoryForARow();
      }
    });
    if (!status.ok()) return status;
    return Join(std::move(rows));
  }

  absl::StatusOr<TensorMap> RunRow(TensorMap inputs, const RunOptions& options) {
    TensorMap values;  // by tensor
    for (auto& [key, tensor] : inputs) values[plan_.signature.inputs.at(key).tensor_name] = std::move(tensor);
    for (size_t i = 0; i < segments_.size(); ++i) {
      const PipelinePlan::Step& step = plan_.steps[i];
      TensorMap taken;
      for (const auto& [key, tensor] : step.inputs) taken[key] = Use(values, tensor, i, key);
      absl::StatusOr<TensorMap> made = segments_[i]->Run(kDefaultSignature, taken, options);
      if (!made.ok()) return made.status();
      for (const auto& [key, tensor] : step.outputs) values[tensor] = std::move((*made)[key]);
    }
    TensorMap outputs;
    for (const auto& [key, spec] : plan_.signature.outputs) {
      outputs[key] = Use(values, spec.tensor_name, segments_.size(), key);
    }
    return outputs;
  }

  // Returns the tensor: moved out where nobody needs it later.
  Tensor Use(TensorMap& values, const std::string& tensor, size_t step, const std::string& key) const {
    if (last_use_.at(tensor) == std::make_pair(step, key)) return std::move(values[tensor]);
    return values[tensor];
  }

  const PipelinePlan plan_;
  const SignatureMap signatures_;
  const PipelineOptions options_;
  const std::vector<std::unique_ptr<Servable>> segments_;
  std::map<std::string, std::pair<size_t, std::string>> last_use_;  // by tensor: the step, or their number, and its key
  std::mutex mutex_;
  int64_t under_way_ = 0;
  ThreadPool helpers_;  // last: it waits for what it runs
};

}  // namespace

std::unique_ptr<Servable> MakePipeline(PipelinePlan plan, std::vector<std::unique_ptr<Servable>> segments,
                                       PipelineOptions options) {
  return std::make_unique<Pipeline>(std::move(plan), std::move(segments), std::move(options));
}

std::string SegmentName(size_t index, size_t count) { return absl::StrCat("segment ", index, " of ", count); }

}  // namespace ems

#include "batching/servable.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "batching/join.h"
#include "model/rows.h"

namespace ems {
namespace {

// A signature whose requests are joined.
struct Joined {
  int64_t fixed = 0;  // rows of a run; 0: any number
  BatchLane lane;
};

bool AllHave(const std::map<std::string, TensorSpec>& specs, int64_t rows) {
  return std::all_of(specs.begin(), specs.end(), [rows](const auto& entry) {
    return !entry.second.shape.empty() && entry.second.shape.front() == rows;
  });
}

bool AnyScalar(const std::map<std::string, TensorSpec>& specs) {
  return std::any_of(specs.begin(), specs.end(), [](const auto& entry) { return entry.second.shape.empty(); });
}

// Returns the fixed number of rows of a signature whose requests can be joined, 0 for any number.
std::optional<int64_t> FixedRows(const Signature& signature) {
  if (signature.inputs.empty() || AnyScalar(signature.inputs) || AnyScalar(signature.outputs)) return std::nullopt;
  const int64_t rows = signature.inputs.begin()->second.shape.front();
  if (!AllHave(signature.inputs, rows)) return std::nullopt;
  // Files do not always say that the rows of outputs are as many as those of inputs; SplitRows looks at what comes.
  if (rows < 0) return 0;
  if (rows > 1 && AllHave(signature.outputs, rows)) return rows;
  return std::nullopt;
}

BatchLane LaneOf(const BatchingSettings& settings, int64_t fixed) {
  BatchLane lane;
  lane.most_rows = settings.max_execution_batch_size;
  if (fixed > 0) lane.most_rows = std::min(lane.most_rows, fixed);
  lane.timeout = settings.timeout;
  lane.most_batches = settings.max_enqueued_batches;
  lane.pad = settings.pad_variable_length_inputs;
  return lane;
}

void TakeAnyRows(Signature& signature) {
  for (auto* specs : {&signature.inputs, &signature.outputs}) {
    for (auto& entry : *specs) entry.second.shape.front() = -1;
  }
}

class BatchingServable final : public Servable {
 public:
  BatchingServable(std::unique_ptr<Servable> inner, BatchingSettings settings, std::shared_ptr<Batcher> batcher)
      : settings_(std::move(settings)),
        inner_(std::move(inner)),
        batcher_(std::move(batcher)),
        signatures_(inner_->signatures()) {
    for (auto& [key, signature] : signatures_) {
      const std::optional<int64_t> fixed = FixedRows(signature);
      if (!fixed) continue;
      joined_[key] = {*fixed, LaneOf(settings_, *fixed)};
      if (*fixed > 0) TakeAnyRows(signature);
    }
  }

  const SignatureMap& signatures() const override { return signatures_; }

  absl::StatusOr<TensorMap> Run(const std::string& signature, const TensorMap& inputs,
                                const RunOptions& options) override {
    const auto found = joined_.find(signature);
    const std::optional<int64_t> rows = RowsOf(inputs);
    if (found == joined_.end() || !rows) return inner_->Run(signature, inputs, options);
    Joined& joined = found->second;
    if (joined.fixed > 0 && *rows % joined.fixed == 0) return inner_->Run(signature, inputs, options);
    if (*rows > settings_.max_batch_size) {
      // Text of TensorFlow's shared_batch_scheduler.h.
      return absl::InvalidArgumentError(
          absl::StrCat("Task size ", *rows, " is larger than maximum input batch size ", settings_.max_batch_size));
    }
    if (*rows <= joined.lane.most_rows) return RunJoined(signature, joined, inputs, *rows, options);
    return RunParts(signature, joined, inputs, *rows, options);
  }

  std::vector<Placement> placements() const override { return inner_->placements(); }

 private:
  // Returns the number of rows of a request, nothing where its inputs differ in it.
  static std::optional<int64_t> RowsOf(const TensorMap& inputs) {
    std::optional<int64_t> rows;
    for (const auto& entry : inputs) {
      const Shape& shape = entry.second.shape;
      if (shape.empty() || (rows && *rows != shape.front())) return std::nullopt;
      rows = shape.front();
    }
    return rows;
  }

  absl::StatusOr<TensorMap> RunJoined(const std::string& signature, Joined& joined, const TensorMap& inputs,
                                      int64_t rows, const RunOptions& options) {
    return batcher_->Run(joined.lane, inputs, rows, options.deadline,
                         [&](const std::vector<BatchTask*>& tasks) { RunBatch(signature, joined, tasks); });
  }

  // A request of more rows than a batch takes: one batch after the other.
  absl::StatusOr<TensorMap> RunParts(const std::string& signature, Joined& joined, const TensorMap& inputs,
                                     int64_t rows, const RunOptions& options) {
    std::vector<TensorMap> outputs;
    for (int64_t from = 0; from < rows; from += joined.lane.most_rows) {
      const int64_t count = std::min(joined.lane.most_rows, rows - from);
      absl::StatusOr<TensorMap> part = RunJoined(signature, joined, SliceRows(inputs, from, count), count, options);
      if (!part.ok()) return part.status();
      outputs.push_back(*std::move(part));
    }
    return Join(std::move(outputs));
  }

  // Returns the rows to add to a batch: up to the next allowed size, and up to what the model takes.
  int64_t Padding(const Joined& joined, int64_t rows) const {
    const std::vector<int64_t>& sizes = settings_.allowed_batch_sizes;
    const auto allowed = std::lower_bound(sizes.begin(), sizes.end(), rows);
    int64_t padded = allowed == sizes.end() ? rows : *allowed;
    if (joined.fixed > 0) padded = (padded + joined.fixed - 1) / joined.fixed * joined.fixed;
    return padded - rows;
  }

  // A kernel that fails does so for its values more often than not.
  static bool MayBeTheValues(const absl::Status& status) {
    return absl::IsInvalidArgument(status) || absl::IsInternal(status);
  }

  void RunBatch(const std::string& signature, const Joined& joined, const std::vector<BatchTask*>& tasks) {
    std::vector<const TensorMap*> requests;
    std::vector<int64_t> rows;
    RunOptions options;
    options.deadline = absl::InfinitePast();
    int64_t sum = 0;
    for (const BatchTask* task : tasks) {
      requests.push_back(task->inputs);
      rows.push_back(task->rows);
      sum += task->rows;
      options.deadline = std::max(options.deadline, task->deadline);
    }
    const int64_t padding = Padding(joined, sum);
    if (tasks.size() == 1 && padding == 0) {
      tasks.front()->result = inner_->Run(signature, *requests.front(), options);
      return;
    }
    absl::StatusOr<std::vector<TensorMap>> parts = RunRows(signature, requests, rows, padding, options);
    if (tasks.size() > 1 && MayBeTheValues(parts.status())) {
      for (BatchTask* task : tasks) RunBatch(signature, joined, {task});
      return;
    }
    for (size_t i = 0; i < tasks.size(); ++i) {
      if (parts.ok()) {
        tasks[i]->result = std::move((*parts)[i]);
      } else {
        tasks[i]->result = parts.status();
      }
    }
  }

  absl::StatusOr<std::vector<TensorMap>> RunRows(const std::string& signature,
                                                 const std::vector<const TensorMap*>& requests,
                                                 const std::vector<int64_t>& rows, int64_t padding,
                                                 const RunOptions& options) {
    const absl::StatusOr<TensorMap> outputs = inner_->Run(signature, JoinRows(requests, padding), options);
    if (!outputs.ok()) return outputs.status();
    return SplitRows(*outputs, rows, padding);
  }

  const BatchingSettings settings_;
  const std::unique_ptr<Servable> inner_;
  const std::shared_ptr<Batcher> batcher_;
  SignatureMap signatures_;
  std::map<std::string, Joined> joined_;  // by signature; the lanes are the batcher's
};

}  // namespace

std::unique_ptr<Servable> WithBatching(std::unique_ptr<Servable> inner, const BatchingSettings& settings,
                                       std::shared_ptr<Batcher> batcher) {
  return std::make_unique<BatchingServable>(std::move(inner), settings, std::move(batcher));
}

}  // namespace ems

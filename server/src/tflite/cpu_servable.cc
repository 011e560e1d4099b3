#include "tflite/cpu_servable.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "model/rows.h"
#include "tflite/runner_pool.h"

namespace ems {
namespace {

constexpr char kLate[] = "the deadline passed between two rows of the request";

// What is computed: runs `first` to `first` + `count` of all `runs` of a request.
struct RowsWork {
  const std::string& signature;
  const TensorMap& inputs;
  int64_t runs;
  int64_t first;
  int64_t count;
  absl::Time deadline;
};

// Several rows of a request, worked on by the thread that brought it and by helpers.
class RowsJob {
 public:
  RowsJob(std::shared_ptr<RunnerPool> pool, const RowsWork& work)
      : pool_(std::move(pool)), work_(work), outputs_(work.count) {}

  // Computes rows on `runner` until none is left, and gives it back. Others get a turn between two rows: a request of
  // a thousand rows must not stop all small ones.
  void Work(TfliteRunner* runner) {
    while (ComputeNext(*runner)) {
      runner = pool_->Yield(runner, work_.deadline);
      if (runner == nullptr) return Fail(absl::DeadlineExceededError(kLate));
    }
    pool_->Release(runner);
  }

  // A helper's part: as many rows as nobody else waits for. It touches the inputs only for a row that it has taken,
  // and the caller waits for that.
  void Help() {
    if (next_.load() >= work_.count) return;
    TfliteRunner* runner = pool_->TryAcquire();
    if (runner == nullptr) return;
    while (ComputeNext(*runner)) {
      if (pool_->HandOver(runner)) return;
    }
    pool_->Release(runner);
  }

  // Waits until every row that was begun is done. The caller's own work has ended, so all were begun or given up.
  absl::StatusOr<TensorMap> Finish() {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [this] { return done_ == std::min(next_.load(), work_.count); });
    if (!status_.ok()) return status_;
    return Join(std::move(outputs_));
  }

 private:
  // Takes a row and computes it; returns false where none is left.
  bool ComputeNext(TfliteRunner& runner) {
    const int64_t run = next_.fetch_add(1);
    if (run >= work_.count) return false;
    if (absl::Status status = Compute(runner, run); !status.ok()) Fail(std::move(status));
    const std::lock_guard lock(mutex_);
    ++done_;
    finished_.notify_all();
    return true;
  }

  // Nothing may leave a helper's thread, or leave the caller without its runner.
  absl::Status Compute(TfliteRunner& runner, int64_t run) {
    if (SteadyNow() >= work_.deadline) return absl::DeadlineExceededError(kLate);
    try {
      absl::StatusOr<TensorMap> output =
          runner.Run(work_.signature, Slice(work_.inputs, work_.first + run, work_.runs));
      if (!output.ok()) return output.status();
      outputs_[run] = *std::move(output);
      return absl::OkStatus();
    } catch (const std::bad_alloc&) {
      return NoMemoryForARow();
    }
  }

  // Keeps the first failure and lets nobody begin another row.
  void Fail(absl::Status status) {
    const std::lock_guard lock(mutex_);
    if (status_.ok()) status_ = std::move(status);
    int64_t next = next_.load();
    while (next < work_.count && !next_.compare_exchange_weak(next, next + work_.count)) {
    }
    if (next < work_.count) done_ += work_.count - next;
  }

  const std::shared_ptr<RunnerPool> pool_;
  const RowsWork work_;
  std::vector<TensorMap> outputs_;
  std::atomic<int64_t> next_ = 0;
  std::mutex mutex_;
  std::condition_variable finished_;
  int64_t done_ = 0;
  absl::Status status_;
};

class CpuServable final : public Servable {
 public:
  CpuServable(std::shared_ptr<const TfliteModel> model, CpuOptions options, std::shared_ptr<RunnerPool> pool,
              std::vector<std::unique_ptr<MemoryBudget::Share>> shares, std::string detail)
      : model_(std::move(model)),
        options_(std::move(options)),
        pool_(std::move(pool)),
        shares_(std::move(shares)),
        detail_(std::move(detail)) {}

  const SignatureMap& signatures() const override { return model_->signatures(); }

  absl::StatusOr<TensorMap> Run(const std::string& signature, const TensorMap& inputs,
                                const RunOptions& options) override {
    const auto found = model_->signatures().find(signature);
    if (found == model_->signatures().end())
      return absl::InvalidArgumentError(absl::StrCat("no signature ", signature));
    if (SteadyNow() >= options.deadline) return absl::DeadlineExceededError("the deadline passed before the run");
    const int64_t runs = CountRuns(found->second, inputs);
    if (runs > 1) {
      return RunInWindows(runs, [&](int64_t first, int64_t count) {
        return RunRows({signature, inputs, runs, first, count, options.deadline});
      });
    }
    absl::StatusOr<TfliteRunner*> runner = pool_->Acquire(options.deadline);
    if (!runner.ok()) return runner.status();
    absl::StatusOr<TensorMap> outputs = (*runner)->Run(signature, inputs);
    pool_->Release(*runner);
    return outputs;
  }

  std::vector<Placement> placements() const override {
    return {{"cpu", "ok", detail_, !options_.fallback.empty(), ""}};
  }

 private:
  absl::StatusOr<TensorMap> RunRows(const RowsWork& work) {
    const auto job = std::make_shared<RowsJob>(pool_, work);
    absl::StatusOr<TfliteRunner*> runner = pool_->Acquire(work.deadline, /*admitted=*/work.first > 0);
    if (!runner.ok()) return runner.status();
    CallHelpers(job, work.count);
    job->Work(*runner);
    return job->Finish();
  }

  void CallHelpers(const std::shared_ptr<RowsJob>& job, int64_t rows) const {
    if (!options_.helpers) return;
    const int64_t others = std::min<int64_t>(rows, static_cast<int64_t>(pool_->size())) - 1;
    try {
      for (int64_t i = 0; i < std::min<int64_t>(others, options_.helpers->threads()); ++i) {
        options_.helpers->Submit([job] { job->Help(); });
      }
    } catch (const std::exception&) {
      return;  // no memory or no thread for one more: those that came and the caller do all rows
    }
  }

  const std::shared_ptr<const TfliteModel> model_;
  const CpuOptions options_;
  const std::shared_ptr<RunnerPool> pool_;
  const std::vector<std::unique_ptr<MemoryBudget::Share>> shares_;
  const std::string detail_;
};

bool CanWarmUp(const Signature& signature) {
  return std::all_of(signature.inputs.begin(), signature.inputs.end(), [](const auto& input) {
    const Shape& shape = input.second.shape;
    return input.second.dtype != DataType::kString &&
           std::find(shape.begin() + (shape.empty() ? 0 : 1), shape.end(), -1) == shape.end();
  });
}

// The first run allocates and touches what later runs use: without it the first client would wait for that. Returns the
// failures: values that nobody sent prove nothing against a model (one that divides by its input refuses zeros).
std::string WarmUp(const TfliteModel& model, TfliteRunner& runner) {
  std::string failures;
  for (const auto& [key, signature] : model.signatures()) {
    if (!CanWarmUp(signature)) continue;
    const absl::StatusOr<TensorMap> outputs = runner.Run(key, ZeroInputs(signature));
    if (outputs.ok()) continue;
    absl::StrAppend(&failures, failures.empty() ? "" : "; ", "a run of ", key,
                    " with zeros failed: ", outputs.status().message());
  }
  return failures;
}

// An interpreter that has run once, and its memory.
struct WarmRunner {
  std::unique_ptr<TfliteRunner> runner;
  std::vector<std::unique_ptr<MemoryBudget::Share>> shares;
  std::string failures;
};

absl::Status Reserve(const CpuOptions& options, uint64_t bytes, WarmRunner* warm) {
  if (!options.memory || bytes == 0) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<MemoryBudget::Share>> share = options.memory->Take(bytes);
  if (share.ok()) warm->shares.push_back(*std::move(share));
  return share.status();
}

// Makes an interpreter. Its memory is reserved before the first run touches it: the kernel would end a server that
// exceeds its limit.
absl::StatusOr<WarmRunner> MakeRunner(const std::shared_ptr<const TfliteModel>& model, const CpuOptions& options) {
  RunnerOptions runner_options;
  runner_options.threads = options.threads;
  absl::StatusOr<std::unique_ptr<TfliteRunner>> runner = TfliteRunner::Create(model, runner_options);
  if (!runner.ok()) return runner.status();
  WarmRunner warm;
  warm.runner = *std::move(runner);
  const uint64_t allocated = warm.runner->arena_bytes();
  if (absl::Status status = CheckFree(allocated); !status.ok()) return status;
  if (absl::Status status = Reserve(options, allocated, &warm); !status.ok()) return status;
  warm.failures = WarmUp(*model, *warm.runner);
  // Tensors of dynamic size come with the run.
  const uint64_t used = std::max(allocated, warm.runner->arena_bytes());
  if (absl::Status status = Reserve(options, used - allocated, &warm); !status.ok()) return status;
  return warm;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Servable>> LoadOnCpu(std::shared_ptr<const TfliteModel> model,
                                                    const CpuOptions& options) {
  const int wanted = model->has_resources() ? 1 : std::max(1, options.interpreters);
  std::vector<std::unique_ptr<TfliteRunner>> runners;
  std::vector<std::unique_ptr<MemoryBudget::Share>> shares;
  std::string detail;
  while (static_cast<int>(runners.size()) < wanted) {
    absl::StatusOr<WarmRunner> made = MakeRunner(model, options);
    if (absl::IsResourceExhausted(made.status()) && !runners.empty()) break;
    if (!made.ok()) return made.status();
    if (runners.empty()) detail = made->failures;
    for (auto& share : made->shares) shares.push_back(std::move(share));
    runners.push_back(std::move(made->runner));
  }
  std::vector<std::string> details;
  if (!options.fallback.empty()) details.push_back(options.fallback);
  if (!detail.empty()) details.push_back(detail);
  if (static_cast<int>(runners.size()) < wanted) {
    details.push_back(absl::StrCat(runners.size(), " of ", wanted, " interpreters fit in memory"));
  }
  auto pool = std::make_shared<RunnerPool>(std::move(runners), options.queue);
  return std::make_unique<CpuServable>(std::move(model), options, std::move(pool), std::move(shares),
                                       absl::StrJoin(details, "; "));
}

}  // namespace ems

#include "batching/batcher.h"

#include <exception>

#include "absl/status/status.h"
#include "base/turns.h"

namespace ems {

absl::StatusOr<TensorMap> Batcher::Run(BatchLane& lane, const TensorMap& inputs, int64_t rows, absl::Time deadline,
                                       absl::FunctionRef<void(const std::vector<BatchTask*>& tasks)> run) {
  BatchTask task;
  task.inputs = &inputs;
  task.rows = rows;
  task.deadline = deadline;
  task.late = FromDeadline(deadline);
  std::unique_lock lock(mutex_);
  if (absl::Status status = batches_.Add(lane, task, Clock::now()); !status.ok()) return status;
  while (true) {
    const Batches::Step step = batches_.Next(task, Clock::now());
    switch (step.kind) {
      case Batches::Step::Kind::kDone:
        return std::move(task.result);
      case Batches::Step::Kind::kLate:
        return absl::DeadlineExceededError("the deadline passed while the request waited for its batch");
      case Batches::Step::Kind::kWait:
        Turns::PassOnBeforeWaiting();
        if (step.until == Instant::max()) {
          task.changed.wait(lock);
        } else {
          task.changed.wait_until(lock, step.until);
        }
        break;
      case Batches::Step::Kind::kRun:
        lock.unlock();
        Report(step.tasks);
        // The others wait for this thread; it must not leave them.
        try {
          run(step.tasks);
        } catch (const std::exception&) {  // such as bad_alloc
          for (BatchTask* each : step.tasks) each->result = absl::ResourceExhaustedError("no memory for the batch");
        }
        lock.lock();
        batches_.Finish(step.tasks, Clock::now());
        break;
    }
  }
}

void Batcher::Report(const std::vector<BatchTask*>& tasks) const {
  if (!queued_) return;
  const Instant now = Clock::now();
  for (const BatchTask* task : tasks) queued_(absl::FromChrono(now - task->since));
}

}  // namespace ems

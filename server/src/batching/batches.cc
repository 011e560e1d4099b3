#include "batching/batches.h"

#include <algorithm>

#include "batching/join.h"

namespace ems {
namespace {

bool Fits(const Batch& batch, const BatchTask& task) {
  std::vector<const TensorMap*> requests;
  requests.reserve(batch.tasks.size() + 1);
  for (const BatchTask* other : batch.tasks) requests.push_back(other->inputs);
  requests.push_back(task.inputs);
  return FitTogether(requests, batch.lane->pad);
}

}  // namespace

std::list<Batch>::iterator Batches::FindRoom(BatchLane& lane, const BatchTask& task) {
  for (auto batch = batches_.begin(); batch != batches_.end(); ++batch) {
    if (batch->lane != &lane || batch->full || !Fits(*batch, task)) continue;
    if (batch->rows + task.rows <= lane.most_rows) return batch;
    // Waiting for a smaller request would let this one and those after it overtake.
    batch->full = true;
    batch->tasks.front()->changed.notify_one();
  }
  return batches_.end();
}

absl::Status Batches::Add(BatchLane& lane, BatchTask& task, Instant now) {
  auto batch = FindRoom(lane, task);
  if (batch == batches_.end()) {
    if (lane.batches >= lane.most_batches) {
      return absl::ResourceExhaustedError("The batch scheduling queue to which this task was submitted is full");
    }
    batch = batches_.emplace(batches_.end());
    batch->lane = &lane;
    batch->due = now + absl::ToChronoNanoseconds(lane.timeout);
    ++lane.batches;
  }
  batch->tasks.push_back(&task);
  batch->rows += task.rows;
  task.batch = batch;
  task.since = now;
  if (batch->rows == lane.most_rows) {
    batch->full = true;
    batch->tasks.front()->changed.notify_one();
  }
  return absl::OkStatus();
}

Batches::Step Batches::Next(BatchTask& task, Instant now) {
  using State = BatchTask::State;
  if (task.state == State::kDone) return {Step::Kind::kDone, {}, {}};
  if (task.state == State::kLate) return {Step::Kind::kLate, {}, {}};
  if (task.state == State::kRunning) return {Step::Kind::kWait, Instant::max(), {}};
  if (now >= task.late) {
    Leave(task, now);
    return {Step::Kind::kLate, {}, {}};
  }
  const Batch& batch = *task.batch;
  if (batch.tasks.front() != &task) return {Step::Kind::kWait, task.late, {}};
  if (!IsDue(batch, now)) return {Step::Kind::kWait, std::min(task.late, batch.due), {}};
  if (free_ == 0) return {Step::Kind::kWait, task.late, {}};
  return {Step::Kind::kRun, {}, Take(task, now)};
}

void Batches::Finish(const std::vector<BatchTask*>& tasks, Instant now) {
  ++free_;
  for (BatchTask* task : tasks) {
    task->state = BatchTask::State::kDone;
    task->changed.notify_one();
  }
  WakeDue(now);
}

std::vector<BatchTask*> Batches::Take(BatchTask& first, Instant now) {
  std::vector<BatchTask*> taken;
  for (BatchTask* task : first.batch->tasks) {
    if (now < task->late) {
      task->state = BatchTask::State::kRunning;
      taken.push_back(task);
    } else {
      task->state = BatchTask::State::kLate;
      task->changed.notify_one();
    }
  }
  --free_;
  Erase(first.batch);
  WakeDue(now);
  return taken;
}

void Batches::Leave(BatchTask& task, Instant now) {
  task.state = BatchTask::State::kLate;
  const auto batch = task.batch;
  batch->tasks.remove(&task);
  batch->rows -= task.rows;
  if (batch->tasks.empty()) {
    Erase(batch);
  } else {
    batch->tasks.front()->changed.notify_one();  // it may be the first now
  }
  WakeDue(now);  // the run that this one was woken for
}

void Batches::Erase(std::list<Batch>::iterator batch) {
  --batch->lane->batches;
  batches_.erase(batch);
}

void Batches::WakeDue(Instant now) {
  if (free_ == 0) return;
  const auto due = std::find_if(batches_.begin(), batches_.end(), [now](const Batch& b) { return IsDue(b, now); });
  if (due != batches_.end()) due->tasks.front()->changed.notify_one();
}

}  // namespace ems

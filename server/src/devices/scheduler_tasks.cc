// The side of the devices: what each does next, and what came of it.
#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "devices/scheduler.h"

namespace ems {

namespace {

using Place = ScheduledModel::Place;

// How many times its 99th percentile a run may take.
constexpr int kHangFactor = 10;

// The same where inputs may have any size: what small ones took says nothing of a large one.
constexpr absl::Duration kLeastHangOfAnySize = absl::Minutes(1);

// A device does not load a model again that was never loaded, once so many of its workers were lost over it.
constexpr int kMostLostLoads = 2;

constexpr absl::Duration kNever = absl::Hours(24 * 365);

}  // namespace

// Returns whether an error of a worker speaks against the device, and not against the request or the model. Where there
// is no delegate there is no device: a kernel that fails does so on every processor.
bool Scheduler::IsDeviceFailure(const absl::Status& status) const {
  if (options_.delegate.empty()) return false;
  return status.code() == absl::StatusCode::kInternal || status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kUnknown;
}

Scheduler::Task Scheduler::Next(int d) {
  Task task;
  {
    const Lock lock(mutex_);
    Device& device = At(d);
    device.idle = false;
    eventfd_t ignored = 0;
    eventfd_read(device.wake.get(), &ignored);
    task.until = Now() + absl::ToChronoNanoseconds(kNever);
    if (stopping_) {
      task.kind = Task::Kind::kStop;
    } else if (device.phase == Phase::kNoWorker) {
      NextStart(d, &task);
    } else if (!NextChange(d, &task) && !Decide(d, &task) && !NextTry(d, &task) && !NextJob(d, &task)) {
      device.idle = true;
    }
  }
  FlushLog();
  return task;
}

void Scheduler::NextStart(int d, Task* task) {
  Device& device = At(d);
  const bool needed =
      std::any_of(models_.begin(), models_.end(), [](const ModelPtr& model) { return !model->removed; });
  if (!needed) return;
  if (Now() < device.retry_at) {
    task->until = device.retry_at;
    return;
  }
  device.phase = Phase::kStarting;
  task->kind = Task::Kind::kStart;
}

// Finds a model to load or to unload.
bool Scheduler::NextChange(int d, Task* task) {
  for (const ModelPtr& model : models_) {
    ScheduledModel::OnDevice& on = model->on[static_cast<size_t>(d)];
    if (model->removed ? !on.held : on.place != Place::kWaiting || IsTriedElsewhere(d, *model)) continue;
    on.held = true;
    task->kind = model->removed ? Task::Kind::kUnload : Task::Kind::kLoad;
    task->model = model;
    return true;
  }
  return false;
}

// Returns whether the device leaves a new model to another that tries it, because it serves: a load that hangs would
// stop all models on all devices.
bool Scheduler::IsTriedElsewhere(int d, const ScheduledModel& model) const {
  const auto serves = [d](const ModelPtr& other) { return other->on[static_cast<size_t>(d)].place == Place::kLoaded; };
  if (model.ever_loaded || std::none_of(models_.begin(), models_.end(), serves)) return false;
  return std::any_of(model.on.begin(), model.on.end(),
                     [](const auto& on) { return on.held && on.place == Place::kWaiting; });
}

// After the last load: a device that has a model is ok; one that refused all of them, for reasons of its own, is not.
bool Scheduler::Decide(int d, Task* task) {
  Device& device = At(d);
  bool loaded = false;
  absl::Status refusal;
  for (const ModelPtr& model : models_) {
    const ScheduledModel::OnDevice& on = model->on[static_cast<size_t>(d)];
    loaded = loaded || on.place == Place::kLoaded;
    if (on.place != Place::kRefused || !IsDeviceFailure(on.refusal)) continue;
    if (refusal.ok() || absl::IsUnavailable(on.refusal)) refusal = on.refusal;
  }
  if (!loaded && !refusal.ok()) {
    task->kind = Task::Kind::kGiveUp;
    task->state = absl::IsUnavailable(refusal) ? DeviceState::kAbsent : DeviceState::kOut;
    task->reason = std::string(refusal.message());
    return true;
  }
  const bool started = std::exchange(device.phase, Phase::kRunning) == Phase::kStarting;
  if (loaded && device.report.state != DeviceState::kOk && device.report.state != DeviceState::kSuspect) {
    SetState(d, DeviceState::kOk, "");
  }
  if (started) changed_.notify_all();
  return false;
}

// A suspect device must run zeros before it gets a job.
bool Scheduler::NextTry(int d, Task* task) {
  if (At(d).report.state != DeviceState::kSuspect) return false;
  for (const ModelPtr& model : models_) {
    if (model->on[static_cast<size_t>(d)].place != Place::kLoaded || model->trial.empty()) continue;
    task->kind = Task::Kind::kTry;
    task->model = model;
    task->limit = Limit(*model);
    if (model->number == At(d).last_model) break;  // the one that failed
  }
  if (task->model) return true;
  SetState(d, DeviceState::kOk, "");
  return false;
}

bool Scheduler::NextJob(int d, Task* task) {
  Device& device = At(d);
  while (const ModelPtr model = PickModel(d)) {
    const auto found = model->queue.begin() + (FirstFor(d, *model) - model->queue.cbegin());
    if (Now() >= found->call->deadline) {
      const std::shared_ptr<Call> call = found->call;
      Settle(*model, call, absl::DeadlineExceededError(absl::StrCat(model->title, ": no device was free in time")));
      continue;
    }
    Job job = std::move(*found);
    model->queue.erase(found);
    if (std::exchange(device.last_model, model->number) == model->number) {
      ++device.in_row;
    } else {
      device.in_row = 1;
      device.turn_began = Now();
    }
    task->kind = Task::Kind::kRun;
    task->model = model;
    task->job = std::move(job);
    task->limit = Limit(*model);
    return true;
  }
  return false;
}

// Returns the model whose job the device takes next: the last one until its turn ends, else the one that waits longest.
Scheduler::ModelPtr Scheduler::PickModel(int d) const {
  const Device& device = At(d);
  ModelPtr last;
  ModelPtr oldest;
  Instant since;
  for (const ModelPtr& model : models_) {
    if (!IsReady(d, *model)) continue;
    const auto job = FirstFor(d, *model);
    if (job == model->queue.end()) continue;
    if (model->number == device.last_model) {
      last = model;
    } else if (!oldest || job->since < since) {
      oldest = model;
      since = job->since;
    }
  }
  const bool turn_ends = device.in_row >= options_.most_in_row ||
                         Now() - device.turn_began >= absl::ToChronoNanoseconds(options_.most_turn);
  return last && (!oldest || !turn_ends) ? last : oldest;
}

// Returns the first job that the device may take. It takes one that failed on it only where no other can; one that
// failed elsewhere in any case.
std::deque<Job>::const_iterator Scheduler::FirstFor(int d, const ScheduledModel& model) const {
  if (model.queue.empty()) return model.queue.end();
  bool other = false;
  for (int i = 0; i < Count(); ++i) other = other || (i != d && IsReady(i, model));
  const bool home = IsHome(d, model);
  return std::find_if(model.queue.begin(), model.queue.end(),
                      [&](const Job& job) { return job.failed_on == d ? !other : home || job.failed_on >= 0; });
}

absl::Duration Scheduler::Limit(const ScheduledModel& model) const {
  const bool any_size = model.trial.empty();
  const absl::Duration least = any_size ? std::max(options_.least_hang, kLeastHangOfAnySize) : options_.least_hang;
  return std::max(least, kHangFactor * model.times.Percentile99());
}

void Scheduler::Started(int d, int pid) {
  const Lock lock(mutex_);
  Device& device = At(d);
  device.report.pid = pid;
  device.started = Now();
  if (std::exchange(device.ever_started, true)) ++device.report.restarts;
}

void Scheduler::Loaded(int d, ScheduledModel& model, const WorkerReply& reply) {
  {
    const Lock lock(mutex_);
    ScheduledModel::OnDevice& on = model.on[static_cast<size_t>(d)];
    on.held = reply.status.ok();
    on.place = reply.status.ok() ? Place::kLoaded : Place::kRefused;
    on.refusal = reply.status;
    on.arena_bytes = reply.arena_bytes;
    if (reply.status.ok()) {
      model.times.Add(absl::Microseconds(static_cast<int64_t>(reply.run_micros)));
      if (!std::exchange(model.ever_loaded, true)) {
        for (auto& other : model.on) {
          if (other.lost_loads >= kMostLostLoads) other = {};  // the fault was the device's
        }
      }
    } else if (IsDeviceFailure(reply.status) && At(d).report.state == DeviceState::kOk) {
      SetState(d, DeviceState::kSuspect, absl::StrCat(model.title, ": ", reply.status.message()));
    }
    FailHopeless();
    WakeAll();  // another may load it now, and a segment may move
    changed_.notify_all();
  }
  FlushLog();
}

void Scheduler::Unloaded(int d, ScheduledModel& model) {
  const Lock lock(mutex_);
  model.on[static_cast<size_t>(d)] = {};
  changed_.notify_all();
}

void Scheduler::TrialPassed(int d) {
  {
    const Lock lock(mutex_);
    SetState(d, DeviceState::kOk, "");
  }
  FlushLog();
}

void Scheduler::Ran(int d, ScheduledModel& model, Job job, absl::StatusOr<WorkerReply> reply) {
  {
    const Lock lock(mutex_);
    DeviceReport& report = At(d).report;
    const absl::Status& status = reply.ok() ? reply->status : reply.status();
    if (status.ok()) {
      ++report.runs;
      At(d).losses = 0;
      model.times.Add(absl::Microseconds(static_cast<int64_t>(reply->run_micros)));
      Call& call = *job.call;
      call.rows[job.row] = std::move(reply->outputs);
      if (--call.left == 0) Settle(model, job.call, absl::OkStatus());
    } else if (reply.ok() && !IsDeviceFailure(status)) {
      Settle(model, job.call, status);
    } else {
      ++report.failures;
      if (reply.ok()) SetState(d, DeviceState::kSuspect, std::string(status.message()));
      Fail(d, model, std::move(job), status);
    }
  }
  FlushLog();
}

// Puts a job back after its first failure, for another device; ends its call after the second.
void Scheduler::Fail(int d, ScheduledModel& model, Job job, const absl::Status& failure) {
  const std::string text = absl::StrCat(At(d).report.name, " (", failure.message(), ")");
  if (stopping_) {
    Settle(model, job.call, absl::UnavailableError("the server is stopping"));
  } else if (job.failed_on >= 0) {
    Settle(
        model, job.call,
        absl::Status(failure.code(), absl::StrCat(model.title, ": the run failed on ", job.failure, " and on ", text)));
  } else if (!job.call->ended) {
    job.failed_on = d;
    job.failure = text;
    model.queue.push_front(std::move(job));
    WakeFor(model);
  }
}

// The device has lost its worker, and with it the model.
void Scheduler::Forget(int d, ScheduledModel& model, const std::string& reason) {
  ScheduledModel::OnDevice& on = model.on[static_cast<size_t>(d)];
  const int lost_loads = on.lost_loads + (on.held && on.place == Place::kWaiting ? 1 : 0);
  on = {};
  if (model.ever_loaded) return;
  on.lost_loads = lost_loads;
  if (lost_loads < kMostLostLoads) return;
  on.place = Place::kRefused;
  on.refusal = absl::InvalidArgumentError(reason);
}

void Scheduler::Lost(int d, DeviceState state, const std::string& reason) {
  {
    const Lock lock(mutex_);
    Device& device = At(d);
    const bool lasted =
        device.phase == Phase::kRunning && Now() - device.started > absl::ToChronoNanoseconds(options_.most_backoff);
    if (lasted) device.losses = 0;
    device.phase = Phase::kNoWorker;
    device.report.pid = 0;
    device.last_model = 0;
    for (const ModelPtr& model : models_) Forget(d, *model, reason);
    ++device.losses;
    device.retry_at = Now() + absl::ToChronoNanoseconds(Backoff(device.losses, state));
    SetState(d, state, reason);
    FailHopeless();
    WakeAll();
    changed_.notify_all();
  }
  FlushLog();
}

}  // namespace ems

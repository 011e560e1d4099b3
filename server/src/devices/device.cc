#include "devices/device.h"

#include <new>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ems {

namespace {

// For a worker that is asked to end: the delegate may have to release its device.
constexpr absl::Duration kEndGrace = absl::Seconds(2);

// An unload frees memory; it is not a run.
constexpr absl::Duration kMostUnload = absl::Seconds(10);

std::string Hung(absl::Duration limit) {
  return absl::StrCat("the worker hung: no answer in ", absl::FormatDuration(limit));
}

}  // namespace

DeviceThread::DeviceThread(int index, std::string name, const Devices::Options& options, Scheduler& scheduler)
    : index_(index), name_(std::move(name)), options_(options), scheduler_(scheduler), thread_([this] { Main(); }) {}

DeviceThread::~DeviceThread() { thread_.join(); }

void DeviceThread::Main() {
  while (true) {
    Scheduler::Task task = scheduler_.Next(index_);
    if (task.kind == Scheduler::Task::Kind::kStop) break;
    Do(std::move(task));
  }
  if (process_) process_->End(kEndGrace);
  process_.reset();  // by this thread: the worker ends with it
}

void DeviceThread::Do(Scheduler::Task task) {
  using Kind = Scheduler::Task::Kind;
  switch (task.kind) {
    case Kind::kIdle:
      return Idle(task.until);
    case Kind::kStart:
      return Start();
    case Kind::kGiveUp:
      process_->End(kEndGrace);
      process_.reset();
      return scheduler_.Lost(index_, task.state, task.reason);
    case Kind::kLoad:
      return Load(*task.model);
    case Kind::kUnload:
      return Unload(*task.model);
    case Kind::kTry:
      return Try(*task.model, task.limit);
    case Kind::kRun:
      return Run(std::move(task));
    case Kind::kStop:
      return;
  }
}

absl::StatusOr<WorkerReply> DeviceThread::Call(std::string_view message, Instant deadline) {
  try {
    return process_->Call(message, deadline);
  } catch (const std::bad_alloc&) {
    return absl::DataLossError("there is no memory for the worker's reply");
  }
}

void DeviceThread::Idle(Instant until) {
  if (!process_) {
    WaitReadable(scheduler_.wake_fd(index_), until);
  } else if (!process_->Wait(scheduler_.wake_fd(index_), until)) {
    const std::string why = Bury(absl::UnavailableError(""), absl::ZeroDuration());
    scheduler_.Lost(index_, DeviceState::kOut, why);
  }
}

void DeviceThread::Start() {
  WorkerProcess::Options options{options_.worker, name_, scheduler_.stop_fd(), {}};
  if (options_.log) {
    options.log = [this](const std::string& line) { options_.log(absl::StrCat("device ", name_, " writes: ", line)); };
  }
  absl::StatusOr<std::unique_ptr<WorkerProcess>> process = WorkerProcess::Start(std::move(options));
  if (!process.ok()) return scheduler_.Lost(index_, DeviceState::kOut, std::string(process.status().message()));
  process_ = *std::move(process);
  scheduler_.Started(index_, process_->pid());
}

void DeviceThread::Load(ScheduledModel& model) {
  LoadModel load = model.load;
  if (!load.options.delegate.empty()) load.options.delegate_options.emplace_back("device", name_);
  const absl::StatusOr<WorkerReply> reply = Call(Encode(load), FromNow(options_.most_load));
  if (reply.ok()) return scheduler_.Loaded(index_, model, *reply);
  const std::string why = Bury(reply.status(), options_.most_load);
  scheduler_.Lost(index_, DeviceState::kOut, absl::StrCat(why, ", while it loaded ", model.title));
}

void DeviceThread::Unload(ScheduledModel& model) {
  const absl::StatusOr<WorkerReply> reply = Call(Encode(UnloadModel{model.number}), FromNow(kMostUnload));
  if (reply.ok()) return scheduler_.Unloaded(index_, model);
  const std::string why = Bury(reply.status(), kMostUnload);
  scheduler_.Lost(index_, DeviceState::kOut, absl::StrCat(why, ", while it unloaded ", model.title));
}

void DeviceThread::Try(ScheduledModel& model, absl::Duration limit) {
  const absl::StatusOr<WorkerReply> reply = Call(model.trial, FromNow(limit));
  if (reply.ok() && reply->status.ok()) return scheduler_.TrialPassed(index_);
  std::string why;
  if (reply.ok()) {
    why = std::string(reply->status.message());
    process_->End(kEndGrace);
    process_.reset();
  } else {
    why = Bury(reply.status(), limit);
  }
  scheduler_.Lost(index_, DeviceState::kOut, why);
}

void DeviceThread::Run(Scheduler::Task task) {
  absl::StatusOr<WorkerReply> reply = Call(task.job.message, FromNow(task.limit));
  if (reply.ok()) return scheduler_.Ran(index_, *task.model, std::move(task.job), std::move(reply));
  // A worker that hangs in the kernel takes seconds to end: another device has the job by then.
  const bool hung = absl::IsDeadlineExceeded(reply.status());
  if (hung) scheduler_.Ran(index_, *task.model, std::move(task.job), absl::UnavailableError(Hung(task.limit)));
  const std::string why = Bury(reply.status(), task.limit);
  if (!hung) scheduler_.Ran(index_, *task.model, std::move(task.job), absl::UnavailableError(why));
  scheduler_.Lost(index_, DeviceState::kOut, why);
}

std::string DeviceThread::Bury(const absl::Status& failure, absl::Duration limit) {
  const std::string how = process_->End(absl::ZeroDuration());
  process_.reset();
  if (absl::IsDeadlineExceeded(failure)) return Hung(limit);
  // We have killed it ourselves: how it ended says nothing.
  if (absl::IsDataLoss(failure) || absl::IsCancelled(failure)) return std::string(failure.message());
  return absl::StrCat("the worker ", how);
}

}  // namespace ems

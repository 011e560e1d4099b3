// The side of those who ask: models, requests, reports.
#include "devices/scheduler.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/turns.h"

namespace ems {

namespace {

using Place = ScheduledModel::Place;

// A device that is absent costs little to look for, and people wait for the one that they plug in.
constexpr absl::Duration kMostAbsentPause = absl::Seconds(5);

absl::Status NoDescriptor() {
  return absl::UnavailableError(
      absl::StrCat("cannot make an event descriptor: ", std::generic_category().message(errno)));
}

}  // namespace

const char* Name(DeviceState state) {
  switch (state) {
    case DeviceState::kOk:
      return "ok";
    case DeviceState::kSuspect:
      return "suspect";
    case DeviceState::kOut:
      return "out";
    case DeviceState::kAbsent:
      break;
  }
  return "absent";
}

Scheduler::Scheduler(const Devices::Options& options)
    : options_(options), stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (stop_.get() < 0) status_ = NoDescriptor();
  for (const std::string& name : options.names) status_.Update(Append(name));
}

absl::Status Scheduler::Append(const std::string& name) {
  Fd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake.get() < 0) return NoDescriptor();
  Device& device = devices_.emplace_back();
  device.report.name = name;
  device.report.detail = "no model uses it";
  device.wake = std::move(wake);
  return absl::OkStatus();
}

bool Scheduler::AddDevice(const std::string& name) {
  absl::Status status;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const bool known =
        std::any_of(devices_.begin(), devices_.end(), [&](const Device& device) { return device.report.name == name; });
    if (known || stopping_) return false;
    status = Append(name);
    if (!status.ok()) log_.push_back(absl::StrCat("device ", name, " is not used: ", status.message()));
    for (const ModelPtr& model : models_) model->on.resize(devices_.size());
  }
  FlushLog();
  return status.ok();
}

absl::StatusOr<std::shared_ptr<ScheduledModel>> Scheduler::Add(const std::string& title, LoadModel load,
                                                               const RunModel& trial, bool segment) {
  if (!status_.ok()) return status_;
  const auto model = std::make_shared<ScheduledModel>();
  model->title = title;
  model->segment = segment;
  model->load = std::move(load);
  Lock lock(mutex_);
  model->on.resize(devices_.size());
  model->number = model->load.model = next_number_++;
  if (!trial.signature.empty()) model->trial = EncodeRun(model->number, trial.signature, trial.inputs);
  for (int d = 0; d < Count(); ++d) {
    if (At(d).phase == Phase::kRunning || At(d).report.state != DeviceState::kAbsent) continue;
    model->on[static_cast<size_t>(d)].sought = true;
    At(d).retry_at = Now();
  }
  models_.push_back(model);
  WakeAll();
  changed_.wait(lock, [&] { return stopping_ || IsDecided(*model); });
  const bool loaded = std::any_of(model->on.begin(), model->on.end(),
                                  [](const auto& device) { return device.place == Place::kLoaded; });
  if (loaded && !stopping_) return model;
  absl::Status why = WhyHopeless(*model);
  Erase(model, lock);
  return why;
}

void Scheduler::AwaitLoads() {
  Lock lock(mutex_);
  const auto starts = [](const Device& device) { return device.phase == Phase::kStarting; };
  changed_.wait(lock, [&] {
    return stopping_ ||
           (std::none_of(devices_.begin(), devices_.end(), starts) &&
            std::all_of(models_.begin(), models_.end(), [&](const ModelPtr& model) { return IsDecided(*model); }));
  });
}

void Scheduler::Remove(const std::shared_ptr<ScheduledModel>& model) {
  Lock lock(mutex_);
  Erase(model, lock);
}

void Scheduler::Erase(const ModelPtr& model, Lock& lock) {
  model->removed = true;
  WakeAll();
  changed_.wait(lock, [&] {
    return stopping_ || std::none_of(model->on.begin(), model->on.end(), [](const auto& on) { return on.held; });
  });
  models_.erase(std::remove(models_.begin(), models_.end(), model), models_.end());
  if (!models_.empty()) return;
  for (Device& device : devices_) {
    if (device.phase == Phase::kNoWorker) device.losses = 0;  // the next model is another matter
  }
}

absl::StatusOr<std::vector<TensorMap>> Scheduler::Run(const std::shared_ptr<ScheduledModel>& model,
                                                      std::vector<std::string> messages, Instant deadline,
                                                      bool admitted) {
  const auto call = std::make_shared<Call>();
  call->rows.resize(messages.size());
  call->left = messages.size();
  call->deadline = deadline;
  Lock lock(mutex_);
  if (stopping_) return absl::UnavailableError("the server is stopping");
  if (IsHopeless(*model)) return WhyHopeless(*model);
  const auto most = static_cast<size_t>(options_.queue);
  if (!model->segment && !admitted && model->queue.size() + messages.size() > most && !model->queue.empty()) {
    return absl::ResourceExhaustedError(
        absl::StrCat(model->title, ": ", model->queue.size(), " runs wait for a device; the bound is ", most));
  }
  for (size_t row = 0; row < messages.size(); ++row) {
    model->queue.push_back(Job{call, row, std::move(messages[row]), Now(), -1, {}});
    WakeFor(*model);
  }
  Turns::PassOnBeforeWaiting();
  if (!call->changed.wait_until(lock, deadline, [&] { return call->ended; })) {
    Settle(*model, call, absl::DeadlineExceededError(absl::StrCat(model->title, ": no device was done in time")));
  }
  if (!call->status.ok()) return call->status;
  return std::move(call->rows);
}

uint64_t Scheduler::ArenaBytes(const ScheduledModel& model) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  uint64_t bytes = 0;
  for (const auto& device : model.on) bytes += device.arena_bytes;
  return bytes;
}

std::vector<DeviceReport> Scheduler::Report() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<DeviceReport> reports;
  for (const Device& device : devices_) {
    const size_t d = reports.size();
    reports.push_back(device.report);
    for (const ModelPtr& model : models_) reports.back().arena_bytes += model->on[d].arena_bytes;
  }
  return reports;
}

std::vector<Placement> Scheduler::Placements(const ScheduledModel& model) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Placement> placements;
  bool home = false;
  for (int d = 0; d < Count(); ++d) home = home || IsHome(d, model);
  for (int d = 0; d < Count(); ++d) {
    if (model.segment && home && !IsHome(d, model)) continue;
    const DeviceReport& report = At(d).report;
    const ScheduledModel::OnDevice& on = model.on[static_cast<size_t>(d)];
    if (on.place == Place::kRefused) {
      placements.push_back({report.name, Name(DeviceState::kOut), std::string(on.refusal.message()), false, ""});
    } else {
      placements.push_back({report.name, Name(report.state), report.detail, false, ""});
    }
  }
  return placements;
}

size_t Scheduler::WaitingRuns(const ScheduledModel& model) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return model.queue.size();
}

void Scheduler::Stop() {
  const std::lock_guard<std::mutex> lock(mutex_);
  stopping_ = true;
  for (const ModelPtr& model : models_) {
    while (!model->queue.empty()) {
      const std::shared_ptr<Call> call = model->queue.front().call;
      Settle(*model, call, absl::UnavailableError("the server is stopping"));
    }
  }
  eventfd_write(stop_.get(), 1);
  WakeAll();
  changed_.notify_all();
}

// Ends a call: no job of it waits any more.
void Scheduler::Settle(ScheduledModel& model, const std::shared_ptr<Call>& call, const absl::Status& status) {
  if (call->ended) return;
  call->ended = true;
  call->status = status;
  if (!status.ok()) {
    auto& queue = model.queue;
    queue.erase(std::remove_if(queue.begin(), queue.end(), [&](const Job& job) { return job.call == call; }),
                queue.end());
  }
  call->changed.notify_all();
}

// Returns whether a job for the model could start at once, were the device free.
bool Scheduler::IsReady(int d, const ScheduledModel& model) const {
  const Device& device = At(d);
  return device.phase == Phase::kRunning && device.report.state == DeviceState::kOk &&
         model.on[static_cast<size_t>(d)].place == Place::kLoaded;
}

// Returns whether the device is for the model's jobs: a device that is ready for it; for a segment one of its own.
//
// The segments of all models and the devices that are ready have each an order. Where the devices are enough, device i
// is for segment i modulo the number of segments, so that none is idle; else segment i is on device i modulo the number
// of devices.
bool Scheduler::IsHome(int d, const ScheduledModel& model) const {
  if (!IsReady(d, model)) return false;
  if (!model.segment) return true;
  int segments = 0;
  int segment = 0;
  for (const ModelPtr& other : models_) {
    if (!other->segment || other->removed) continue;
    if (other.get() == &model) segment = segments;
    ++segments;
  }
  int ready = 0;
  int device = 0;
  for (int i = 0; i < Count(); ++i) {
    if (!IsReady(i, model)) continue;
    if (i == d) device = ready;
    ++ready;
  }
  return ready >= segments ? device % std::max(segments, 1) == segment : segment % ready == device;
}

// Returns whether a job for the model is worth waiting: the device has it, or a worker starts for the first time, or
// for the first time after a loss, or to look for an absent device for the model's sake.
bool Scheduler::MayRun(int d, const ScheduledModel& model) const {
  const Device& device = At(d);
  const ScheduledModel::OnDevice& on = model.on[static_cast<size_t>(d)];
  if (on.place == Place::kRefused) return false;
  if (device.phase == Phase::kRunning || on.sought) return true;
  if (device.report.state == DeviceState::kAbsent) return device.losses == 0;
  return device.losses <= 1;
}

// Returns whether the device may still get the model, or has yet to say whether it was the model's fault.
bool Scheduler::IsUndecided(int d, const ScheduledModel& model) const {
  if (model.removed) return false;
  const Place place = model.on[static_cast<size_t>(d)].place;
  if (place == Place::kRefused) return At(d).phase == Phase::kStarting;
  return place == Place::kWaiting && MayRun(d, model);
}

bool Scheduler::IsDecided(const ScheduledModel& model) const {
  for (int d = 0; d < Count(); ++d) {
    if (IsUndecided(d, model)) return false;
  }
  return true;
}

bool Scheduler::IsHopeless(const ScheduledModel& model) const {
  for (int d = 0; d < Count(); ++d) {
    if (MayRun(d, model)) return false;
  }
  return true;
}

absl::Status Scheduler::WhyHopeless(const ScheduledModel& model) const {
  std::string text = absl::StrCat("no device can run ", model.title);
  for (int d = 0; d < Count(); ++d) {
    const DeviceReport& report = At(d).report;
    const ScheduledModel::OnDevice& on = model.on[static_cast<size_t>(d)];
    absl::StrAppend(&text, d == 0 ? ": " : "; ", report.name);
    if (on.place == Place::kRefused) {
      absl::StrAppend(&text, " does not load it (", std::string(on.refusal.message()), ")");
    } else {
      absl::StrAppend(&text, " is ", Name(report.state), " (", report.detail, ")");
    }
  }
  return absl::UnavailableError(text);
}

void Scheduler::FailHopeless() {
  for (const ModelPtr& model : models_) {
    if (model->queue.empty() || !IsHopeless(*model)) continue;
    const absl::Status why = WhyHopeless(*model);
    while (!model->queue.empty()) {
      const std::shared_ptr<Call> call = model->queue.front().call;
      Settle(*model, call, why);
    }
  }
}

void Scheduler::SetState(int d, DeviceState state, const std::string& detail) {
  DeviceReport& report = At(d).report;
  if (report.state == state && report.detail == detail) return;
  if (report.state != state) WakeAll();  // segments move
  report.state = state;
  report.detail = detail;
  log_.push_back(absl::StrCat("device ", report.name, " is ", Name(state), detail.empty() ? "" : ": ", detail));
}

absl::Duration Scheduler::Backoff(int losses, DeviceState state) const {
  const absl::Duration pause =
      options_.least_backoff * static_cast<double>(uint64_t{1} << std::clamp(losses - 1, 0, 30));
  const absl::Duration most = std::min(pause, options_.most_backoff);
  return state == DeviceState::kAbsent ? std::min(most, kMostAbsentPause) : most;
}

void Scheduler::Wake(int d) {
  At(d).idle = false;
  eventfd_write(At(d).wake.get(), 1);
}

void Scheduler::WakeAll() {
  for (int d = 0; d < Count(); ++d) Wake(d);
}

// Wakes one idle device for a job of the model, if possible one that has its parameters loaded.
void Scheduler::WakeFor(const ScheduledModel& model) {
  int best = -1;
  for (int d = 0; d < Count(); ++d) {
    if (!At(d).idle || !IsReady(d, model) || FirstFor(d, model) == model.queue.end()) continue;
    if (best < 0 || At(d).last_model == model.number) best = d;
  }
  if (best >= 0) Wake(best);
}

void Scheduler::FlushLog() {
  std::vector<std::string> lines;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    lines.swap(log_);
  }
  if (!options_.log) return;
  for (const std::string& line : lines) options_.log(line);
}

}  // namespace ems

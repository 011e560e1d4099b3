// What the scheduler decides, without processes: the test does each device's tasks by hand.
#include "devices/scheduler.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/resource.h>

#include <cerrno>
#include <future>
#include <system_error>
#include <thread>

#include "devices/run_times.h"

namespace ems {
namespace {

using Kind = Scheduler::Task::Kind;
using testing::HasSubstr;

TensorMap Answer(int value) {
  TensorMap outputs{{"y", MakeTensor(DataType::kInt32, {1})}};
  outputs["y"].data<int32_t>()[0] = value;
  return outputs;
}

WorkerReply Good(int value = 0) { return {absl::OkStatus(), Answer(value), 0, 1000}; }
WorkerReply Bad(absl::Status status) { return {std::move(status), {}, 0, 0}; }

class SchedulerTest : public testing::Test {
 protected:
  SchedulerTest() {
    options_.names = {"usb:0", "usb:1"};
    options_.delegate = "libedgetpu.so.1";
    options_.queue = 3;
    options_.least_backoff = absl::ZeroDuration();
    options_.most_backoff = absl::ZeroDuration();
    options_.log = [this](const std::string& line) { log_.push_back(line); };
  }
  ~SchedulerTest() override {
    if (scheduler_) scheduler_->Stop();
    for (std::thread& thread : threads_) thread.join();
  }
  Scheduler& scheduler() {
    if (!scheduler_) scheduler_ = std::make_unique<Scheduler>(options_);
    return *scheduler_;
  }

  // Calls in a thread of its own, as gRPC does.
  template <typename Function>
  auto InThread(Function function) {
    std::packaged_task<decltype(function())()> task(function);
    auto result = task.get_future();
    threads_.emplace_back(std::move(task));
    return result;
  }

  // Returns the next task of the device that is not to wait.
  Scheduler::Task Await(int d) {
    while (true) {
      Scheduler::Task task = scheduler().Next(d);
      if (task.kind != Kind::kIdle) return task;
      std::this_thread::yield();
    }
  }
  bool IsIdle(int d) { return scheduler().Next(d).kind == Kind::kIdle; }

  using Model = std::shared_ptr<ScheduledModel>;
  std::future<absl::StatusOr<Model>> Add(const std::string& title, bool segment = false) {
    return InThread([&it = scheduler(), title, segment, trial = trial_] {
      return it.Add(title, {}, RunModel{0, trial, {}}, segment);
    });
  }
  void StartAndLoad(int d, const WorkerReply& reply) {
    ASSERT_EQ(Await(d).kind, Kind::kStart);
    scheduler().Started(d, 100 + d);
    Load(d, reply);
  }
  void Load(int d, const WorkerReply& reply) {
    const Scheduler::Task task = Await(d);
    ASSERT_EQ(task.kind, Kind::kLoad);
    scheduler().Loaded(d, *task.model, reply);
  }
  // Adds a model that every device loads.
  Model Everywhere(const std::string& title, bool started = false, bool segment = false) {
    auto added = Add(title, segment);
    for (int d = 0; d < static_cast<int>(options_.names.size()); ++d) {
      started ? Load(d, Good()) : StartAndLoad(d, Good());
      EXPECT_TRUE(IsIdle(d));
    }
    return *added.get();
  }
  std::future<absl::StatusOr<std::vector<TensorMap>>> Run(const Model& model, size_t rows = 1,
                                                          absl::Duration time = absl::Hours(1)) {
    const auto result = std::make_shared<std::future<absl::StatusOr<std::vector<TensorMap>>>>();
    const Instant deadline = FromNow(time);
    const size_t before = Waiting(model);
    auto future = InThread([this, model, rows, deadline] {
      return scheduler().Run(model, std::vector<std::string>(rows, "row"), deadline);
    });
    while (Waiting(model) == before && future.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      std::this_thread::yield();
    }
    return future;
  }
  // Adds segments that every device loads, and makes the devices ask for work.
  std::vector<Model> Segments(int count) {
    std::vector<Model> segments;
    for (int i = 0; i < count; ++i) segments.push_back(Everywhere("s" + std::to_string(i), i > 0, true));
    return segments;
  }
  // Returns the names of the devices that a segment's jobs go to.
  std::vector<std::string> Homes(const Model& segment) {
    std::vector<std::string> names;
    for (const Placement& placement : scheduler().Placements(*segment)) names.push_back(placement.device);
    return names;
  }
  size_t Waiting(const Model& model) { return scheduler().WaitingRuns(*model); }
  void Finish(int d, Scheduler::Task task, absl::StatusOr<WorkerReply> reply) {
    ASSERT_EQ(task.kind, Kind::kRun);
    scheduler().Ran(d, *task.model, std::move(task.job), std::move(reply));
  }
  DeviceReport Report(int d) { return scheduler().Report()[static_cast<size_t>(d)]; }

  Devices::Options options_;
  std::string trial_ = "s";  // the signature of models' trials; empty: they have none
  std::vector<std::string> log_;
  std::unique_ptr<Scheduler> scheduler_;
  std::vector<std::thread> threads_;
};

TEST_F(SchedulerTest, StartsNothingBeforeThereIsAModel) {
  EXPECT_TRUE(IsIdle(0));
  EXPECT_EQ(Report(0).state, DeviceState::kAbsent);
  EXPECT_EQ(Report(0).detail, "no model uses it");
}

TEST_F(SchedulerTest, GivesRowsToTheDevicesAndJoinsThemInOrder) {
  const Model model = Everywhere("m version 1");
  EXPECT_EQ(Report(1).state, DeviceState::kOk);
  auto result = Run(model, 2);
  Scheduler::Task first = Await(0);
  Scheduler::Task second = Await(1);
  EXPECT_EQ(first.job.row, 0);
  Finish(1, std::move(second), Good(11));
  Finish(0, std::move(first), Good(10));
  const auto rows = result.get();
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ((*rows)[0].at("y").bytes, Answer(10)["y"].bytes);
  EXPECT_EQ((*rows)[1].at("y").bytes, Answer(11)["y"].bytes);
}

TEST_F(SchedulerTest, RetriesAFailedJobOnAnotherDeviceAndTriesTheSuspect) {
  const Model model = Everywhere("m version 1");
  auto result = Run(model);
  Finish(0, Await(0), Bad(absl::InternalError("transfer failed")));
  EXPECT_EQ(Report(0).state, DeviceState::kSuspect);
  const Scheduler::Task trial = Await(0);
  EXPECT_EQ(trial.kind, Kind::kTry);
  scheduler().TrialPassed(0);
  EXPECT_EQ(Report(0).state, DeviceState::kOk);
  EXPECT_TRUE(IsIdle(0));  // the job is not for the device on which it failed
  Finish(1, Await(1), Good(7));
  EXPECT_EQ((*result.get())[0].at("y").bytes, Answer(7)["y"].bytes);
  EXPECT_THAT(log_, testing::ElementsAre("device usb:0 is ok", "device usb:1 is ok",
                                         "device usb:0 is suspect: transfer failed", "device usb:0 is ok"));
}

TEST_F(SchedulerTest, TheTrialIsOfTheModelThatFailed) {
  const Model first = Everywhere("a version 1");
  const Model second = Everywhere("b version 1", true);
  for (const Model& model : {first, second}) {
    auto result = Run(model);
    Finish(0, Await(0), Bad(absl::InternalError("transfer failed")));
    const Scheduler::Task trial = Await(0);
    ASSERT_EQ(trial.kind, Kind::kTry);
    EXPECT_EQ(trial.model, model);
    scheduler().TrialPassed(0);
    Finish(1, Await(1), Good());
  }
}

TEST_F(SchedulerTest, ASuspectDeviceTakesNoJobs) {
  const Model model = Everywhere("m version 1");
  auto first = Run(model);
  Finish(0, Await(0), Bad(absl::InternalError("transfer failed")));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Await(0).kind, Kind::kTry);
  scheduler().Lost(0, DeviceState::kOut, "transfer failed");
  EXPECT_EQ(Await(0).kind, Kind::kStart);
  Finish(1, Await(1), Good());
  EXPECT_TRUE(first.get().ok());
}

TEST_F(SchedulerTest, FailsAJobAfterItsSecondFailure) {
  const Model model = Everywhere("m version 1");
  auto result = Run(model);
  Finish(0, Await(0), Bad(absl::InternalError("no")));
  Finish(1, Await(1), absl::UnavailableError("the worker was killed"));
  EXPECT_EQ(result.get().status(),
            absl::UnavailableError("m version 1: the run failed on usb:0 (no) and on usb:1 (the worker was killed)"));
}

TEST_F(SchedulerTest, DoesNotRetryWhatTheModelRefuses) {
  const Model model = Everywhere("m version 1");
  auto result = Run(model, 2);
  Finish(0, Await(0), Bad(absl::InvalidArgumentError("out of range")));
  EXPECT_EQ(result.get().status(), absl::InvalidArgumentError("out of range"));
  EXPECT_EQ(Report(0).state, DeviceState::kOk);
  EXPECT_TRUE(IsIdle(1));  // the other row is of no use any more
}

TEST_F(SchedulerTest, DoesNotRetryWhatNobodyWaitsFor) {
  const Model model = Everywhere("m version 1");
  auto result = Run(model, 2);
  Scheduler::Task other = Await(1);
  Finish(0, Await(0), Bad(absl::InvalidArgumentError("out of range")));
  EXPECT_FALSE(result.get().ok());
  Finish(1, std::move(other), Bad(absl::InternalError("transfer failed")));
  EXPECT_EQ(Waiting(model), 0);
}

TEST_F(SchedulerTest, WithOneDeviceTheJobWaitsForItsWorker) {
  options_.names = {"usb:0"};
  const Model model = Everywhere("m version 1");
  auto result = Run(model);
  Finish(0, Await(0), absl::UnavailableError("killed"));
  scheduler().Lost(0, DeviceState::kOut, "killed");
  StartAndLoad(0, Good());
  Finish(0, Await(0), Good(3));
  EXPECT_TRUE(result.get().ok());
  EXPECT_EQ(Report(0).restarts, 1);
}

TEST_F(SchedulerTest, NamesTheDevicesAndReasonsWhereAllAreGone) {
  const Model model = Everywhere("m version 1");
  auto waiting = Run(model);
  for (int d = 0; d < 2; ++d) {
    scheduler().Lost(d, DeviceState::kOut, "killed");
    ASSERT_EQ(Await(d).kind, Kind::kStart);
    scheduler().Started(d, 1);
    Load(d, Bad(absl::UnavailableError("there is no device")));
    const Scheduler::Task task = Await(d);
    ASSERT_EQ(task.kind, Kind::kGiveUp);
    scheduler().Lost(d, task.state, task.reason);
  }
  EXPECT_EQ(waiting.get().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Run(model).get().status(), absl::UnavailableError("no device can run m version 1: usb:0 is absent (there "
                                                              "is no device); usb:1 is absent (there is no device)"));
  StartAndLoad(1, Good());  // it is back
  EXPECT_TRUE(IsIdle(1));
  auto again = Run(model);
  Finish(1, Await(1), Good());
  EXPECT_TRUE(again.get().ok());
}

// The refusal may be the device's fault: the reason is not the model's before the device is given up.
TEST_F(SchedulerTest, AddWaitsUntilADeviceThatRefusesIsGivenUp) {
  options_.names = {"usb:0"};
  auto added = Add("m version 1");
  StartAndLoad(0, Bad(absl::UnavailableError("there is no device")));
  EXPECT_EQ(added.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  const Scheduler::Task task = Await(0);
  ASSERT_EQ(task.kind, Kind::kGiveUp);
  scheduler().Lost(0, task.state, task.reason);
  EXPECT_THAT(std::string(added.get().status().message()), HasSubstr("usb:0 is absent (there is no device)"));
}

// What one model did to a device says nothing of the next.
TEST_F(SchedulerTest, AfterTheLastModelADeviceStartsAnew) {
  options_.names = {"usb:0"};
  const Model model = Everywhere("m version 1");
  for (int i = 0; i < 2; ++i) scheduler().Lost(0, DeviceState::kOut, "killed");
  EXPECT_FALSE(Run(model).get().ok());
  scheduler().Remove(model);
  auto added = Add("n version 1");
  StartAndLoad(0, Good());
  EXPECT_TRUE(IsIdle(0));
  EXPECT_TRUE(added.get().ok());
}

TEST_F(SchedulerTest, AStateIsLoggedOnce) {
  options_.names = {"usb:0"};
  const Model model = Everywhere("m version 1");
  for (int i = 0; i < 3; ++i) scheduler().Lost(0, DeviceState::kOut, "killed");
  EXPECT_THAT(log_, testing::ElementsAre("device usb:0 is ok", "device usb:0 is out: killed"));
}

TEST_F(SchedulerTest, NoJobWaitsForADeviceThatIsAbsent) {
  options_.names = {"usb:0"};
  options_.least_backoff = options_.most_backoff = absl::Hours(1);
  const Model model = Everywhere("m version 1");
  scheduler().Lost(0, DeviceState::kAbsent, "unplugged");
  EXPECT_EQ(Run(model).get().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SchedulerTest, AddTellsWhyNoDeviceCouldLoad) {
  auto added = Add("m version 1");
  StartAndLoad(0, Bad(absl::InvalidArgumentError("bad model")));
  EXPECT_TRUE(IsIdle(0));
  ASSERT_EQ(Await(1).kind, Kind::kStart);
  scheduler().Lost(1, DeviceState::kOut, "cannot start");
  ASSERT_EQ(Await(1).kind, Kind::kStart);
  scheduler().Lost(1, DeviceState::kOut, "cannot start");
  EXPECT_EQ(added.get().status(),
            absl::UnavailableError("no device can run m version 1: usb:0 does not load it (bad model); "
                                   "usb:1 is out (cannot start)"));
  EXPECT_TRUE(IsIdle(1));
}

// A load that hangs must not stop the other models on all devices.
TEST_F(SchedulerTest, ADeviceTriesANewModelWhileTheOthersServe) {
  const Model model = Everywhere("m version 1");
  auto added = Add("n version 1");
  Scheduler::Task load = Await(0);
  ASSERT_EQ(load.kind, Kind::kLoad);
  auto result = Run(model);
  Finish(1, Await(1), Good());
  EXPECT_TRUE(IsIdle(1));
  scheduler().Loaded(0, *load.model, Good());
  pollfd wake{scheduler().wake_fd(1), POLLIN, 0};
  EXPECT_EQ(poll(&wake, 1, 0), 1);
  Load(1, Good());
  EXPECT_TRUE(IsIdle(1));
  EXPECT_TRUE(result.get().ok() && added.get().ok());
}

// The time to load is that of a device where none serves yet.
TEST_F(SchedulerTest, DevicesThatServeNothingLoadAtOnce) {
  auto added = Add("m version 1");
  std::vector<Scheduler::Task> loads;
  for (int d = 0; d < 2; ++d) {
    ASSERT_EQ(Await(d).kind, Kind::kStart);
    scheduler().Started(d, 1);
    loads.push_back(Await(d));
    EXPECT_EQ(loads.back().kind, Kind::kLoad);
  }
  for (int d = 0; d < 2; ++d) scheduler().Loaded(d, *loads[0].model, Good());
  for (int d = 0; d < 2; ++d) EXPECT_TRUE(IsIdle(d));
  EXPECT_TRUE(added.get().ok());
}

TEST_F(SchedulerTest, AModelThatOneDeviceRefusesIsTriedOnTheNext) {
  const Model model = Everywhere("m version 1");
  auto added = Add("n version 1");
  const Scheduler::Task load = Await(0);
  EXPECT_TRUE(IsIdle(1));
  scheduler().Loaded(0, *load.model, Bad(absl::InvalidArgumentError("too large")));
  Load(1, Good());
  EXPECT_TRUE(added.get().ok());
}

// Each device is lost over it twice, one after the other; meanwhile the other one serves.
TEST_F(SchedulerTest, AModelWhoseLoadsHangIsGivenUp) {
  const Model model = Everywhere("m version 1");
  auto added = Add("n version 1");
  for (int i = 0; i < 4; ++i) {
    const int tries = i % 2;
    const int serves = 1 - tries;
    ASSERT_EQ(Await(tries).kind, Kind::kLoad);
    if (i > 0) StartAndLoad(serves, Good());  // after its own loss
    auto result = Run(model);
    Finish(serves, Await(serves), Good());
    EXPECT_TRUE(IsIdle(serves));
    EXPECT_TRUE(result.get().ok());
    scheduler().Lost(tries, DeviceState::kOut, "the worker hung");
  }
  EXPECT_EQ(added.get().status(), absl::UnavailableError("no device can run n version 1: usb:0 does not load it (the "
                                                         "worker hung); usb:1 does not load it (the worker hung)"));
}

TEST_F(SchedulerTest, AModelThatOneDeviceRefusesRunsOnTheOther) {
  auto added = Add("m version 1");
  StartAndLoad(0, Good());
  StartAndLoad(1, Bad(absl::InvalidArgumentError("too large")));
  EXPECT_TRUE(IsIdle(1));
  const Model model = *added.get();
  auto result = Run(model);
  EXPECT_TRUE(IsIdle(1));
  Finish(0, Await(0), Good());
  EXPECT_TRUE(result.get().ok());
  const std::vector<Placement> placements = scheduler().Placements(*model);
  EXPECT_EQ(placements[0].state, "ok");
  EXPECT_EQ(placements[1].detail, "too large");
}

TEST_F(SchedulerTest, AnotherModelsFailedLoadMakesADeviceSuspect) {
  options_.names = {"usb:0"};
  const Model model = Everywhere("m version 1");
  auto added = Add("n version 1");
  Load(0, Bad(absl::InternalError("the first run failed")));
  EXPECT_FALSE(added.get().ok());
  EXPECT_EQ(Report(0).state, DeviceState::kSuspect);
  const Scheduler::Task trial = Await(0);
  EXPECT_EQ(trial.kind, Kind::kTry);
  EXPECT_EQ(trial.model, model);
}

TEST_F(SchedulerTest, RemoveWaitsForTheWorkers) {
  options_.names = {"usb:0"};
  const Model model = Everywhere("m version 1");
  auto removed = InThread([&] {
    scheduler().Remove(model);
    return true;
  });
  const Scheduler::Task task = Await(0);
  ASSERT_EQ(task.kind, Kind::kUnload);
  EXPECT_EQ(removed.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  scheduler().Unloaded(0, *task.model);
  EXPECT_TRUE(removed.get());
}

TEST_F(SchedulerTest, RefusesJobsBeyondTheBoundUnlessNothingWaits) {
  const Model model = Everywhere("m version 1");
  auto two = Run(model, 2);
  auto third = Run(model);  // the bound is 3
  EXPECT_EQ(Run(model).get().status().code(), absl::StatusCode::kResourceExhausted);
  for (int row = 0; row < 3; ++row) Finish(row % 2, Await(row % 2), Good());
  auto large = Run(model, 5);
  const absl::Status refused = Run(model).get().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("5 runs wait"));
  for (int row = 0; row < 5; ++row) Finish(row % 2, Await(row % 2), Good());
  EXPECT_EQ(large.get()->size(), 5);
}

TEST_F(SchedulerTest, WhatWasAdmittedIsNotRefused) {
  const Model model = Everywhere("m version 1");
  auto three = Run(model, 3);  // the bound
  auto next = InThread([&] { return scheduler().Run(model, {"row"}, FromNow(absl::Hours(1)), /*admitted=*/true); });
  while (Waiting(model) < 4) std::this_thread::yield();
  for (int row = 0; row < 4; ++row) Finish(row % 2, Await(row % 2), Good());
  EXPECT_TRUE(three.get().ok() && next.get().ok());
}

TEST_F(SchedulerTest, DoesNotRunWhatIsLate) {
  const Model model = Everywhere("m version 1");
  EXPECT_EQ(Run(model, 1, absl::Milliseconds(1)).get().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(IsIdle(0));
}

// The caller has not noticed yet: the device does not run what is of no use any more.
TEST_F(SchedulerTest, PassesOverAJobWhoseDeadlineHasPassed) {
  options_.names = {"usb:0"};
  Instant now = Clock::now();
  options_.now = [&now] { return now; };
  const Model model = Everywhere("m version 1");
  auto late = Run(model);
  auto later = Run(model, 1, absl::Hours(9));
  now += std::chrono::hours(2);
  Finish(0, Await(0), Good(5));
  EXPECT_EQ((*later.get())[0].at("y").bytes, Answer(5)["y"].bytes);
  EXPECT_EQ(late.get().status(), absl::DeadlineExceededError("m version 1: no device was free in time"));
}

// It has waited already.
TEST_F(SchedulerTest, ARetryGoesBeforeTheOthers) {
  const Model model = Everywhere("m version 1");
  auto failed = Run(model);
  Scheduler::Task task = Await(0);
  auto other = Run(model);
  Finish(0, std::move(task), Bad(absl::InternalError("no")));
  task = Await(1);
  EXPECT_EQ(task.job.failed_on, 0);
  Finish(1, std::move(task), Good());
  Finish(1, Await(1), Good());
  EXPECT_TRUE(failed.get().ok() && other.get().ok());
}

// The last device that could run what waits loads the model no more after its restart.
TEST_F(SchedulerTest, WhatWaitsEndsWithTheLastDeviceThatLoadsTheModel) {
  options_.names = {"usb:0"};
  const Model model = Everywhere("m version 1");
  scheduler().Lost(0, DeviceState::kOut, "killed");
  auto waiting = Run(model);
  StartAndLoad(0, Bad(absl::InvalidArgumentError("the file is cut")));
  EXPECT_THAT(std::string(waiting.get().status().message()), HasSubstr("usb:0 does not load it (the file is cut)"));
}

TEST_F(SchedulerTest, RunsAModelsJobsTogetherUpToABound) {
  options_.names = {"usb:0"};
  options_.queue = 100;
  const Model a = Everywhere("a version 1");
  const Model b = Everywhere("b version 1", true);
  auto from_b = Run(b);
  Finish(0, Await(0), Good());
  auto from_a = Run(a);
  auto more_from_b = Run(b, 20);
  int in_row = 0;
  Scheduler::Task task = Await(0);
  for (; task.model == b; task = Await(0)) {
    Finish(0, std::move(task), Good());
    ++in_row;
  }
  EXPECT_EQ(in_row, 15);  // 16 with the first
  EXPECT_EQ(task.model, a);
  Finish(0, std::move(task), Good());
  for (; in_row < 20; ++in_row) Finish(0, Await(0), Good());
  EXPECT_TRUE(more_from_b.get().ok());
}

// The bound in time: jobs of 90 ms each, so that 16 in a row would keep the other model waiting for 1.4 s.
TEST_F(SchedulerTest, AModelsTurnEndsAfterItsTime) {
  options_.names = {"usb:0"};
  options_.queue = 100;
  Instant now = Clock::now();
  options_.now = [&now] { return now; };
  const Model a = Everywhere("a version 1");
  const Model b = Everywhere("b version 1", true);
  auto from_b = Run(b, 20);
  now += std::chrono::milliseconds(1);
  auto from_a = Run(a, 20);
  std::vector<std::string> order;
  for (int i = 0; i < 9; ++i) {
    Scheduler::Task task = Await(0);
    order.push_back(task.model->title.substr(0, 1));
    now += std::chrono::milliseconds(90);
    Finish(0, std::move(task), Good());
  }
  EXPECT_THAT(order, testing::ElementsAre("b", "b", "b", "a", "a", "a", "b", "b", "b"));
}

TEST_F(SchedulerTest, ATurnOfOneJobIsFirstInFirstOut) {
  options_.names = {"usb:0"};
  options_.most_in_row = 1;
  const Model a = Everywhere("a version 1");
  const Model b = Everywhere("b version 1", true);
  auto first = Run(a);
  auto second = Run(b);
  auto third = Run(a);
  auto fourth = Run(b);
  for (const Model& model : {a, b, a, b}) {
    Scheduler::Task task = Await(0);
    EXPECT_EQ(task.model, model);
    Finish(0, std::move(task), Good());
  }
}

// After a turn the model comes whose job is the oldest: a job waits for those before it, and for one turn at most.
TEST_F(SchedulerTest, TheModelThatWaitsLongestComesNext) {
  options_.names = {"usb:0"};
  options_.queue = 100;
  options_.most_in_row = 2;
  Instant now = Clock::now();
  options_.now = [&now] { return now += std::chrono::microseconds(1); };
  const Model a = Everywhere("a");
  const Model b = Everywhere("b", true);
  const Model c = Everywhere("c", true);
  auto from_a = Run(a, 6);
  auto from_c = Run(c, 3);
  auto from_b = Run(b, 3);
  std::string order;
  for (int i = 0; i < 12; ++i) {
    Scheduler::Task task = Await(0);
    order += task.model->title;
    Finish(0, std::move(task), Good());
  }
  EXPECT_EQ(order, "aaccaacaabbb");
}

TEST_F(SchedulerTest, EachSegmentHasADeviceOfItsOwn) {
  const std::vector<Model> segments = Segments(2);
  auto of_first = Run(segments[0], 2);
  auto of_second = Run(segments[1], 2);
  for (int i = 0; i < 2; ++i) {
    for (const int d : {0, 1}) {
      Scheduler::Task task = Await(d);
      EXPECT_EQ(task.model, segments[static_cast<size_t>(d)]);
      Finish(d, std::move(task), Good());
    }
  }
  EXPECT_TRUE(IsIdle(0) && IsIdle(1));
  auto again = Run(segments[1]);
  EXPECT_TRUE(IsIdle(0));  // its own segment's parameters stay
  Finish(1, Await(1), Good());
}

TEST_F(SchedulerTest, SegmentsShareOutTheDevices) {
  options_.names = {"usb:0", "usb:1", "pci:0"};
  const std::vector<Model> two = Segments(2);
  EXPECT_THAT(Homes(two[0]), testing::ElementsAre("usb:0", "pci:0"));
  EXPECT_THAT(Homes(two[1]), testing::ElementsAre("usb:1"));
  std::vector<Model> five = two;
  for (int i = 0; i < 3; ++i) five.push_back(Everywhere("t", true, true));
  for (size_t i = 0; i < 5; ++i) EXPECT_THAT(Homes(five[i]), testing::ElementsAre(options_.names[i % 3])) << i;
  // Those that go count no more, even before they are unloaded.
  for (size_t i = 2; i < 5; ++i) {
    InThread([this, model = five[i]] {
      scheduler().Remove(model);
      return 0;
    });
  }
  while (Homes(two[0]).size() != 2) std::this_thread::yield();
  EXPECT_THAT(Homes(two[0]), testing::ElementsAre("usb:0", "pci:0"));
}

TEST_F(SchedulerTest, ASegmentMovesWhereItsDeviceIsLost) {
  const std::vector<Model> segments = Segments(2);
  auto before = Run(segments[0]);
  Scheduler::Task task = Await(0);
  auto after = Run(segments[0]);
  EXPECT_TRUE(IsIdle(1));
  scheduler().Ran(0, *task.model, std::move(task.job), absl::UnavailableError("killed"));
  scheduler().Lost(0, DeviceState::kOut, "killed");
  for (int i = 0; i < 2; ++i) Finish(1, Await(1), Good());
  EXPECT_TRUE(before.get().ok() && after.get().ok());
  EXPECT_THAT(Homes(segments[0]), testing::ElementsAre("usb:1"));
  ASSERT_EQ(Await(0).kind, Kind::kStart);
  scheduler().Started(0, 1);
  for (int i = 0; i < 2; ++i) Load(0, Good());
  EXPECT_TRUE(IsIdle(0));
  EXPECT_THAT(Homes(segments[0]), testing::ElementsAre("usb:0"));
}

TEST_F(SchedulerTest, AFailedJobOfASegmentGoesToAnotherDeviceOnce) {
  const std::vector<Model> segments = Segments(2);
  auto result = Run(segments[0]);
  Finish(0, Await(0), Bad(absl::InternalError("no")));
  EXPECT_EQ(Await(0).kind, Kind::kTry);
  scheduler().TrialPassed(0);
  EXPECT_TRUE(IsIdle(0));  // its segment again, but not this job
  Finish(1, Await(1), Bad(absl::InternalError("neither")));
  EXPECT_THAT(std::string(result.get().status().message()), HasSubstr("failed on usb:0 (no) and on usb:1 (neither)"));
}

TEST_F(SchedulerTest, AWaitingSegmentWakesTheDeviceThatItMovesTo) {
  const std::vector<Model> segments = Segments(2);
  auto first = Run(segments[0]);
  Scheduler::Task task = Await(0);
  auto second = Run(segments[0]);
  EXPECT_TRUE(IsIdle(1));
  Finish(0, std::move(task), Bad(absl::InternalError("no")));
  pollfd wake{scheduler().wake_fd(1), POLLIN, 0};
  EXPECT_EQ(poll(&wake, 1, 0), 1);
  for (int i = 0; i < 2; ++i) Finish(1, Await(1), Good());
}

// The device to which a segment moves may be idle, whatever made the other one suspect.
TEST_F(SchedulerTest, AFailedLoadMovesTheSegmentsOfTheDevice) {
  const std::vector<Model> segments = Segments(2);
  auto waiting = Run(segments[0]);
  EXPECT_TRUE(IsIdle(1));
  auto added = Add("n version 1");
  Load(1, Good());
  EXPECT_TRUE(IsIdle(1));
  Load(0, Bad(absl::InternalError("the first run failed")));
  pollfd wake{scheduler().wake_fd(1), POLLIN, 0};
  EXPECT_EQ(poll(&wake, 1, 0), 1);
  Finish(1, Await(1), Good());
  EXPECT_TRUE(waiting.get().ok() && added.get().ok());
}

TEST_F(SchedulerTest, TheBoundOfWaitingJobsIsNotForSegments) {
  const std::vector<Model> segments = Segments(2);
  auto some = Run(segments[1], 5);
  auto more = Run(segments[1], 5);
  EXPECT_EQ(Waiting(segments[1]), 10);
}

TEST_F(SchedulerTest, TheHangLimitFollowsTheModelsRuns) {
  const Model model = Everywhere("m version 1");
  auto result = Run(model);
  Scheduler::Task task = Await(0);
  EXPECT_EQ(task.limit, options_.least_hang);
  WorkerReply slow = Good();
  slow.run_micros = 1'000'000;
  Finish(0, std::move(task), slow);
  auto again = Run(model);
  task = Await(0);
  EXPECT_GE(task.limit, absl::Seconds(10));
  EXPECT_LE(task.limit, absl::Seconds(12));
  Finish(0, std::move(task), Good());
}

// A request of many rows to a model of any batch size takes long, and is no hang.
TEST_F(SchedulerTest, ARunOfAnySizeHasAMinute) {
  trial_ = "";
  const Model model = Everywhere("m version 1");
  auto result = Run(model);
  Scheduler::Task task = Await(0);
  EXPECT_EQ(task.limit, absl::Minutes(1));
  WorkerReply slow = Good();
  slow.run_micros = 20'000'000;
  Finish(0, std::move(task), slow);
  auto again = Run(model);
  task = Await(0);
  EXPECT_GE(task.limit, absl::Seconds(200));
  Finish(0, std::move(task), Good());
}

TEST_F(SchedulerTest, AModelThatIsUnloadedIsNoTrial) {
  const Model first = Everywhere("a version 1");
  const Model second = Everywhere("b version 1", true);
  auto removed = InThread([&] {
    scheduler().Remove(second);
    return true;
  });
  Scheduler::Task task = Await(0);
  ASSERT_EQ(task.kind, Kind::kUnload);
  scheduler().Unloaded(0, *task.model);
  auto added = Add("c version 1");
  Load(0, Bad(absl::InternalError("the first run failed")));
  task = Await(0);
  ASSERT_EQ(task.kind, Kind::kTry);
  EXPECT_EQ(task.model, first);
  task = Await(1);
  ASSERT_EQ(task.kind, Kind::kUnload);
  scheduler().Unloaded(1, *task.model);
  EXPECT_TRUE(removed.get());
}

TEST_F(SchedulerTest, PausesBetweenStarts) {
  options_.names = {"usb:0"};
  options_.least_backoff = absl::Seconds(10);
  options_.most_backoff = absl::Seconds(35);
  const Model model = Everywhere("m version 1");
  std::vector<int64_t> pauses;
  for (int i = 0; i < 4; ++i) {
    scheduler().Lost(0, DeviceState::kOut, "killed");
    pauses.push_back(std::chrono::round<std::chrono::seconds>(scheduler().Next(0).until - Clock::now()).count());
  }
  EXPECT_THAT(pauses, testing::ElementsAre(10, 20, 35, 35));
  // An absent device is looked for more often: people wait for the one that they plug in.
  scheduler().Lost(0, DeviceState::kAbsent, "unplugged");
  EXPECT_LE(scheduler().Next(0).until - Clock::now(), std::chrono::seconds(5));
}

TEST_F(SchedulerTest, AWorkerThatLastedOrRanWellEndsTheSeriesOfPauses) {
  options_.names = {"usb:0"};
  options_.least_backoff = absl::Seconds(10);
  options_.most_backoff = absl::Seconds(100);
  Instant now = Clock::now();
  options_.now = [&now] { return now; };
  const Model model = Everywhere("m version 1");
  const auto lose = [&] {
    scheduler().Lost(0, DeviceState::kOut, "killed");
    const auto pause = scheduler().Next(0).until - now;
    now += pause;
    StartAndLoad(0, Good());
    EXPECT_TRUE(IsIdle(0));
    return std::chrono::round<std::chrono::seconds>(pause).count();
  };
  EXPECT_EQ(lose(), 10);
  EXPECT_EQ(lose(), 20);
  now += std::chrono::seconds(101);
  EXPECT_EQ(lose(), 10);
  EXPECT_EQ(lose(), 20);
  auto result = Run(model);
  Finish(0, Await(0), Good());
  EXPECT_EQ(lose(), 10);
}

TEST_F(SchedulerTest, ANewModelLooksForAbsentDevicesAtOnce) {
  options_.least_backoff = options_.most_backoff = absl::Hours(1);
  const Model model = Everywhere("m version 1");
  for (int d = 0; d < 2; ++d) scheduler().Lost(d, d == 0 ? DeviceState::kAbsent : DeviceState::kOut, "gone");
  EXPECT_TRUE(IsIdle(0));
  auto added = Add("n version 1");
  EXPECT_EQ(Await(0).kind, Kind::kStart);
  EXPECT_TRUE(IsIdle(1));  // what broke is left alone for its time
}

// Its clients have the CPU meanwhile.
TEST_F(SchedulerTest, WhileADeviceIsLookedForTheOtherModelsDoNotWait) {
  options_.names = {"usb:0"};
  options_.least_backoff = options_.most_backoff = absl::Hours(1);
  const Model model = Everywhere("m version 1");
  scheduler().Lost(0, DeviceState::kAbsent, "gone");
  auto added = Add("n version 1");
  ASSERT_EQ(Await(0).kind, Kind::kStart);
  EXPECT_EQ(Run(model, 1, absl::Milliseconds(50)).get().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(added.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  auto second = Add("o version 1");
  pollfd wake{scheduler().wake_fd(0), POLLIN, 0};
  EXPECT_EQ(poll(&wake, 1, -1), 1);  // it has come
  scheduler().Started(0, 1);
  for (int i = 0; i < 3; ++i) Load(0, Bad(absl::UnavailableError("there is no device")));
  const Scheduler::Task task = Await(0);
  ASSERT_EQ(task.kind, Kind::kGiveUp);
  scheduler().Lost(0, task.state, task.reason);
  EXPECT_THAT(std::string(added.get().status().message()), HasSubstr("usb:0 is absent (there is no device)"));
  EXPECT_THAT(std::string(second.get().status().message()), HasSubstr("usb:0 is absent (there is no device)"));
}

// As many files as the process may open.
class FileLimit {
 public:
  explicit FileLimit(rlim_t files) {
    // The sanitizer's check of a type needs descriptors at the first time.
    (void)std::generic_category().message(EMFILE);
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit now{files, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &now);
  }
  ~FileLimit() { setrlimit(RLIMIT_NOFILE, &before_); }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

 private:
  rlimit before_{};
};

TEST_F(SchedulerTest, SaysThatTheProcessMayOpenNoMoreFiles) {
  // Without a call of the fixture meanwhile: the sanitizer's check of its type needs a descriptor.
  std::unique_ptr<Scheduler>& made = scheduler_;
  const Devices::Options& options = options_;
  {
    const FileLimit none(0);
    made = std::make_unique<Scheduler>(options);
  }
  EXPECT_EQ(Add("m version 1").get().status(),
            absl::UnavailableError("cannot make an event descriptor: Too many open files"));
  EXPECT_TRUE(scheduler().Report().empty());
}

TEST_F(SchedulerTest, SaysThatADeviceCannotBeAdded) {
  Scheduler& made = scheduler();
  {
    const FileLimit none(0);
    EXPECT_FALSE(made.AddDevice("pci:0"));
  }
  EXPECT_THAT(log_,
              testing::ElementsAre("device pci:0 is not used: cannot make an event descriptor: Too many open files"));
  EXPECT_EQ(scheduler().Report().size(), 2);
  EXPECT_TRUE(scheduler().AddDevice("pci:0"));
}

TEST_F(SchedulerTest, StopEndsWhatWaits) {
  const Model model = Everywhere("m version 1");
  auto result = Run(model);
  scheduler().Stop();
  EXPECT_EQ(result.get().status(), absl::UnavailableError("the server is stopping"));
  EXPECT_EQ(Await(0).kind, Kind::kStop);
  pollfd stop{scheduler().stop_fd(), POLLIN, 0};  // a run that hangs is cut off by it
  EXPECT_EQ(poll(&stop, 1, 0), 1);
}

TEST(RunTimes, GivesThe99thPercentile) {
  RunTimes times;
  EXPECT_EQ(times.Percentile99(), absl::ZeroDuration());
  for (int i = 0; i < 198; ++i) times.Add(absl::Milliseconds(3));
  times.Add(absl::Seconds(5));
  times.Add(absl::Seconds(5));
  EXPECT_GE(times.Percentile99(), absl::Milliseconds(3));
  EXPECT_LE(times.Percentile99(), absl::Microseconds(3600));
  times.Add(absl::Seconds(5));
  EXPECT_GE(times.Percentile99(), absl::Seconds(5));
  for (int i = 0; i < 100000; ++i) times.Add(absl::Milliseconds(1));
  EXPECT_LE(times.Percentile99(), absl::Microseconds(1200));
  times.Add(absl::InfiniteDuration());  // no bucket is beyond the last
}

}  // namespace
}  // namespace ems

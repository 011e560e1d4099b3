// Texts and defaults are those of TensorFlow Serving (batching_session.cc, bundle_factory_util.cc) and of TensorFlow's
// shared_batch_scheduler.h.
#include <gmock/gmock.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "base/turns.h"
#include "batching/batcher.h"
#include "batching/join.h"
#include "batching/servable.h"
#include "batching/settings.h"
#include "temp_folder.h"
#include "tensors.h"

namespace ems {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Kind = Batches::Step::Kind;

// ---- Settings

std::string Refusal(const std::string& text) {
  const TempFolder folder;
  return std::string(ReadBatchingFile(folder.File("b", text)).status().message());
}

TEST(BatchingSettingsTest, DefaultsAreTensorFlowServings) {
  const TempFolder folder;
  const BatchingSettings settings = ReadBatchingFile(folder.File("b", "")).value();
  EXPECT_EQ(settings.max_batch_size, 1000);
  EXPECT_EQ(settings.timeout, absl::ZeroDuration());
  EXPECT_EQ(settings.max_enqueued_batches, 10);
  EXPECT_EQ(settings.num_batch_threads, 0);
  EXPECT_EQ(settings.thread_pool_name, "batch_threads");
  EXPECT_FALSE(settings.split);
}

TEST(BatchingSettingsTest, ReadsEveryField) {
  const TempFolder folder;
  const BatchingSettings settings =
      ReadBatchingFile(folder.File("b", R"(max_batch_size { value: 8 } batch_timeout_micros { value: 1500 }
          max_enqueued_batches { value: 3 } num_batch_threads { value: 2 } thread_pool_name { value: "p" }
          allowed_batch_sizes: [2, 4] pad_variable_length_inputs: true
          enable_large_batch_splitting { value: true } max_execution_batch_size { value: 4 })"))
          .value();
  EXPECT_EQ(settings.max_batch_size, 8);
  EXPECT_EQ(settings.max_execution_batch_size, 4);
  EXPECT_EQ(settings.timeout, absl::Microseconds(1500));
  EXPECT_EQ(settings.max_enqueued_batches, 3);
  EXPECT_EQ(settings.num_batch_threads, 2);
  EXPECT_EQ(settings.thread_pool_name, "p");
  EXPECT_THAT(settings.allowed_batch_sizes, ElementsAre(2, 4));
  EXPECT_TRUE(settings.pad_variable_length_inputs);
  EXPECT_TRUE(settings.split);
}

TEST(BatchingSettingsTest, TheLongestTimeoutIsAYear) {
  const TempFolder folder;
  const std::string text = "batch_timeout_micros { value: 9223372036854775807 }";
  EXPECT_EQ(ReadBatchingFile(folder.File("b", text))->timeout, absl::Hours(24 * 365));
}

TEST(BatchingSettingsTest, RefusesWhatDoesNotFit) {
  EXPECT_THAT(Refusal("max_batch_size: 4"), HasSubstr("/b: line 1"));
  EXPECT_THAT(Refusal("max_batch_size { value: 0 }"), HasSubstr("/b: max_batch_size must be at least 1; it is 0"));
  EXPECT_THAT(Refusal("batch_timeout_micros { value: -1 }"), HasSubstr("batch_timeout_micros must be at least 0"));
  EXPECT_THAT(Refusal("max_enqueued_batches { value: 0 }"), HasSubstr("max_enqueued_batches must be at least 1"));
  EXPECT_THAT(Refusal("num_batch_threads { value: 0 }"), HasSubstr("num_batch_threads must be between 1 and 1024"));
  EXPECT_THAT(Refusal("max_batch_size { value: 2 } allowed_batch_sizes: [4, 2]"), HasSubstr("2 comes after 4"));
  EXPECT_THAT(Refusal("max_batch_size { value: 8 } allowed_batch_sizes: 4"),
              HasSubstr("Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8"));
  EXPECT_THAT(Refusal("allowed_batch_sizes: 4"), HasSubstr("expected 1000"));
  EXPECT_THAT(Refusal("max_batch_size { value: 4 } allowed_batch_sizes: [0, 4]"), HasSubstr("must be at least 1"));
  EXPECT_THAT(Refusal("max_batch_size { value: 4 } enable_large_batch_splitting { value: true } "
                      "max_execution_batch_size { value: 8 }"),
              HasSubstr("max_execution_batch_size, 8, is greater than max_batch_size, 4"));
}

// ---- Rows

TEST(JoinTest, RowsComeBackToTheirRequests) {
  const TensorMap one = {{"a", Floats({1, 2}, {1, 2})}, {"s", Strings({1}, {"x"})}};
  const TensorMap two = {{"a", Floats({2, 2}, {3, 4, 5, 6})}, {"s", Strings({2}, {"y", "z"})}};
  const TensorMap joined = JoinRows({&one, &two}, 1);
  EXPECT_THAT(joined.at("a").shape, ElementsAre(4, 2));
  EXPECT_THAT(Values(joined.at("a")), ElementsAre(1, 2, 3, 4, 5, 6, 1, 2));
  EXPECT_THAT(joined.at("s").strings, ElementsAre("x", "y", "z", "x"));
  const std::vector<TensorMap> parts = SplitRows(joined, {1, 2}, 1).value();
  EXPECT_THAT(Values(parts[0].at("a")), ElementsAre(1, 2));
  EXPECT_THAT(parts[1].at("a").shape, ElementsAre(2, 2));
  EXPECT_THAT(Values(parts[1].at("a")), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(parts[1].at("s").strings, ElementsAre("y", "z"));
}

TEST(JoinTest, RowsOfUnequalLengthArePaddedByTheirFirstElement) {
  const TensorMap one = {{"a", Floats({1, 1, 2}, {1, 2})}, {"s", Strings({1, 2}, {"p", "q"})}};
  const TensorMap two = {{"a", Floats({2, 2, 1}, {3, 4, 5, 6})}, {"s", Strings({2, 1}, {"r", "t"})}};
  const TensorMap joined = JoinRows({&one, &two}, 0);
  EXPECT_THAT(joined.at("a").shape, ElementsAre(3, 2, 2));
  EXPECT_THAT(Values(joined.at("a")), ElementsAre(1, 2, 1, 1, /**/ 3, 3, 4, 3, /**/ 5, 3, 6, 3));
  EXPECT_THAT(joined.at("s").strings, ElementsAre("p", "q", "r", "r", "t", "r"));
}

TEST(JoinTest, WhatFitsTogether) {
  const TensorMap one = {{"a", Floats({1, 2}, {1, 2})}};
  const TensorMap rows = {{"a", Floats({2, 2}, {1, 2, 3, 4})}};
  const TensorMap wide = {{"a", Floats({1, 3}, {1, 2, 3})}};
  const TensorMap deep = {{"a", Floats({1, 2, 1}, {1, 2})}};
  const TensorMap texts = {{"a", Strings({1, 2}, {"", ""})}};
  EXPECT_TRUE(FitTogether({&one, &rows}, false));
  EXPECT_FALSE(FitTogether({&one, &wide}, false));
  EXPECT_TRUE(FitTogether({&one, &wide}, true));
  EXPECT_FALSE(FitTogether({&one, &deep}, true));
  EXPECT_FALSE(FitTogether({&one, &texts}, true));
}

TEST(JoinTest, PaddingHasALimit) {
  TensorMap one = {{"a", MakeTensor(DataType::kBool, {1, kMostPaddedElements / 2})}};
  const TensorMap two = {{"a", MakeTensor(DataType::kBool, {1, 1})}};
  EXPECT_TRUE(FitTogether({&one, &two}, true));
  EXPECT_FALSE(FitTogether({&one, &two, &two}, true));
}

TEST(JoinTest, OutputsThatAreNoRows) {
  EXPECT_EQ(SplitRows({{"y", Floats({}, {1})}}, {1, 1}, 0).status(),
            absl::FailedPreconditionError("Batched output tensor has 0 dimensions"));
  EXPECT_EQ(SplitRows({{"y", Floats({2}, {1, 2})}}, {1, 1}, 1).status(),
            absl::FailedPreconditionError("Batched output tensor's 0th dimension does not equal the sum of the 0th "
                                          "dimension sizes of the input tensors"));
}

// ---- Which batch runs when: no threads, and the time is what the test says

class BatchesTest : public ::testing::Test {
 protected:
  BatchesTest() {
    lane_.most_rows = 4;
    lane_.timeout = absl::Milliseconds(10);
    lane_.most_batches = 2;
  }

  static Instant At(int64_t milliseconds) { return Instant(std::chrono::milliseconds(milliseconds)); }

  BatchTask& Add(int64_t rows, int64_t at, int64_t deadline = 1000000) {
    BatchTask& task = *tasks_.emplace_back(std::make_unique<BatchTask>());
    task.inputs = &inputs_;
    task.rows = rows;
    task.late = At(deadline);
    added_ = batches_.Add(lane_, task, At(at));
    return task;
  }

  void ExpectWait(BatchTask& task, int64_t at, int64_t until) {
    const Batches::Step step = batches_.Next(task, At(at));
    EXPECT_EQ(step.kind, Kind::kWait);
    EXPECT_EQ(step.until, At(until));
  }

  TensorMap inputs_ = {{"x", Floats({1, 1}, {1})}};
  BatchLane lane_;
  Batches batches_{1};
  std::vector<std::unique_ptr<BatchTask>> tasks_;
  absl::Status added_;
};

TEST_F(BatchesTest, ALoneRequestWaitsForTheTimeoutAndNoLonger) {
  BatchTask& task = Add(1, 100);
  ExpectWait(task, 100, 110);
  ExpectWait(task, 109, 110);
  const Batches::Step step = batches_.Next(task, At(110));
  EXPECT_EQ(step.kind, Kind::kRun);
  EXPECT_THAT(step.tasks, ElementsAre(&task));
  batches_.Finish(step.tasks, At(111));
  EXPECT_EQ(batches_.Next(task, At(111)).kind, Kind::kDone);
}

TEST_F(BatchesTest, WithoutATimeoutItRunsAtOnce) {
  lane_.timeout = absl::ZeroDuration();
  EXPECT_EQ(batches_.Next(Add(1, 100), At(100)).kind, Kind::kRun);
}

TEST_F(BatchesTest, AFullBatchRunsAtOnceInTheThreadOfItsFirst) {
  BatchTask& first = Add(1, 100);
  BatchTask& second = Add(3, 101, 500);
  ExpectWait(second, 101, 500);
  const Batches::Step step = batches_.Next(first, At(101));
  EXPECT_EQ(step.kind, Kind::kRun);
  EXPECT_THAT(step.tasks, ElementsAre(&first, &second));
  EXPECT_EQ(batches_.Next(second, At(600)).until, Instant::max()) << "a run is waited for, whatever the deadline";
}

TEST_F(BatchesTest, ARequestWithoutRoomClosesTheBatch) {
  BatchTask& first = Add(3, 100);
  BatchTask& second = Add(2, 101);
  EXPECT_THAT(batches_.Next(first, At(101)).tasks, ElementsAre(&first));
  ExpectWait(second, 101, 111);
}

TEST_F(BatchesTest, WhileNoRunIsFreeABatchGrows) {
  BatchTask& first = Add(4, 100);
  const Batches::Step running = batches_.Next(first, At(100));
  EXPECT_EQ(running.kind, Kind::kRun);
  BatchTask& second = Add(1, 100, 900);
  ExpectWait(second, 200, 900);  // due, but it waits for a run and not for a time
  BatchTask& third = Add(1, 201);
  batches_.Finish(running.tasks, At(202));
  EXPECT_THAT(batches_.Next(second, At(202)).tasks, ElementsAre(&second, &third));
}

TEST_F(BatchesTest, TooManyWaitingBatchesAreRefused) {
  Add(4, 100);
  Add(3, 100);
  Add(1, 100);
  EXPECT_TRUE(added_.ok());
  Add(1, 100);
  EXPECT_EQ(added_,
            absl::ResourceExhaustedError("The batch scheduling queue to which this task was submitted is full"));
  BatchLane other = lane_;
  other.batches = 0;
  BatchTask task;
  task.inputs = &inputs_;
  task.rows = 1;
  EXPECT_TRUE(batches_.Add(other, task, At(100)).ok()) << "each signature has a queue of its own";
}

TEST_F(BatchesTest, ALateRequestLeavesAndTheOthersRun) {
  BatchTask& first = Add(1, 100, 105);
  BatchTask& second = Add(1, 101);
  ExpectWait(first, 101, 105);
  EXPECT_EQ(batches_.Next(first, At(105)).kind, Kind::kLate);
  ExpectWait(second, 105, 110);  // now the first, and due as the batch was
  EXPECT_THAT(batches_.Next(second, At(110)).tasks, ElementsAre(&second));
}

TEST_F(BatchesTest, ALateRequestIsDroppedWhenItsBatchRuns) {
  BatchTask& first = Add(1, 100);
  BatchTask& second = Add(1, 100, 109);
  EXPECT_THAT(batches_.Next(first, At(110)).tasks, ElementsAre(&first));
  EXPECT_EQ(batches_.Next(second, At(110)).kind, Kind::kLate);
}

TEST_F(BatchesTest, TheLastThatLeavesTakesItsBatchAway) {
  BatchTask& task = Add(1, 100, 105);
  EXPECT_EQ(batches_.Next(task, At(106)).kind, Kind::kLate);
  EXPECT_EQ(lane_.batches, 0);
}

TEST_F(BatchesTest, OtherShapesGoToAnotherBatch) {
  BatchTask& first = Add(1, 100);
  inputs_ = {{"x", Floats({1, 1}, {1})}};
  const TensorMap wide = {{"x", Floats({1, 2}, {1, 2})}};
  BatchTask task;
  task.inputs = &wide;
  task.rows = 1;
  task.late = At(1000);
  EXPECT_TRUE(batches_.Add(lane_, task, At(101)).ok());
  EXPECT_EQ(lane_.batches, 2);
  EXPECT_THAT(batches_.Next(first, At(110)).tasks, ElementsAre(&first));
}

// ---- With threads: no test here depends on how long something takes

// Adds 1 to `x`, floats of shape [rows, ?], and keeps the first dimension of each run.
class Adder : public Servable {
 public:
  explicit Adder(int64_t rows = -1) {
    Signature signature;
    signature.inputs = {{"x", {DataType::kFloat, {rows, -1}, "x"}}};
    signature.outputs = {{"y", {DataType::kFloat, {rows, -1}, "y"}}};
    signatures_[kDefaultSignature] = signature;
    signature.outputs["sum"] = {DataType::kFloat, {}, "sum"};
    signatures_["sum"] = signature;
  }

  const SignatureMap& signatures() const override { return signatures_; }

  absl::StatusOr<TensorMap> Run(const std::string& /*signature*/, const TensorMap& inputs,
                                const RunOptions& options) override {
    Tensor y = inputs.at("x");
    {
      const std::lock_guard lock(mutex_);
      runs.push_back(y.shape.front());
      deadline = options.deadline;
    }
    const size_t count = y.bytes.size() / sizeof(float);
    for (size_t i = 0; i < count; ++i) {
      if (y.data<float>()[i] < 0) return absl::InvalidArgumentError("a negative number");
      if (y.data<float>()[i] > 1e9) throw std::bad_alloc();
      if (y.data<float>()[i] > 2e6) return absl::UnavailableError("no device");
      if (y.data<float>()[i] > 1e6) return absl::InternalError("a kernel failed");
      y.data<float>()[i] += 1;
    }
    return TensorMap{{"y", std::move(y)}};
  }

  std::vector<Placement> placements() const override { return {{"cpu", "ok", "", false, ""}}; }

  std::vector<int64_t> runs;  // read when no thread runs
  absl::Time deadline;        // of the last run

 private:
  SignatureMap signatures_;
  std::mutex mutex_;
};

TEST(Batcher, ARequestThatWaitsLeavesTheTurnToAnother) {
  Batcher batcher(1);
  BatchLane lane;
  lane.most_rows = 4;
  lane.most_batches = 10;
  lane.timeout = absl::FromChrono(Turns::kQuick) / 2;  // quick work keeps the turn
  const TensorMap inputs = {{"x", Floats({1, 1}, {1})}};
  std::atomic<int> tries = 0;  // several: on a slow machine the time is over before a request would wait
  std::atomic<bool> passed_on = false;
  Turns* self = nullptr;
  Turns turns(2, 0, [&] {
    if (passed_on || ++tries > 50) return false;
    const Turns::Work work(*self);
    const auto answer = [](const std::vector<BatchTask*>& tasks) {
      for (BatchTask* task : tasks) task->result = TensorMap();
    };
    EXPECT_EQ(batcher.Run(lane, inputs, 1, absl::InfiniteFuture(), answer).status(), absl::OkStatus());
    if (!self->HasTurn()) passed_on = true;
    return true;
  });
  self = &turns;
  turns.Start();
  turns.Join();
  EXPECT_TRUE(passed_on);
}

class BatchingServableTest : public ::testing::Test {
 protected:
  BatchingServableTest() {
    settings_.max_batch_size = settings_.max_execution_batch_size = 4;
    settings_.timeout = absl::Hours(1);  // batches run when they are full
  }

  void Make(int64_t rows = -1) {
    auto adder = std::make_unique<Adder>(rows);
    adder_ = adder.get();
    servable_ = WithBatching(std::move(adder), settings_, std::make_shared<Batcher>(2, [this](absl::Duration waited) {
                               EXPECT_GE(waited, absl::ZeroDuration());
                               ++queued_;
                             }));
  }

  absl::StatusOr<TensorMap> Run(const Tensor& x, absl::Time deadline = absl::InfiniteFuture(),
                                const std::string& signature = kDefaultSignature) {
    RunOptions options;
    options.deadline = deadline;
    return servable_->Run(signature, {{"x", x}}, options);
  }

  // Runs requests of a row each at the same time, and returns what came of each.
  std::vector<absl::StatusOr<TensorMap>> RunTogether(const std::vector<float>& values) {
    std::vector<absl::StatusOr<TensorMap>> results(values.size(), absl::UnknownError(""));
    std::vector<std::thread> threads;
    for (size_t i = 0; i < values.size(); ++i) {
      threads.emplace_back([&, i] { results[i] = Run(Floats({1, 1}, {values[i]})); });
    }
    for (std::thread& thread : threads) thread.join();
    return results;
  }

  BatchingSettings settings_;
  std::unique_ptr<Servable> servable_;
  Adder* adder_ = nullptr;
  std::atomic<int> queued_ = 0;
};

TEST_F(BatchingServableTest, EachGetsItsOwnRows) {
  Make();
  const std::vector<absl::StatusOr<TensorMap>> results = RunTogether({1, 2, 3, 4});
  for (size_t i = 0; i < results.size(); ++i) {
    ASSERT_TRUE(results[i].ok()) << results[i].status();
    EXPECT_THAT(results[i]->at("y").shape, ElementsAre(1, 1));
    EXPECT_THAT(Values(results[i]->at("y")), ElementsAre(static_cast<float>(i + 2)));
  }
  EXPECT_THAT(adder_->runs, ElementsAre(4));
  EXPECT_EQ(queued_, 4);
}

TEST_F(BatchingServableTest, ManyThreadsGetTheirOwnRows) {
  settings_.timeout = absl::ZeroDuration();
  settings_.max_enqueued_batches = 1000;
  Make();
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 200; ++i) {
        const auto value = static_cast<float>(thread * 1000 + i);
        const auto rows = static_cast<int64_t>(1 + i % 3);
        const std::vector<float> values(static_cast<size_t>(rows), value);
        const absl::StatusOr<TensorMap> result = Run(Floats({rows, 1}, values));
        if (!result.ok() || Values(result->at("y")) != std::vector<float>(values.size(), value + 1)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(BatchingServableTest, ARequestOfAWholeBatchIsNotCopied) {
  Make();
  EXPECT_THAT(Values(Run(Floats({4, 1}, {1, 2, 3, 4}))->at("y")), ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(adder_->runs, ElementsAre(4));
}

TEST_F(BatchingServableTest, WithoutMemoryABatchFailsAndTheNextRuns) {
  Make();
  for (int i = 0; i < 3; ++i) {  // more often than batches run at a time
    for (const absl::StatusOr<TensorMap>& result : RunTogether({1, 2, 2e9, 4})) {
      EXPECT_EQ(result.status(), absl::ResourceExhaustedError("no memory for the batch"));
    }
  }
  EXPECT_THAT(Values(Run(Floats({4, 1}, {1, 2, 3, 4}))->at("y")), ElementsAre(2, 3, 4, 5));
}

TEST_F(BatchingServableTest, ALargerRequestIsRefused) {
  Make();
  EXPECT_EQ(Run(MakeTensor(DataType::kFloat, {5, 1})).status(),
            absl::InvalidArgumentError("Task size 5 is larger than maximum input batch size 4"));
}

TEST_F(BatchingServableTest, ALargerRequestIsSplitWhereAsked) {
  settings_.max_batch_size = 10;
  settings_.split = true;
  settings_.timeout = absl::ZeroDuration();
  Make();
  EXPECT_THAT(Values(Run(Floats({5, 1}, {1, 2, 3, 4, 5}))->at("y")), ElementsAre(2, 3, 4, 5, 6));
  EXPECT_THAT(adder_->runs, ElementsAre(4, 1));
  EXPECT_THAT(std::string(Run(MakeTensor(DataType::kFloat, {11, 1})).status().message()), HasSubstr("size 10"));
}

TEST_F(BatchingServableTest, BatchesArePaddedToAnAllowedSize) {
  settings_.allowed_batch_sizes = {2, 4};
  settings_.timeout = absl::ZeroDuration();
  Make();
  EXPECT_THAT(Values(Run(Floats({1, 1}, {7}))->at("y")), ElementsAre(8));
  EXPECT_THAT(Values(Run(Floats({3, 1}, {7, 8, 9}))->at("y")), ElementsAre(8, 9, 10));
  EXPECT_THAT(adder_->runs, ElementsAre(2, 4));
}

TEST_F(BatchingServableTest, AFixedNumberOfRowsTakesFewer) {
  settings_.timeout = absl::ZeroDuration();
  settings_.max_batch_size = settings_.max_execution_batch_size = 1000;
  Make(4);
  EXPECT_THAT(servable_->signatures().at(kDefaultSignature).inputs.at("x").shape, ElementsAre(-1, -1));
  EXPECT_THAT(servable_->signatures().at("sum").inputs.at("x").shape, ElementsAre(4, -1));
  EXPECT_THAT(Values(Run(Floats({1, 1}, {7}))->at("y")), ElementsAre(8));
  EXPECT_THAT(Values(Run(Floats({6, 1}, {1, 2, 3, 4, 5, 6}))->at("y")), ElementsAre(2, 3, 4, 5, 6, 7));
  EXPECT_EQ(Run(MakeTensor(DataType::kFloat, {8, 1}))->at("y").shape.front(), 8);
  EXPECT_THAT(adder_->runs, ElementsAre(4, 4, 4, 8));
}

TEST_F(BatchingServableTest, AFixedBatchIsJoinedUpToItsRows) {
  settings_.max_batch_size = settings_.max_execution_batch_size = 1000;
  Make(4);
  for (const absl::StatusOr<TensorMap>& result : RunTogether({1, 2, 3, 4})) EXPECT_TRUE(result.ok());
  EXPECT_THAT(adder_->runs, ElementsAre(4));
}

TEST_F(BatchingServableTest, OneRowIsNoBatch) {
  Make(1);
  EXPECT_TRUE(Run(Floats({1, 1}, {7})).ok());  // with an hour's timeout
  EXPECT_TRUE(Run(MakeTensor(DataType::kFloat, {5, 1})).ok());
}

TEST_F(BatchingServableTest, SignaturesWithScalarsAreNotJoined) {
  Make();
  EXPECT_TRUE(Run(Floats({1, 1}, {7}), absl::InfiniteFuture(), "sum").ok());
  EXPECT_EQ(queued_, 0);
}

TEST_F(BatchingServableTest, TheErrorOfARunGoesToAll) {
  Make();
  for (const absl::StatusOr<TensorMap>& result : RunTogether({1, 3e6, 3, 4})) {
    EXPECT_EQ(result.status(), absl::UnavailableError("no device"));
  }
  EXPECT_THAT(adder_->runs, ElementsAre(4));
}

TEST_F(BatchingServableTest, ValuesThatTheModelRefusesFailAlone) {
  Make();
  const std::vector<absl::StatusOr<TensorMap>> results = RunTogether({1, -2, 3, 2e6});
  EXPECT_EQ(results[1].status(), absl::InvalidArgumentError("a negative number"));
  EXPECT_EQ(results[3].status(), absl::InternalError("a kernel failed"));
  for (const size_t i : {0, 2}) EXPECT_THAT(Values(results[i]->at("y")), ElementsAre(static_cast<float>(i + 2)));
}

TEST_F(BatchingServableTest, ADeadlineThatPassesInTheQueue) {
  Make();
  EXPECT_EQ(Run(Floats({1, 1}, {1}), absl::Now() + absl::Milliseconds(1)).status(),
            absl::DeadlineExceededError("the deadline passed while the request waited for its batch"));
  EXPECT_TRUE(adder_->runs.empty());
  EXPECT_TRUE(RunTogether({1, 2, 3, 4})[0].ok()) << "it is in no batch any more";
}

TEST_F(BatchingServableTest, ABatchHasTheLatestDeadline) {
  settings_.max_batch_size = settings_.max_execution_batch_size = 2;
  Make();
  const absl::Time soon = absl::Now() + absl::Hours(1);
  std::thread other([&] { EXPECT_TRUE(Run(Floats({1, 1}, {1}), soon).ok()); });
  EXPECT_TRUE(Run(Floats({1, 1}, {1}), soon + absl::Hours(1)).ok());
  other.join();
  EXPECT_EQ(adder_->deadline, soon + absl::Hours(1));
}

}  // namespace
}  // namespace ems

#include "tflite/cpu_servable.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "batching/servable.h"
#include "support/allocations.h"
#include "support/model_maker.h"
#include "tensors.h"
#include "tflite/runner_pool.h"

namespace ems {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ModelMaker;
using testing::TemporaryFolder;

std::shared_ptr<const TfliteModel> Open(const std::string& file) {
  const TemporaryFolder folder;
  return TfliteModel::Open(folder.Write("model.tflite", file)).value();
}

// Row i holds four times i.
Tensor Rows(int64_t rows, float first = 0) {
  Tensor tensor = MakeTensor(DataType::kFloat, {rows, 4});
  for (int64_t i = 0; i < rows * 4; ++i) tensor.data<float>()[i] = first + static_cast<float>(i / 4);
  return tensor;
}

void ExpectHalfPlusTwo(const Tensor& x, const Tensor& y) {
  ASSERT_EQ(y.shape, x.shape);
  const auto count = static_cast<int64_t>(x.bytes.size() / sizeof(float));
  for (int64_t i = 0; i < count; ++i) ASSERT_EQ(y.data<float>()[i], x.data<float>()[i] / 2 + 2) << i;
}

// An interpreter that runs when the test lets it: `gate` counts the runs that may go on.
class Gate {
 public:
  void Enter() {
    std::unique_lock lock(mutex_);
    ++entered_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return tickets_ > 0; });
    --tickets_;
  }
  void Let(int runs) {
    const std::lock_guard lock(mutex_);
    tickets_ += runs;
    changed_.notify_all();
  }
  void AwaitEntered(int runs) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return entered_ >= runs; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int tickets_ = 0;
  int entered_ = 0;
};

class NoRunner : public TfliteRunner {
 public:
  absl::StatusOr<TensorMap> Run(const std::string& /*signature*/, const TensorMap& inputs) override { return inputs; }
  uint64_t arena_bytes() const override { return 0; }
};

std::vector<std::unique_ptr<TfliteRunner>> NoRunners(int count) {
  std::vector<std::unique_ptr<TfliteRunner>> runners;
  for (int i = 0; i < count; ++i) runners.push_back(std::make_unique<NoRunner>());
  return runners;
}

TEST(LoadOnCpu, Serves) {
  const auto servable = LoadOnCpu(Open(testing::HalfPlusTwoModel()), {}).value();
  EXPECT_EQ(servable->signatures().size(), 1);
  const TensorMap outputs = servable->Run("serving_default", {{"x", Floats({3}, {1, 2, 5})}}, {}).value();
  EXPECT_THAT(outputs.at("y").data<float>()[2], 4.5);
  ASSERT_EQ(servable->placements().size(), 1);
  EXPECT_EQ(servable->placements().front().device, "cpu");
  EXPECT_EQ(servable->placements().front().state, "ok");
}

TEST(LoadOnCpu, RunsRowsOneByOneOnAFixedBatch) {
  const auto servable = LoadOnCpu(Open(testing::FixedBatchModel()), {}).value();
  const Tensor x = Rows(5);
  ExpectHalfPlusTwo(x, servable->Run("serving_default", {{"x", x}}, {})->at("y"));
}

TEST(LoadOnCpu, SpreadsRowsOverHelpers) {
  CpuOptions options;
  options.interpreters = 3;
  options.helpers = std::make_shared<ThreadPool>(2);
  const auto servable = LoadOnCpu(Open(testing::FixedBatchModel()), options).value();
  std::vector<std::thread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&, client] {
      for (int round = 0; round < 20; ++round) {
        const Tensor x = Rows(1 + round * 3, static_cast<float>(client * 1000));
        ExpectHalfPlusTwo(x, servable->Run("serving_default", {{"x", x}}, {})->at("y"));
      }
    });
  }
  for (std::thread& client : clients) client.join();
}

TEST(LoadOnCpu, FailsARequestOfRowsWithTheRowsReason) {
  CpuOptions options;
  options.interpreters = 2;
  options.helpers = std::make_shared<ThreadPool>(1);
  const auto servable = LoadOnCpu(Open(testing::FailingModel()), options).value();
  Tensor index = MakeTensor(DataType::kInt32, {6});
  index.data<int32_t>()[3] = 9;
  for (int round = 0; round < 10; ++round) {
    const auto outputs = servable->Run("serving_default", {{"index", index}}, {});
    EXPECT_THAT(std::string(outputs.status().message()), HasSubstr("gather index out of bounds"));
  }
  index.data<int32_t>()[3] = 2;
  EXPECT_EQ(servable->Run("serving_default", {{"index", index}}, {})->at("y").data<float>()[3], 3);
}

// A model of long rows, so that the size of their memory is nobody else's.
std::string LongRowModel() {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {1, 5000});
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, {1, 5000});
  maker.HalfPlusTwo(x, y);
  maker.Inputs({x});
  maker.Outputs({y});
  maker.Signature("serving_default", {{"x", x}}, {{"y", y}});
  return maker.File();
}

TEST(LoadOnCpu, ARowWithoutMemoryFailsTheRequestAlone) {
  CpuOptions options;
  options.queue = 0;
  for (const int helpers : {0, 1}) {
    options.interpreters = 1 + helpers;
    options.helpers = std::make_shared<ThreadPool>(helpers);
    const auto servable = LoadOnCpu(Open(LongRowModel()), options).value();
    const TensorMap inputs = {{"x", MakeTensor(DataType::kFloat, {3, 5000})}};
    {
      const testing::NoMemoryFor a_row(5000 * sizeof(float) + 1);
      EXPECT_EQ(servable->Run("serving_default", inputs, {}).status(),
                absl::ResourceExhaustedError("there is no memory for a row: send fewer rows"));
    }
    EXPECT_TRUE(servable->Run("serving_default", inputs, {}).ok()) << "the interpreter is free";
  }
}

TEST(LoadOnCpu, ManyRowsTakeLittleMemoryBesideTheirValues) {
  CpuOptions options;
  options.interpreters = 2;
  options.helpers = std::make_shared<ThreadPool>(1);
  const auto servable = LoadOnCpu(Open(testing::FixedBatchModel()), options).value();
  const Tensor x = Rows(20000);
  absl::StatusOr<TensorMap> outputs;
  EXPECT_LT(testing::PeakOf([&] { outputs = servable->Run("serving_default", {{"x", x}}, {}); }), 3'000'000);
  ExpectHalfPlusTwo(x, outputs->at("y"));
}

TEST(LoadOnCpu, InABatchTheRequestAloneFailsWhoseValuesAKernelRefuses) {
  BatchingSettings settings;
  settings.max_batch_size = settings.max_execution_batch_size = 2;
  settings.timeout = absl::Hours(1);  // the batch runs when it is full
  const auto servable =
      WithBatching(LoadOnCpu(Open(testing::FailingModel(-1)), {}).value(), settings, std::make_shared<Batcher>(1));
  const auto run = [&](int32_t index) {
    TensorMap inputs = {{"index", MakeTensor(DataType::kInt32, {1})}};
    inputs["index"].data<int32_t>()[0] = index;
    return servable->Run("serving_default", inputs, {});
  };
  auto bad = std::async(std::launch::async, run, 9);
  const absl::StatusOr<TensorMap> good = run(2);
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->at("y").data<float>()[0], 3);
  EXPECT_THAT(std::string(bad.get().status().message()), HasSubstr("gather index out of bounds"));
}

TEST(LoadOnCpu, RefusesADeadlineThatHasPassed) {
  const auto servable = LoadOnCpu(Open(testing::FixedBatchModel()), {}).value();
  for (const int64_t rows : {1, 3}) {
    EXPECT_EQ(servable->Run("serving_default", {{"x", Rows(rows)}}, {absl::Now() - absl::Seconds(1)}).status().code(),
              absl::StatusCode::kDeadlineExceeded);
  }
}

TEST(LoadOnCpu, RefusesWhatDoesNotFitInTheMemory) {
  CpuOptions options;
  options.memory = MemoryBudget::Create(100);
  const auto servable = LoadOnCpu(Open(testing::FixedBatchModel()), options);
  EXPECT_EQ(servable.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(servable.status().message()), HasSubstr("the 0.0 MB that --memory_limit_mb permits"));
  EXPECT_EQ(options.memory->used(), 0);
}

TEST(LoadOnCpu, MakesAsManyInterpretersAsFit) {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {1, 100000});
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, {1, 100000});
  maker.HalfPlusTwo(x, y);
  maker.Inputs({x});
  maker.Outputs({y});
  CpuOptions options;
  options.interpreters = 4;
  options.fallback = "no device";
  options.memory = MemoryBudget::Create(3000000);
  {
    const auto servable = LoadOnCpu(Open(maker.File()), options).value();
    EXPECT_EQ(servable->placements().front().detail, "no device; 2 of 4 interpreters fit in memory");
    EXPECT_GT(options.memory->used(), 1600000);
  }
  EXPECT_EQ(options.memory->used(), 0);
}

TEST(LoadOnCpu, TellsThatTheFirstRunFailed) {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_INT32, {1});
  const int y = maker.Tensor("y", tflite::TensorType_INT32, {1});
  const int seven = maker.Constant("seven", {1}, std::vector<int32_t>{7});
  tflite::BuiltinOptionsUnion options;
  options.Set(tflite::DivOptionsT());
  maker.Operator(tflite::BuiltinOperator_DIV, {seven, x}, {y}, std::move(options));  // 7 / 0
  maker.Inputs({x});
  maker.Outputs({y});
  const auto servable = LoadOnCpu(Open(maker.File()), {}).value();
  EXPECT_THAT(servable->placements().front().detail,
              HasSubstr("a run of serving_default with zeros failed: the model failed: integer"));
}

TEST(RunnerPool, GivesTheLastOneUsed) {
  RunnerPool pool(NoRunners(2), 1);
  TfliteRunner* first = pool.Acquire(absl::InfiniteFuture()).value();
  TfliteRunner* second = pool.Acquire(absl::InfiniteFuture()).value();
  EXPECT_NE(first, second);
  EXPECT_EQ(pool.TryAcquire(), nullptr);
  pool.Release(second);
  pool.Release(first);
  EXPECT_EQ(pool.TryAcquire(), first);
}

TEST(RunnerPool, RefusesWhereTheQueueIsFull) {
  RunnerPool pool(NoRunners(1), 0);
  ASSERT_TRUE(pool.Acquire(absl::InfiniteFuture()).ok());
  const auto refused = pool.Acquire(absl::InfiniteFuture());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("1 interpreters run and 0 requests wait"));
}

TEST(RunnerPool, LetsTheNextRowsOfAnAdmittedRequestWait) {
  RunnerPool pool(NoRunners(1), 0);
  TfliteRunner* runner = pool.Acquire(absl::InfiniteFuture()).value();
  auto waiting = std::async(std::launch::async, [&] { return pool.Acquire(absl::InfiniteFuture(), true).value(); });
  while (pool.waiting() == 0) std::this_thread::yield();
  pool.Release(runner);
  EXPECT_EQ(waiting.get(), runner);
}

TEST(RunnerPool, EndsAWaitAtTheDeadline) {
  RunnerPool pool(NoRunners(1), 10);
  TfliteRunner* runner = pool.Acquire(absl::InfiniteFuture()).value();
  EXPECT_EQ(pool.Acquire(absl::Now() + absl::Milliseconds(1)).status().code(), absl::StatusCode::kDeadlineExceeded);
  pool.Release(runner);  // must not go to the one who gave up
  EXPECT_EQ(pool.TryAcquire(), runner);
}

TEST(RunnerPool, ServesWaitersInTheirOrder) {
  RunnerPool pool(NoRunners(1), 10);
  TfliteRunner* runner = pool.Acquire(absl::InfiniteFuture()).value();
  std::mutex mutex;
  std::vector<int> order;
  std::vector<std::thread> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.emplace_back([&, i] {
      TfliteRunner* own = pool.Acquire(absl::InfiniteFuture()).value();
      {
        const std::lock_guard lock(mutex);
        order.push_back(i);
      }
      pool.Release(own);
    });
    while (pool.waiting() != static_cast<size_t>(i) + 1) std::this_thread::yield();
  }
  pool.Release(runner);
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3));
}

TEST(RunnerPool, YieldsToAWaiterAndComesBack) {
  RunnerPool pool(NoRunners(1), 10);
  TfliteRunner* runner = pool.Acquire(absl::InfiniteFuture()).value();
  EXPECT_EQ(pool.Yield(runner, absl::InfiniteFuture()), runner);
  EXPECT_FALSE(pool.HandOver(runner));
  std::atomic<bool> served = false;
  std::thread waiter([&] {
    TfliteRunner* own = pool.Acquire(absl::InfiniteFuture()).value();
    served = true;
    pool.Release(own);
  });
  while (pool.waiting() == 0) std::this_thread::yield();
  EXPECT_EQ(pool.Yield(runner, absl::InfiniteFuture()), runner);
  EXPECT_TRUE(served);
  waiter.join();
}

TEST(ThreadPool, RunsTasksAndDropsTheRest) {
  Gate gate;
  std::atomic<int> ran = 0;
  auto pool = std::make_unique<ThreadPool>(1);
  pool->Submit([&] {
    gate.Enter();
    ++ran;
  });
  gate.AwaitEntered(1);
  pool->Submit([&] { ++ran; });
  std::thread end([&] { pool.reset(); });
  gate.Let(1);
  end.join();
  EXPECT_GE(ran, 1);
  ThreadPool(0).Submit([&] { ran = 100; });
  EXPECT_LE(ran, 2);
}

}  // namespace
}  // namespace ems

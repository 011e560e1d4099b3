// Models on the CPU in worker processes of their own.
#include "devices/isolated.h"

#include <csignal>

#include "devices_fixture.h"

namespace ems {
namespace {

using ::testing::HasSubstr;

TensorMap Index(int32_t index) {
  TensorMap inputs{{"index", MakeTensor(DataType::kInt32, {1})}};
  inputs["index"].data<int32_t>()[0] = index;
  return inputs;
}

class IsolatedTest : public DevicesTest {
 protected:
  IsolatedTest() { cpu_.interpreters = 2; }

  absl::StatusOr<std::unique_ptr<Servable>> Load(const std::string& file) {
    const std::string path = folder_.Write("model.tflite", file);
    const auto model = TfliteModel::Open(path);
    EXPECT_TRUE(model.ok()) << model.status();
    return LoadIsolated({"m", 1}, *model, cpu_, {options_.worker, options_.log});
  }

  CpuOptions cpu_;
};

TEST_F(IsolatedTest, Computes) {
  const auto servable = Load(testing::FixedBatchModel()).value();
  EXPECT_TRUE(IsRight(*Ask(*servable, 4, 9), 4, 9));
  ASSERT_EQ(servable->placements().size(), 1);
  EXPECT_EQ(servable->placements()[0].device, "cpu");
  EXPECT_EQ(servable->placements()[0].state, "ok");
  EXPECT_EQ(servable->placements()[0].detail, "in 2 processes of its own");
  EXPECT_FALSE(servable->placements()[0].fallback);
}

TEST_F(IsolatedTest, ARunOfAnyLengthWorks) {
  const auto servable = Load(testing::HalfPlusTwoModel()).value();
  TensorMap inputs{{"x", MakeTensor(DataType::kFloat, {100})}};
  EXPECT_EQ(servable->Run(kDefaultSignature, inputs, {})->at("y").data<float>()[99], 2);
}

TEST_F(IsolatedTest, ACrashIsAnErrorOfItsRequestAlone) {
  const auto servable = Load(testing::CrashingModel()).value();
  EXPECT_EQ(servable->Run(kDefaultSignature, Index(2), {})->at("y").data<float>()[2], 7);
  const absl::Status status = servable->Run(kDefaultSignature, Index(1 << 30), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("m version 1: the run failed on cpu:"));
  EXPECT_EQ(servable->Run(kDefaultSignature, Index(3), {})->at("y").data<float>()[3], 7);
  EXPECT_THAT(Log(), HasSubstr("model m version 1: device cpu:0 is out: the worker "));
}

// A kernel that refuses values is no fault of the process: it goes on, and nobody tries again elsewhere.
TEST_F(IsolatedTest, ARefusedRunLeavesTheProcesses) {
  const auto servable = Load(testing::FailingModel()).value();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(servable->Run(kDefaultSignature, Index(9), {}).status().code(), absl::StatusCode::kInternal);
  }
  EXPECT_TRUE(servable->Run(kDefaultSignature, Index(1), {}).ok());
  EXPECT_THAT(Log(), ::testing::Not(HasSubstr(" is out")));
  EXPECT_THAT(Log(), ::testing::Not(HasSubstr(" is suspect")));
}

TEST_F(IsolatedTest, CountsItsMemory) {
  cpu_.memory = MemoryBudget::Create(10'000'000);
  const uint64_t two = [&] {
    const auto servable = Load(testing::FixedBatchModel());
    EXPECT_TRUE(servable.ok()) << servable.status();
    return cpu_.memory->used();
  }();
  EXPECT_EQ(cpu_.memory->used(), 0);
  {
    cpu_.memory = MemoryBudget::Create(two - 1);
    const auto servable = Load(testing::FixedBatchModel());
    ASSERT_TRUE(servable.ok()) << servable.status();
    EXPECT_EQ((*servable)->placements()[0].detail, "in 1 process of its own; 1 of 2 processes fit in memory");
    EXPECT_TRUE(IsRight(*Ask(**servable, 4, 9), 4, 9));
    EXPECT_EQ(cpu_.memory->used(), two / 2);
  }
  cpu_.memory = MemoryBudget::Create(100);
  EXPECT_EQ(Load(testing::FixedBatchModel()).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(IsolatedTest, NamesWhatItCannotCompute) {
  EXPECT_THAT(std::string(Load(testing::CustomOperatorModel("Mystery", "")).status().message()), HasSubstr("Mystery"));
  options_.worker = "/nonexistent/edge_model_worker";
  EXPECT_THAT(std::string(Load(testing::FixedBatchModel()).status().message()), HasSubstr("cannot start /nonexistent"));
}

TEST_F(IsolatedTest, SaysWhyTheCpuComputes) {
  cpu_.fallback = "no device";
  const auto servable = Load(testing::FixedBatchModel()).value();
  EXPECT_TRUE(servable->placements()[0].fallback);
  EXPECT_EQ(servable->placements()[0].detail, "in 2 processes of its own; no device");
}

}  // namespace
}  // namespace ems

#include "pipeline/pipeline.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <mutex>
#include <new>
#include <numeric>
#include <set>
#include <thread>

#include "support/allocations.h"

namespace ems {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::UnorderedElementsAre;

TensorSpec Spec(const std::string& tensor, Shape shape = {1, 2}, DataType dtype = DataType::kInt32) {
  return {dtype, std::move(shape), tensor};
}

// A segment whose names of inputs and outputs are those of the tensors.
SegmentSpec Segment(const std::string& name, const std::vector<TensorSpec>& inputs,
                    const std::vector<TensorSpec>& outputs) {
  SegmentSpec segment{name, {kPredictMethod, {}, {}}};
  for (const TensorSpec& spec : inputs) segment.signature.inputs[spec.tensor_name] = spec;
  for (const TensorSpec& spec : outputs) segment.signature.outputs[spec.tensor_name] = spec;
  return segment;
}

std::string Refusal(const std::vector<SegmentSpec>& segments, const Signature* whole = nullptr) {
  const absl::StatusOr<PipelinePlan> plan = PlanPipeline(segments, whole);
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(plan.status().message());
}

TEST(PlanPipeline, JoinsSegmentsByTheNamesOfTensors) {
  const PipelinePlan plan =
      *PlanPipeline({Segment("s0", {Spec("a")}, {Spec("b")}), Segment("s1", {Spec("b")}, {Spec("c")})}, nullptr);
  EXPECT_THAT(plan.signature.inputs, ElementsAre(Key("a")));
  EXPECT_THAT(plan.signature.outputs, ElementsAre(Key("c")));
  EXPECT_EQ(plan.signature.method_name, kPredictMethod);
  EXPECT_EQ(plan.steps.at(1).inputs.at("b"), "b");
}

// The second segment takes an input of the whole too, the third one of the first; c is taken by nobody.
TEST(PlanPipeline, PassesTensorsOverSegments) {
  const PipelinePlan plan = *PlanPipeline({Segment("s0", {Spec("a")}, {Spec("b"), Spec("c"), Spec("d")}),
                                           Segment("s1", {Spec("a"), Spec("b"), Spec("x")}, {Spec("e")}),
                                           Segment("s2", {Spec("d"), Spec("e")}, {Spec("f")})},
                                          nullptr);
  EXPECT_THAT(plan.signature.inputs, ElementsAre(Key("a"), Key("x")));
  EXPECT_THAT(plan.signature.outputs, ElementsAre(Key("c"), Key("f")));
}

TEST(PlanPipeline, ATensorThatASegmentPassesOnIsNotMadeTwice) {
  const PipelinePlan plan = *PlanPipeline({Segment("s0", {Spec("a")}, {Spec("a"), Spec("b")}),
                                           Segment("s1", {Spec("a"), Spec("b")}, {Spec("b"), Spec("c")})},
                                          nullptr);
  EXPECT_THAT(plan.signature.inputs, ElementsAre(Key("a")));
  EXPECT_THAT(plan.signature.outputs, ElementsAre(Key("b"), Key("c")));
}

TEST(PlanPipeline, SegmentsMayHaveTheirOwnNamesForTensors) {
  SegmentSpec first{"s0", {kPredictMethod, {{"in", Spec("a")}}, {{"out", Spec("b")}}}};
  SegmentSpec second{"s1", {kPredictMethod, {{"in", Spec("b")}, {"other", Spec("z")}}, {{"out", Spec("c")}}}};
  SegmentSpec third{"s2", {kPredictMethod, {{"in", Spec("y")}}, {{"out", Spec("d")}}}};
  const PipelinePlan plan = *PlanPipeline({first, second, third}, nullptr);
  EXPECT_EQ(plan.signature.inputs.at("in").tensor_name, "a");
  EXPECT_EQ(plan.signature.inputs.at("y").tensor_name, "y");  // "in" is another's
  EXPECT_EQ(plan.signature.inputs.at("other").tensor_name, "z");
  EXPECT_THAT(plan.signature.outputs, UnorderedElementsAre(Key("out"), Key("d")));
}

TEST(PlanPipeline, RefusesSegmentsThatDoNotFit) {
  EXPECT_EQ(Refusal({Segment("s0", {Spec("a")}, {Spec("b", {1, 3})}), Segment("s1", {Spec("b")}, {Spec("c")})}),
            "s1 takes the tensor b as DT_INT32 [1,2], but it is DT_INT32 [1,3] in s0: put the segments of one "
            "compilation there");
  EXPECT_THAT(Refusal({Segment("s0", {Spec("a")}, {Spec("b", {1, 2}, DataType::kInt8)}),
                       Segment("s1", {Spec("b")}, {Spec("c")})}),
              HasSubstr("but it is DT_INT8 [1,2] in s0"));
  EXPECT_THAT(Refusal({Segment("s0", {Spec("a")}, {Spec("b")}), Segment("s1", {Spec("a", {1})}, {Spec("c")})}),
              HasSubstr("s1 takes the tensor a as"));
  EXPECT_THAT(Refusal({Segment("s0", {Spec("a")}, {Spec("b")}), Segment("s1", {Spec("a")}, {Spec("b")})}),
              HasSubstr("s1 makes the tensor b, which s0 makes too"));
  EXPECT_THAT(Refusal({Segment("s0", {Spec("a")}, {Spec("b")}), Segment("s1", {Spec("b")}, {Spec("a")})}),
              HasSubstr("s1 makes the tensor a, which s0 takes before"));
}

TEST(PlanPipeline, TheModelBeforeItsSplittingGivesTheNames) {
  const std::vector<SegmentSpec> segments{Segment("s0", {Spec("a", {-1, 2})}, {Spec("b")}),
                                          Segment("s1", {Spec("b")}, {Spec("c")})};
  Signature whole{kClassifyMethod, {{"image", Spec("a")}}, {{"middle", Spec("b")}, {"scores", Spec("c")}}};
  const PipelinePlan plan = *PlanPipeline(segments, &whole);
  EXPECT_EQ(plan.signature.method_name, kClassifyMethod);
  EXPECT_EQ(plan.signature.inputs.at("image").tensor_name, "a");
  EXPECT_THAT(plan.signature.outputs, ElementsAre(Key("middle"), Key("scores")));  // one that a segment takes too
  whole.outputs["other"] = Spec("z");
  EXPECT_THAT(Refusal(segments, &whole), HasSubstr("no segment has the tensor z of the model before it was split"));
  whole.outputs = {{"scores", Spec("c", {1, 9})}};
  EXPECT_THAT(Refusal(segments, &whole), HasSubstr("the model before it was split takes the tensor c as"));
  whole = {kPredictMethod, {}, {{"scores", Spec("c")}}};
  EXPECT_THAT(Refusal(segments, &whole), HasSubstr("s0 takes the tensor a, which no segment before it makes"));
}

// Computes sum of its inputs plus `add` for each output; `before` is called with the first value.
class Adder : public Servable {
 public:
  Adder(Signature signature, int add, std::function<absl::Status(int)> before)
      : signatures_{{kDefaultSignature, std::move(signature)}}, add_(add), before_(std::move(before)) {}
  const SignatureMap& signatures() const override { return signatures_; }
  absl::StatusOr<TensorMap> Run(const std::string&, const TensorMap& inputs, const RunOptions&) override {
    const Signature& signature = signatures_.at(kDefaultSignature);
    EXPECT_EQ(inputs.size(), signature.inputs.size());
    int sum = add_;
    for (const auto& [key, tensor] : inputs) {
      EXPECT_EQ(signature.inputs.count(key), 1) << key;
      sum += tensor.data<int32_t>()[0];
    }
    if (before_) {
      if (absl::Status status = before_(sum - add_); !status.ok()) return status;
    }
    TensorMap outputs;
    for (const auto& [key, spec] : signature.outputs) {
      outputs[key] = MakeTensor(DataType::kInt32, {1});
      outputs[key].data<int32_t>()[0] = sum;
    }
    return outputs;
  }
  std::vector<Placement> placements() const override { return {{"usb:" + std::to_string(add_), "ok", "", false, ""}}; }

 private:
  const SignatureMap signatures_;
  const int add_;
  const std::function<absl::Status(int)> before_;
};

TensorMap Numbers(const std::vector<int32_t>& numbers) {
  TensorMap inputs{{"a", MakeTensor(DataType::kInt32, {static_cast<int64_t>(numbers.size())})}};
  std::copy(numbers.begin(), numbers.end(), inputs["a"].data<int32_t>());
  return inputs;
}
std::vector<int32_t> Values(const Tensor& tensor) {
  return {tensor.data<int32_t>(), tensor.data<int32_t>() + tensor.shape.at(0)};
}

class PipelineTest : public ::testing::Test {
 protected:
  // a -> b = a + 1 -> c = b + 10; with `skip`, c = a + b + 10 and b is an output too.
  std::unique_ptr<Servable> Make(bool skip = false) {
    const TensorSpec a = Spec("a", {1});
    const TensorSpec b = Spec("b", {1});
    const TensorSpec c = Spec("c", {1});
    const std::vector<SegmentSpec> specs{Segment("s0", {a}, {b}),
                                         Segment("s1", skip ? std::vector{a, b} : std::vector{b}, {c})};
    Signature whole{kPredictMethod, {{"a", a}}, {{"b", b}, {"c", c}}};
    std::vector<std::unique_ptr<Servable>> servables;
    servables.push_back(std::make_unique<Adder>(specs[0].signature, 1, first_));
    servables.push_back(std::make_unique<Adder>(specs[1].signature, 10, second_));
    return MakePipeline(*PlanPipeline(specs, skip ? &whole : nullptr), std::move(servables), {"m version 1", queue_});
  }

  int queue_ = 100;
  std::function<absl::Status(int)> first_;
  std::function<absl::Status(int)> second_;
};

TEST_F(PipelineTest, RunsTheSegmentsInTurn) {
  const auto pipeline = Make();
  const absl::StatusOr<TensorMap> outputs = pipeline->Run(kDefaultSignature, Numbers({5}), {});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(*outputs, ElementsAre(Key("c")));
  EXPECT_THAT(Values(outputs->at("c")), ElementsAre(16));
  ASSERT_EQ(pipeline->placements().size(), 2);
  EXPECT_EQ(pipeline->placements()[1].device, "usb:10");
  EXPECT_EQ(pipeline->placements()[1].part, "segment 1 of 2");
}

TEST_F(PipelineTest, ATensorThatTwoSegmentsTakeStaysWhole) {
  const auto pipeline = Make(/*skip=*/true);
  const absl::StatusOr<TensorMap> outputs = pipeline->Run(kDefaultSignature, Numbers({5, 7}), {});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(Values(outputs->at("b")), ElementsAre(6, 8));
  EXPECT_THAT(Values(outputs->at("c")), ElementsAre(21, 25));
}

TEST_F(PipelineTest, ChecksTheInputs) {
  EXPECT_EQ(Make()->Run(kDefaultSignature, {}, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(PipelineTest, KeepsTheOrderOfRows) {
  const auto pipeline = Make();
  std::vector<int32_t> numbers;
  std::vector<int32_t> right;
  for (int i = 0; i < 50; ++i) {
    numbers.push_back(i);
    right.push_back(i + 11);
  }
  EXPECT_EQ(Values(pipeline->Run(kDefaultSignature, Numbers(numbers), {})->at("c")), right);
}

// While the second segment has the first row, the first has the second one.
TEST_F(PipelineTest, RowsOverlap) {
  std::promise<void> second_row;
  first_ = [&](int value) {
    if (value == 200) second_row.set_value();
    return absl::OkStatus();
  };
  second_ = [&](int value) {
    if (value == 101) second_row.get_future().wait();
    return absl::OkStatus();
  };
  EXPECT_THAT(Values(Make()->Run(kDefaultSignature, Numbers({100, 200}), {})->at("c")), ElementsAre(111, 211));
}

TEST_F(PipelineTest, AFailureEndsTheRequest) {
  second_ = [](int value) { return value == 3 ? absl::UnavailableError("usb:1 is gone") : absl::OkStatus(); };
  const auto pipeline = Make();
  EXPECT_EQ(pipeline->Run(kDefaultSignature, Numbers({1, 2, 3, 4}), {}).status(),
            absl::UnavailableError("usb:1 is gone"));
  EXPECT_TRUE(pipeline->Run(kDefaultSignature, Numbers({1}), {}).ok());
}

TEST_F(PipelineTest, ManyRowsTakeLittleMemoryBesideTheirValues) {
  const auto pipeline = Make();
  std::vector<int32_t> numbers(20000);
  std::iota(numbers.begin(), numbers.end(), 0);
  const TensorMap inputs = Numbers(numbers);
  absl::StatusOr<TensorMap> outputs;
  EXPECT_LT(testing::PeakOf([&] { outputs = pipeline->Run(kDefaultSignature, inputs, {}); }), 3'000'000);
  for (int32_t& number : numbers) number += 11;
  EXPECT_EQ(Values(outputs->at("c")), numbers);
}

TEST_F(PipelineTest, WithoutMemoryTheBoundStaysWhole) {
  queue_ = 1;
  second_ = [](int value) -> absl::Status {
    if (value == 3) throw std::bad_alloc();
    return absl::OkStatus();
  };
  const auto pipeline = Make();
  EXPECT_THROW(static_cast<void>(pipeline->Run(kDefaultSignature, Numbers({2}), {})), std::bad_alloc);
  EXPECT_EQ(pipeline->Run(kDefaultSignature, Numbers({1, 2, 5}), {}).status(),
            absl::ResourceExhaustedError("there is no memory for a row: send fewer rows"));
  EXPECT_TRUE(pipeline->Run(kDefaultSignature, Numbers({1}), {}).ok());
}

TEST_F(PipelineTest, TheBoundCountsAllRequests) {
  queue_ = 2;
  std::atomic<int> begun = 0;
  std::promise<void> end;
  const std::shared_future<void> may_end = end.get_future().share();
  first_ = [&](int) {
    ++begun;
    may_end.wait();
    return absl::OkStatus();
  };
  const auto pipeline = Make();
  const auto ask = [&] { return pipeline->Run(kDefaultSignature, Numbers({1}), {}).status(); };
  auto one = std::async(std::launch::async, ask);
  auto other = std::async(std::launch::async, ask);
  while (begun < 2) std::this_thread::yield();
  EXPECT_EQ(ask().code(), absl::StatusCode::kResourceExhausted);
  end.set_value();
  EXPECT_TRUE(one.get().ok() && other.get().ok());
}

TEST_F(PipelineTest, BoundsTheRowsThatAreUnderWay) {
  queue_ = 2;
  std::promise<void> begun;
  std::promise<void> end;
  const std::shared_future<void> may_end = end.get_future().share();
  first_ = [&](int value) {
    if (value == 0) begun.set_value();
    may_end.wait();
    return absl::OkStatus();
  };
  const auto pipeline = Make();
  // Alone, a request may have more rows than the bound.
  auto large =
      std::async(std::launch::async, [&] { return pipeline->Run(kDefaultSignature, Numbers({0, 1, 2}), {}).status(); });
  begun.get_future().wait();
  EXPECT_EQ(pipeline->Run(kDefaultSignature, Numbers({9}), {}).status(),
            absl::ResourceExhaustedError("m version 1: 3 rows are under way; the bound is 2"));
  end.set_value();
  EXPECT_TRUE(large.get().ok());
  EXPECT_TRUE(pipeline->Run(kDefaultSignature, Numbers({9}), {}).ok());
}

}  // namespace
}  // namespace ems

#include "tflite/runner.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <string>

#include "fake_edgetpu/wrap_model.h"
#include "support/model_maker.h"

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

std::unique_ptr<TfliteRunner> Runner(const std::string& file) { return TfliteRunner::Create(Open(file), {}).value(); }

template <typename T>
Tensor Make(DataType dtype, Shape shape, const std::vector<T>& values) {
  Tensor tensor = MakeTensor(dtype, std::move(shape));
  std::copy(values.begin(), values.end(), tensor.data<T>());
  return tensor;
}

Tensor Floats(Shape shape, const std::vector<float>& values) {
  return Make(DataType::kFloat, std::move(shape), values);
}

template <typename T = float>
std::vector<T> Values(const Tensor& tensor) {
  return {tensor.data<T>(), tensor.data<T>() + tensor.bytes.size() / sizeof(T)};
}

tflite::BuiltinOptionsUnion DivOptions() {
  tflite::BuiltinOptionsUnion options;
  options.Set(tflite::DivOptionsT());
  return options;
}

TEST(TfliteRunner, Computes) {
  const auto runner = Runner(testing::HalfPlusTwoModel());
  const TensorMap outputs = runner->Run("serving_default", {{"x", Floats({3}, {1, 2, 5})}}).value();
  EXPECT_EQ(outputs.at("y").dtype, DataType::kFloat);
  EXPECT_EQ(outputs.at("y").shape, Shape{3});
  EXPECT_THAT(Values(outputs.at("y")), ElementsAre(2.5, 3, 4.5));
}

TEST(TfliteRunner, ChangesTheBatchFromRunToRun) {
  const auto runner = Runner(testing::TwoInputsModel());
  for (const int64_t rows : {1, 7, 2, 64, 1}) {
    const Tensor a = Floats({rows, 2}, std::vector<float>(rows * 2, 3));
    const Tensor b = Floats({rows, 2}, std::vector<float>(rows * 2, 4));
    const TensorMap outputs = runner->Run("serving_default", {{"a", a}, {"b", b}}).value();
    EXPECT_EQ(outputs.at("sum").shape, (Shape{rows, 2}));
    EXPECT_EQ(Values(outputs.at("sum")), std::vector<float>(rows * 2, 7));
    EXPECT_EQ(Values(outputs.at("product")), std::vector<float>(rows * 2, 12));
  }
}

TEST(TfliteRunner, RunsEachSignatureOnItsGraph) {
  const auto runner = Runner(testing::TwoSignaturesModel());
  for (int round = 0; round < 2; ++round) {
    const TensorMap inputs = {{"x", Floats({2}, {1, 2})}};
    EXPECT_THAT(Values(runner->Run("triple", inputs)->at("y")), ElementsAre(3, 6));
    EXPECT_THAT(Values(runner->Run("serving_default", inputs)->at("y")), ElementsAre(2, 4));
  }
  EXPECT_EQ(runner->Run("other", {}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TfliteRunner, PassesStringsOfAnyLengthAndBytes) {
  const auto runner = Runner(testing::StringEchoModel());
  Tensor text = MakeTensor(DataType::kString, {3});
  text.strings = {"", std::string("\0\xff", 2), std::string(100000, 'a')};
  const TensorMap outputs = runner->Run("serving_default", {{"text", text}}).value();
  EXPECT_EQ(outputs.at("echo_bytes").strings, text.strings);
  EXPECT_EQ(outputs.at("echo_bytes").shape, Shape{3});
}

TEST(TfliteRunner, PassesEveryType) {
  const auto runner = Runner(testing::ManyTypesModel());
  const auto model = Open(testing::ManyTypesModel());
  TensorMap inputs = ZeroInputs(model->signatures().at("serving_default"));
  for (auto& [key, tensor] : inputs) {
    // Bytes of 0 and 1 are valid in every type, bool too.
    for (size_t i = 0; i < tensor.bytes.size(); ++i) tensor.bytes[i] = static_cast<char>(i % 2);
  }
  const TensorMap outputs = runner->Run("serving_default", inputs).value();
  EXPECT_EQ(outputs.size(), inputs.size());
  for (const auto& [key, tensor] : inputs) {
    EXPECT_EQ(outputs.at(key + "_out").dtype, tensor.dtype) << key;
    EXPECT_EQ(outputs.at(key + "_out").bytes, tensor.bytes) << key;
  }
}

TEST(TfliteRunner, GivesScalars) {
  const auto runner = Runner(testing::ScalarModel());
  const TensorMap outputs = runner->Run("serving_default", {{"x", Floats({3}, {1, 2, 3})}}).value();
  EXPECT_EQ(outputs.at("y").shape, Shape{});
  EXPECT_THAT(Values(outputs.at("y")), ElementsAre(6));
}

TEST(TfliteRunner, ReadsDigits) {
  const auto model = TfliteModel::Open(EMS_DIGITS "/digits.tflite").value();
  const auto runner = TfliteRunner::Create(model, {}).value();
  const Signature& signature = model->signatures().at("serving_default");
  const std::string raw = testing::ReadFile(EMS_DIGITS "/digit-5.raw");
  Tensor image = MakeTensor(DataType::kInt8, {1, 8, 8, 1});
  ASSERT_EQ(raw.size(), image.bytes.size());
  image.bytes = raw;
  const TensorMap outputs = runner->Run("serving_default", {{signature.inputs.begin()->first, image}}).value();
  const std::vector<int8_t> scores = Values<int8_t>(outputs.begin()->second);
  ASSERT_EQ(scores.size(), 10);
  EXPECT_EQ(std::max_element(scores.begin(), scores.end()) - scores.begin(), 5);
}

TEST(TfliteRunner, SaysWhyAKernelFailed) {
  const auto runner = Runner(testing::FailingModel());
  const auto run = [&](int32_t index) {
    return runner->Run("serving_default", {{"index", Make<int32_t>(DataType::kInt32, {1}, {index})}});
  };
  EXPECT_EQ(run(7).status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(run(7).status().message()), HasSubstr("gather index out of bounds"));
  EXPECT_THAT(Values(run(1)->at("y")), ElementsAre(2));
}

// TensorFlow Lite 2.14 divides by zero and dies of the signal.
TEST(TfliteRunner, RefusesIntegerDivisionsThatEndTheProcess) {
  const auto divide = [](tflite::BuiltinOperator op, int32_t a, int32_t b) {
    ModelMaker maker;
    const int x = maker.Tensor("a", tflite::TensorType_INT32, {1});
    const int by = maker.Tensor("b", tflite::TensorType_INT32, {1});
    const int y = maker.Tensor("y", tflite::TensorType_INT32, {1});
    maker.Operator(op, {x, by}, {y}, op == tflite::BuiltinOperator_DIV ? DivOptions() : tflite::BuiltinOptionsUnion());
    maker.Inputs({x, by});
    maker.Outputs({y});
    return Runner(maker.File())
        ->Run("serving_default",
              {{"a", Make<int32_t>(DataType::kInt32, {1}, {a})}, {"b", Make<int32_t>(DataType::kInt32, {1}, {b})}});
  };
  constexpr int32_t kLowest = std::numeric_limits<int32_t>::min();
  for (const auto op :
       {tflite::BuiltinOperator_DIV, tflite::BuiltinOperator_FLOOR_DIV, tflite::BuiltinOperator_FLOOR_MOD}) {
    EXPECT_THAT(std::string(divide(op, 7, 0).status().message()), HasSubstr("integer division by zero"));
    EXPECT_THAT(std::string(divide(op, kLowest, -1).status().message()), HasSubstr("integer division overflows"));
    EXPECT_EQ(Values<int32_t>(divide(op, 7, 2)->at("y")).front(), op == tflite::BuiltinOperator_FLOOR_MOD ? 1 : 3);
  }
}

TEST(TfliteRunner, RecoversFromShapesThatTheModelRefuses) {
  const auto runner = Runner(testing::TwoInputsModel());
  const auto run = [&](int64_t a, int64_t b) {
    return runner->Run("serving_default", {{"a", Floats({a, 2}, std::vector<float>(a * 2, 1))},
                                           {"b", Floats({b, 2}, std::vector<float>(b * 2, 2))}});
  };
  EXPECT_EQ(run(2, 3).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(run(2, 3).status().message()), HasSubstr("the model refuses the shapes: "));
  EXPECT_THAT(Values(run(2, 2)->at("sum")), ElementsAre(3, 3, 3, 3));
}

TEST(TfliteRunner, DoesNotReadPastAnInput) {
  const auto runner = Runner(testing::FixedBatchModel());
  Tensor small = Floats({1, 4}, {1, 2, 3, 4});
  small.bytes.resize(4);
  EXPECT_EQ(runner->Run("serving_default", {{"x", small}}).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(runner->Run("serving_default", {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(runner->Run("serving_default", {{"x", MakeTensor(DataType::kInt32, {1, 4})}}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(TfliteRunner, TakesAModelWithoutOperators) {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {-1});
  maker.Inputs({x});
  maker.Outputs({x});
  const auto runner = Runner(maker.File());
  EXPECT_THAT(Values(runner->Run("serving_default", {{"x", Floats({2}, {1, 2})}})->at("x")), ElementsAre(1, 2));
}

TEST(TfliteRunner, CountsItsArena) {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {1, 100000});
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, {1, 100000});
  maker.HalfPlusTwo(x, y);
  maker.Inputs({x});
  maker.Outputs({y});
  EXPECT_GE(Runner(maker.File())->arena_bytes(), 800000);
}

TEST(TfliteRunner, SendsACustomOperatorToADelegate) {
  const auto refusal = [](const std::string& file) {
    return std::string(TfliteRunner::Create(Open(file), {}).status().message());
  };
  EXPECT_EQ(refusal(fake_edgetpu::WrapModel(testing::FixedBatchModel())),
            "the CPU cannot compute the custom operator edgetpu-custom-op: the model is compiled for the Edge TPU: "
            "connect one and set --delegate and --device");
  EXPECT_THAT(refusal(testing::CustomOperatorModel("ethos-u", "")), HasSubstr("ethos-u: set --delegate"));
}

TEST(TfliteRunner, TellsAModelThatCannotBePrepared) {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {3});
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, {2});
  maker.Copy(x, y, {2});  // three elements into two
  maker.Inputs({x});
  maker.Outputs({y});
  const auto runner = TfliteRunner::Create(Open(maker.File()), {});
  EXPECT_EQ(runner.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(runner.status().message()), HasSubstr("cannot prepare the model"));
}

RunnerOptions WithDelegate(const std::string& library) {
  RunnerOptions options;
  options.delegate = library;
  options.delegate_options = {{"device", "usb:0"}};
  return options;
}

TEST(TfliteRunner, TellsADelegateThatIsMissingOrNone) {
  const auto create = [](const std::string& library) {
    return TfliteRunner::Create(Open(testing::FixedBatchModel()), WithDelegate(library)).status();
  };
  EXPECT_EQ(create("libnone.so.1").code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(create("libnone.so.1").message()), HasSubstr("libnone.so.1: cannot open shared object"));
  EXPECT_EQ(create("libz.so.1").code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(create("libz.so.1").message()), HasSubstr("is no TensorFlow Lite delegate"));
}

TEST(TfliteRunner, TellsWhyADelegateRefuses) {
  const auto runner =
      TfliteRunner::Create(Open(testing::FixedBatchModel()), WithDelegate(EMS_TEST_DELEGATE "_refusing.so"));
  EXPECT_EQ(runner.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(runner.status().message()), HasSubstr("did not start: no device usb:0"));
}

TEST(ZeroInputs, FitTheSignature) {
  Signature signature;
  signature.inputs["a"] = {DataType::kInt16, {-1, 3}, "a"};
  signature.inputs["b"] = {DataType::kString, {2}, "b"};
  const TensorMap inputs = ZeroInputs(signature);
  EXPECT_EQ(inputs.at("a").shape, (Shape{1, 3}));
  EXPECT_TRUE(IsWhole(inputs.at("a")));
  EXPECT_EQ(inputs.at("b").strings.size(), 2);
}

}  // namespace
}  // namespace ems

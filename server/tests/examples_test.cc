// Texts: tensorflow_serving/servables/tensorflow/{classifier.cc@155a929e,regressor.cc@1c4fab79,util.cc@0483edb6}.
#include "codec/examples.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "codec/tensor_proto.h"
#include "google/protobuf/text_format.h"
#include "tensorflow/core/example/example.pb.h"
#include "tensors.h"

namespace ems {
namespace {

using tensorflow::Example;
using tensorflow::serving::Input;
using testing::ElementsAre;

Input Parse(const std::string& text) {
  Input input;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &input)) << text;
  return input;
}

// An example of one feature "x".
std::string X(const std::string& value) {
  return "examples { features { feature { key: 'x' value { " + value + " } } } } ";
}

Input Xs(const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += X(value);
  return Parse("example_list { " + text + "}");
}

Signature OneInput(DataType dtype, const Shape& shape) {
  Signature signature;
  signature.inputs["x"].dtype = dtype;
  signature.inputs["x"].shape = shape;
  return signature;
}

template <typename T>
std::vector<T> Elements(const Tensor& tensor) {
  EXPECT_EQ(sizeof(T), ElementSize(tensor.dtype));
  return std::vector<T>(tensor.data<T>(), tensor.data<T>() + tensor.bytes.size() / sizeof(T));
}

Tensor Read(const Input& input, DataType dtype, const Shape& shape) {
  absl::StatusOr<TensorMap> inputs = InputsOfExamples(input, OneInput(dtype, shape));
  EXPECT_TRUE(inputs.ok()) << inputs.status();
  if (!inputs.ok()) return {};
  EXPECT_TRUE(IsWhole(inputs->at("x")));
  return inputs->at("x");
}

TEST(InputsOfExamples, TakesTheFeatureOfTheInputsName) {
  const Input floats = Xs({"float_list { value: [1, 2] }", "float_list { value: [3, 4] }"});
  EXPECT_EQ(Read(floats, DataType::kFloat, {-1, 2}).shape, Shape({2, 2}));
  EXPECT_EQ(Read(floats, DataType::kFloat, {1, 1, 2, 1}).shape, Shape({2, 1, 2, 1}));
  EXPECT_EQ(Read(floats, DataType::kFloat, {-1, -1, 1}).shape, Shape({2, 2, 1}));
  EXPECT_THAT(Elements<float>(Read(floats, DataType::kFloat, {-1, 2})), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Elements<double>(Read(floats, DataType::kDouble, {-1, 2})), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Elements<uint16_t>(Read(floats, DataType::kHalf, {-1, 2})), ElementsAre(0x3c00, 0x4000, 0x4200, 0x4400));
  EXPECT_EQ(Read(Xs({"float_list { value: 1 }"}), DataType::kFloat, {-1}).shape, Shape({1}));
}

TEST(InputsOfExamples, ConvertsWholeNumbers) {
  const Input ints = Xs({"int64_list { value: 0 }", "int64_list { value: 1 }"});
  EXPECT_THAT(Elements<float>(Read(ints, DataType::kFloat, {-1})), ElementsAre(0, 1));
  EXPECT_THAT(Elements<double>(Read(ints, DataType::kDouble, {-1})), ElementsAre(0, 1));
  EXPECT_THAT(Elements<uint16_t>(Read(ints, DataType::kHalf, {-1})), ElementsAre(0, 0x3c00));
  EXPECT_THAT(Elements<int8_t>(Read(ints, DataType::kInt8, {-1})), ElementsAre(0, 1));
  EXPECT_THAT(Elements<int16_t>(Read(ints, DataType::kInt16, {-1})), ElementsAre(0, 1));
  EXPECT_THAT(Elements<int32_t>(Read(ints, DataType::kInt32, {-1})), ElementsAre(0, 1));
  EXPECT_THAT(Elements<int64_t>(Read(ints, DataType::kInt64, {-1})), ElementsAre(0, 1));
  EXPECT_THAT(Elements<uint8_t>(Read(ints, DataType::kUint8, {-1})), ElementsAre(0, 1));
  EXPECT_THAT(Elements<uint16_t>(Read(ints, DataType::kUint16, {-1})), ElementsAre(0, 1));
  EXPECT_THAT(Elements<uint32_t>(Read(ints, DataType::kUint32, {-1})), ElementsAre(0, 1));
  EXPECT_THAT(Elements<uint64_t>(Read(ints, DataType::kUint64, {-1})), ElementsAre(0, 1));
  EXPECT_THAT(Elements<bool>(Read(ints, DataType::kBool, {-1})), ElementsAre(false, true));
}

TEST(InputsOfExamples, SerializesForASingleStringInput) {
  const Input input = Parse(
      "example_list_with_context { context { features { feature { key: 'c' value { int64_list { "
      "value: 7 } } } } } " +
      X("bytes_list { value: 'a' }") + "examples {} }");
  const Tensor tensor = Read(input, DataType::kString, {-1});
  EXPECT_EQ(tensor.shape, Shape({2}));
  Example example;
  ASSERT_TRUE(example.ParseFromString(tensor.strings[0]));
  EXPECT_EQ(example.features().feature().at("c").int64_list().value(0), 7);
  EXPECT_EQ(example.features().feature().at("x").bytes_list().value(0), "a");
  ASSERT_TRUE(example.ParseFromString(tensor.strings[1]));
  EXPECT_EQ(example.features().feature_size(), 1);
}

TEST(InputsOfExamples, ReadsSeveralInputsAndTheContext) {
  Signature signature = OneInput(DataType::kString, {-1});
  signature.inputs["c"].dtype = DataType::kInt32;
  signature.inputs["c"].shape = {-1, 1};
  const Input input = Parse(
      "example_list_with_context { context { features { feature { key: 'c' value { int64_list { value: 7 } } } } } " +
      X("bytes_list { value: 'a' }") +
      "examples { features { feature { key: 'x' value { bytes_list { value: 'b' } } } "
      "feature { key: 'c' value { int64_list { value: 8 } } } } } }");
  const absl::StatusOr<TensorMap> inputs = InputsOfExamples(input, signature);
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_THAT(inputs->at("x").strings, ElementsAre("a", "b"));
  EXPECT_THAT(Elements<int32_t>(inputs->at("c")), ElementsAre(7, 8));
  EXPECT_EQ(inputs->at("c").shape, Shape({2, 1}));
}

TEST(InputsOfExamples, RoundsFloatsToHalf) {
  const Input input = Xs({"float_list { value: [65519, -inf] }"});
  EXPECT_THAT(Elements<uint16_t>(Read(input, DataType::kHalf, {-1, 2})), ElementsAre(0x7bff, 0xfc00));
}

TEST(InputsOfExamples, LimitsWhatTheContextIsRepeatedFor) {
  std::string text =
      "example_list_with_context { context { features { feature { key: 'x' value { bytes_list { value: '";
  text += std::string(kMostRepeatedBytes / 4, 'a') + "' } } } } } ";
  const Input four = Parse(text + "examples {} examples {} examples {} examples {} }");
  Signature two = OneInput(DataType::kString, {-1});
  two.inputs["y"] = two.inputs["x"];
  const absl::Status status =
      absl::InvalidArgumentError("The context takes more than 64 MiB when each example has it. Send fewer examples.");
  EXPECT_EQ(InputsOfExamples(four, two).status(), status);
  EXPECT_EQ(InputsOfExamples(four, OneInput(DataType::kString, {-1})).status(), status);
  EXPECT_TRUE(InputsOfExamples(Parse(text + "examples {} examples {} }"), OneInput(DataType::kString, {-1})).ok());
}

struct Refusal {
  DataType dtype;
  Shape shape;
  std::vector<std::string> values;
  std::string text;
};

TEST(InputsOfExamples, RefusesFeaturesThatDoNotFit) {
  const std::string first = "Example: 0, Feature: x (data type: ";
  const std::vector<Refusal> refusals = {
      {DataType::kFloat, {-1, 2}, {"float_list { value: 1 }"}, first + "float) has 1 values, expected 2."},
      {DataType::kFloat,
       {-1},
       {"float_list { value: 1 }", ""},
       "Example: 1, Feature: x (data type: float) has 0 values, "
       "expected 1."},
      {DataType::kFloat,
       {-1, -1, 2},
       {"float_list { value: [1, 2, 3] }"},
       first + "float) has 3 values, expected a multiple of 2."},
      {DataType::kFloat,
       {-1, -1},
       {"float_list { value: [1, 2] }", "float_list { value: 1 }"},
       "Example: 1, Feature: x (data type: float) has 1 values, expected 2."},
      {DataType::kFloat, {-1, -1, 0}, {""}, first + "float) has 0 values, expected a multiple of 0."},
      {DataType::kInt32, {-1}, {"float_list { value: 1 }"}, first + "int32) is a list of floats."},
      {DataType::kFloat, {-1}, {"bytes_list { value: '1' }"}, first + "float) is a list of bytes."},
      {DataType::kInt8, {-1}, {"int64_list { value: 128 }"}, first + "int8) cannot hold 128."},
      {DataType::kUint64, {-1}, {"int64_list { value: -1 }"}, first + "uint64) cannot hold -1."},
      {DataType::kBool, {-1}, {"int64_list { value: 2 }"}, first + "bool) cannot hold 2."},
      {DataType::kFloat, {-1}, {"int64_list { value: 16777216 }"}, first + "float) cannot hold 16777216."},
      {DataType::kHalf, {-1}, {"int64_list { value: -2048 }"}, first + "half) cannot hold -2048."},
      {DataType::kHalf, {-1}, {"float_list { value: -65520 }"}, first + "half) cannot hold -65520."},
  };
  for (const Refusal& refusal : refusals) {
    EXPECT_EQ(InputsOfExamples(Xs(refusal.values), OneInput(refusal.dtype, refusal.shape)).status(),
              absl::InvalidArgumentError(refusal.text));
  }
  const Signature floats = OneInput(DataType::kFloat, {-1});
  EXPECT_EQ(InputsOfExamples(Parse("example_list { examples {} }"), floats).status(),
            absl::InvalidArgumentError(first + "float) is required but could not be found."));
  Signature strings = OneInput(DataType::kString, {-1});
  strings.inputs["y"] = strings.inputs["x"];
  EXPECT_EQ(InputsOfExamples(Xs({"int64_list { value: 1 }"}), strings).status(),
            absl::InvalidArgumentError(first + "string) is a list of whole numbers."));
  for (const char* text : {"", "example_list {}", "example_list_with_context { context {} }"}) {
    EXPECT_EQ(InputsOfExamples(Parse(text), floats).status(), absl::InvalidArgumentError("Input is empty."));
  }
  EXPECT_EQ(InputsOfExamples(Xs({""}), OneInput(DataType::kFloat, {})).status(),
            absl::FailedPreconditionError("Input x has no dimension for examples."));
  EXPECT_EQ(InputsOfExamples(Xs({""}), OneInput(DataType::kFloat, {-1, -1, -1})).status(),
            absl::FailedPreconditionError("Input x has more than one unknown size: [?,?,?]"));
}

Signature Outputs(const std::vector<std::string>& names) {
  Signature signature;
  for (const std::string& name : names) signature.outputs[name].dtype = DataType::kFloat;
  return signature;
}

TEST(CheckSignature, NeedsTheOutputsOfTheMethod) {
  EXPECT_TRUE(CheckClassifySignature(Outputs({"scores"})).ok());
  EXPECT_TRUE(CheckClassifySignature(Outputs({"classes", "scores"})).ok());
  EXPECT_EQ(CheckClassifySignature(Outputs({"classes", "scores", "x"})),
            absl::InvalidArgumentError("Expected one or two output Tensors, found 3"));
  EXPECT_EQ(CheckClassifySignature(Outputs({"x", "y"})),
            absl::FailedPreconditionError("Expected classification signature outputs to contain at least one of "
                                          "\"classes\" or \"scores\". Signature was: {x, y}"));
  EXPECT_TRUE(CheckRegressSignature(Outputs({"outputs"})).ok());
  EXPECT_EQ(CheckRegressSignature(Outputs({"outputs", "x"})),
            absl::InvalidArgumentError("Expected one output Tensor."));
  EXPECT_EQ(CheckRegressSignature(Outputs({"x"})),
            absl::FailedPreconditionError("No regression outputs found in SignatureDef: {x}"));
}

TEST(Classifications, PairLabelsAndScores) {
  const Tensor classes = Strings({2, 2}, {"a", "b", "c", "d"});
  const Tensor scores = Floats({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(Classifications({{"classes", classes}, {"scores", scores}}, 2)->ShortDebugString(),
            "classifications { classes { label: \"a\" score: 1 } classes { label: \"b\" score: 2 } } "
            "classifications { classes { label: \"c\" score: 3 } classes { label: \"d\" score: 4 } }");
  EXPECT_EQ(Classifications({{"scores", Floats({1, 1}, {0.5})}}, 1)->ShortDebugString(),
            "classifications { classes { score: 0.5 } }");
  EXPECT_EQ(Classifications({{"classes", Strings({1, 1}, {"a"})}}, 1)->ShortDebugString(),
            "classifications { classes { label: \"a\" } }");
}

struct BadOutputs {
  TensorMap outputs;
  std::string text;
};

TEST(Classifications, RefuseOtherOutputs) {
  const std::vector<BadOutputs> bad = {
      {{{"scores", Floats({2}, {1, 2})}}, "Expected Tensor shape: [batch_size num_classes] but got [2]"},
      {{{"scores", Strings({2, 1}, {"", ""})}}, "Expected scores Tensor of DT_FLOAT. Got: DT_STRING"},
      {{{"classes", Floats({2, 1}, {1, 2})}}, "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"},
      {{{"scores", Floats({1, 2}, {1, 2})}}, "Expected scores output batch size of 2. Got: 1"},
      {{{"classes", Strings({1, 1}, {""})}}, "Expected classes output batch size of 2. Got: 1"},
      {{{"classes", Strings({2, 1}, {"", ""})}, {"scores", Floats({2, 2}, {1, 2, 3, 4})}},
       "Tensors class and score should match in dim_size(1). Got 1 vs. 2"},
  };
  for (const BadOutputs& outputs : bad) {
    EXPECT_EQ(Classifications(outputs.outputs, 2).status(), absl::InvalidArgumentError(outputs.text));
  }
}

TEST(Regressions, ReturnAValueForEachExample) {
  for (const Shape& shape : {Shape({2}), Shape({2, 1})}) {
    EXPECT_EQ(Regressions({{"outputs", Floats(shape, {1, 2})}}, 2)->ShortDebugString(),
              "regressions { value: 1 } regressions { value: 2 }");
  }
}

TEST(Regressions, RefuseOtherOutputs) {
  const std::vector<BadOutputs> bad = {
      {{}, "Could not find output tensor 'outputs'"},
      {{{"outputs", Floats({1, 2}, {1, 2})}},
       "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [1,2]"},
      {{{"outputs", Floats({}, {1})}},
       "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got []"},
      {{{"outputs", Floats({1}, {1})}}, "Input batch size did not match output batch size: 2 vs. 1"},
      {{{"outputs", Strings({2}, {"", ""})}}, "Expected output Tensor of DT_FLOAT.  Got: DT_STRING"},
  };
  for (const BadOutputs& outputs : bad) {
    EXPECT_EQ(Regressions(outputs.outputs, 2).status(), absl::InvalidArgumentError(outputs.text));
  }
}

}  // namespace
}  // namespace ems

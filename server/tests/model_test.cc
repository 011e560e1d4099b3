#include "tflite/model.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "fake_edgetpu/wrap_model.h"
#include "support/model_maker.h"

namespace ems {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ModelMaker;
using ::testing::Pair;
using testing::TemporaryFolder;
using ::testing::UnorderedElementsAre;

absl::StatusOr<std::shared_ptr<const TfliteModel>> Open(const std::string& file) {
  const TemporaryFolder folder;
  return TfliteModel::Open(folder.Write("model.tflite", file));
}

std::string Refusal(const std::string& file) {
  const auto model = Open(file);
  EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(model.status().message());
}

TEST(TfliteModel, ReadsItsOwnSignatures) {
  const auto model = Open(testing::TwoSignaturesModel()).value();
  ASSERT_EQ(model->signatures().size(), 2);
  const Signature& triple = model->signatures().at("triple");
  EXPECT_EQ(triple.method_name, "tensorflow/serving/predict");
  EXPECT_EQ(triple.inputs.at("x").dtype, DataType::kFloat);
  EXPECT_EQ(triple.inputs.at("x").shape, Shape{-1});
  EXPECT_EQ(triple.inputs.at("x").tensor_name, "triple_x");
  EXPECT_EQ(model->tensors().at("triple").subgraph, 1);
}

// TensorFlow Serving's place for signatures (signature_def_util.cc of TensorFlow Lite).
TEST(TfliteModel, ReadsTensorFlowServingsMetadata) {
  const auto model = Open(testing::ServingSignaturesModel()).value();
  ASSERT_EQ(model->signatures().size(), 2);
  EXPECT_EQ(model->signatures().at("serving_default").inputs.at("in").tensor_name, "x:0");
  EXPECT_EQ(model->signatures().at("serving_default").outputs.at("out").tensor_name, "y");
  EXPECT_EQ(model->signatures().at("regress").method_name, kRegressMethod);
}

TEST(TfliteModel, FallsBackToTheTensorsNames) {
  const auto model = Open(testing::NoSignatureModel()).value();
  ASSERT_EQ(model->signatures().size(), 1);
  const Signature& signature = model->signatures().at(kDefaultSignature);
  EXPECT_EQ(signature.method_name, kPredictMethod);
  EXPECT_THAT(signature.inputs, ElementsAre(Pair("x", ::testing::_)));
  EXPECT_EQ(signature.inputs.at("x").shape, Shape{-1});
  EXPECT_THAT(signature.outputs, ElementsAre(Pair("y", ::testing::_)));
}

TEST(TfliteModel, NumbersTensorsThatShareAName) {
  ModelMaker maker;
  const int first = maker.Tensor("x", tflite::TensorType_FLOAT32, {1});
  const int second = maker.Tensor("x:0", tflite::TensorType_FLOAT32, {1});
  const int nameless = maker.Tensor("", tflite::TensorType_FLOAT32, {1});
  maker.Inputs({first, second, nameless});
  maker.Outputs({first});
  const auto model = Open(maker.File()).value();
  EXPECT_THAT(model->tensors().at(kDefaultSignature).inputs,
              UnorderedElementsAre(Pair("x", first), Pair("x_1", second), Pair("input", nameless)));
}

TEST(TfliteModel, AnswersForASingleSignatureAsTheDefault) {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {-1});
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, {-1});
  maker.HalfPlusTwo(x, y);
  maker.Inputs({x});
  maker.Outputs({y});
  maker.Signature("serve", {{"a", x}}, {{"b", y}});
  const auto model = Open(maker.File()).value();
  EXPECT_EQ(model->signatures().size(), 2);
  EXPECT_EQ(model->signatures().at(kDefaultSignature).inputs.count("a"), 1);
}

TEST(TfliteModel, KnowsEveryType) {
  const auto model = Open(testing::ManyTypesModel()).value();
  const auto& inputs = model->signatures().at(kDefaultSignature).inputs;
  const std::map<std::string, DataType> types = {
      {"float", DataType::kFloat},   {"double", DataType::kDouble}, {"half", DataType::kHalf},
      {"int8", DataType::kInt8},     {"int16", DataType::kInt16},   {"int32", DataType::kInt32},
      {"int64", DataType::kInt64},   {"uint8", DataType::kUint8},   {"uint16", DataType::kUint16},
      {"uint32", DataType::kUint32}, {"uint64", DataType::kUint64}, {"bool", DataType::kBool}};
  for (const auto& [name, type] : types) EXPECT_EQ(inputs.at(name).dtype, type) << name;
  EXPECT_EQ(inputs.size(), types.size());
}

TEST(TfliteModel, ReadsTheDigitsModel) {
  const auto model = TfliteModel::Open(EMS_DIGITS "/digits.tflite").value();
  ASSERT_EQ(model->signatures().count(kDefaultSignature), 1);
  const Signature& signature = model->signatures().at(kDefaultSignature);
  ASSERT_EQ(signature.inputs.size(), 1);
  const TensorSpec& input = signature.inputs.begin()->second;
  EXPECT_EQ(input.dtype, DataType::kInt8);
  EXPECT_EQ(input.shape, (Shape{1, 8, 8, 1}));
  const SignatureTensors& tensors = model->tensors().at(kDefaultSignature);
  EXPECT_GT(model->quantisation(tensors.subgraph, tensors.inputs.begin()->second).scale, 0);
}

TEST(TfliteModel, NamesCustomOperatorsForADelegate) {
  const auto edgetpu = Open(fake_edgetpu::WrapModel(testing::FixedBatchModel())).value();
  EXPECT_THAT(edgetpu->custom_operators(), ElementsAre("edgetpu-custom-op"));
  EXPECT_TRUE(edgetpu->has_edgetpu_op());
  const auto other = Open(testing::CustomOperatorModel("ethos-u", "")).value();
  EXPECT_THAT(other->custom_operators(), ElementsAre("ethos-u"));
  EXPECT_FALSE(other->has_edgetpu_op());
  EXPECT_THAT(Open(testing::CustomOperatorModel("TFLite_Detection_PostProcess", "")).value()->custom_operators(),
              ElementsAre());
}

TEST(TfliteModel, TellsAnOperatorThatIsTooNew) {
  EXPECT_THAT(Refusal(testing::UnknownVersionModel()),
              HasSubstr("operator ADD has version 99, but TensorFlow Lite 2.14.1 knows it up to 5: convert"));
}

TEST(TfliteModel, TellsAnOperatorThatItDoesNotHave) {
  ModelMaker maker;
  maker.Operator(static_cast<tflite::BuiltinOperator>(tflite::BuiltinOperator_MAX + 10), {}, {});
  EXPECT_THAT(Refusal(maker.File()), HasSubstr("has no operator"));
}

TEST(TfliteModel, TellsAFlexOperator) {
  EXPECT_THAT(Refusal(testing::CustomOperatorModel("FlexErf", "")),
              HasSubstr("operator FlexErf is TensorFlow's own: convert the model without SELECT_TF_OPS"));
}

TEST(TfliteModel, TellsANewerSchema) {
  ModelMaker maker;
  maker.model().version = 4;
  EXPECT_THAT(Refusal(maker.File()), HasSubstr("schema version 4, but this server reads version 3"));
}

TEST(TfliteModel, TellsAFileThatIsCutAtAnyPlace) {
  const std::string whole = testing::HalfPlusTwoModel();
  for (size_t size = 0; size < whole.size(); size += 7) {
    EXPECT_THAT(Refusal(whole.substr(0, size)), HasSubstr("copy it again")) << size;
  }
}

TEST(TfliteModel, TellsWhatIsNoModel) {
  EXPECT_THAT(Refusal("A text that is no model."), HasSubstr("no TensorFlow Lite model"));
}

TEST(TfliteModel, TellsAMissingAndAnUnreadableFile) {
  EXPECT_EQ(TfliteModel::Open("/nonexistent/model.tflite").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(TfliteModel::Map("/nonexistent/model.tflite").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(TfliteModel::Open("/").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TfliteModel, IsACopyOfItsFile) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.Write("model.tflite", testing::HalfPlusTwoModel());
  const auto model = TfliteModel::Open(path).value();
  EXPECT_EQ(model->path(), path);
  // As cp does: into the same file. A mapped file would end this process.
  std::ofstream(path, std::ios::trunc) << "TFL3";
  EXPECT_EQ(model->quantisation(0, 0).scale, 0);  // reads the model
  const auto mapped = TfliteModel::Map(model->shared_path()).value();
  EXPECT_EQ(mapped->signatures().size(), model->signatures().size());
}

TEST(TfliteModel, CountsItsMemoryWhileItExists) {
  const testing::TemporaryFolder folder;
  const std::string file = testing::HalfPlusTwoModel();
  const std::string path = folder.Write("model.tflite", file);
  const auto budget = MemoryBudget::Create(file.size());
  {
    const auto model = TfliteModel::Open(path, budget).value();
    EXPECT_EQ(budget->used(), file.size());
    EXPECT_EQ(TfliteModel::Open(path, budget).status().code(), absl::StatusCode::kResourceExhausted);
  }
  EXPECT_EQ(budget->used(), 0);
}

TEST(TfliteModel, RefusesAModelWithoutAGraph) {
  ModelMaker maker;
  maker.model().subgraphs.clear();
  EXPECT_THAT(Refusal(maker.File()), HasSubstr("has no graph"));
}

TEST(TfliteModel, RefusesSignaturesOfTensorsThatDoNotExist) {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {1});
  maker.Signature("far", {{"x", 99}}, {{"y", x}});
  EXPECT_THAT(Refusal(maker.File()), HasSubstr("signature far: the tensor x has the index 99, which is none"));
  maker.model().signature_defs.front()->subgraph_index = 7;
  EXPECT_THAT(Refusal(maker.File()), HasSubstr("signature far: subgraph 7 does not exist"));
}

TEST(TfliteModel, RefusesASignatureThatLeavesAnInputOut) {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {1});
  const int secret = maker.Tensor("secret", tflite::TensorType_FLOAT32, {1});
  maker.Inputs({x, secret});
  maker.Outputs({x});
  maker.Signature("serving_default", {{"x", x}}, {{"y", x}});
  EXPECT_THAT(Refusal(maker.File()), HasSubstr("no input of the signature sets the model's input secret"));
}

TEST(TfliteModel, RefusesTypesThatNobodyCanSend) {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_RESOURCE, {1});
  maker.Inputs({x});
  maker.Outputs({x});
  EXPECT_THAT(Refusal(maker.File()), HasSubstr("the tensor x has the type RESOURCE, which clients cannot send"));
}

TEST(TfliteModel, RefusesDamagedServingMetadata) {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {1});
  maker.Inputs({x});
  maker.Outputs({x});
  maker.Metadata("signature_defs_metadata", "\x01\x7f\xff\xff\xff");
  EXPECT_THAT(Refusal(maker.File()), HasSubstr("signature_defs_metadata"));
  ModelMaker missing;
  missing.Tensor("x", tflite::TensorType_FLOAT32, {1});
  missing.ServingSignatures({{"serving_default", {{{"in", "z:0"}}, {}, ""}}});
  EXPECT_THAT(Refusal(missing.File()), HasSubstr("the tensor in is \"z:0\", which does not exist"));
}

// Whatever the bytes are, opening ends with a status.
TEST(TfliteModel, SurvivesEveryFlippedByte) {
  const std::string whole = testing::ServingSignaturesModel();
  const TemporaryFolder folder;
  for (size_t i = 8; i < whole.size(); ++i) {
    std::string broken = whole;
    broken[i] = static_cast<char>(broken[i] ^ 0xFF);
    (void)TfliteModel::Open(folder.Write("model.tflite", broken));
  }
}

}  // namespace
}  // namespace ems

#include <gmock/gmock.h>

#include <string>

#include "base/clock.h"
#include "loader/loader.h"
#include "model/rows.h"
#include "support/images.h"
#include "support/model_maker.h"

namespace ems {
namespace {

using ::testing::ElementsAre;
using testing::EncodePng;
using ::testing::HasSubstr;
using testing::ModelMaker;
using testing::Paint;
using testing::TemporaryFolder;

std::vector<float> Floats(const Tensor& tensor) {
  return {tensor.data<float>(), tensor.data<float>() + tensor.bytes.size() / sizeof(float)};
}

// x float [-1,4] -> y = x: scores that the client gives.
std::string ScoresModel(tflite::TensorType type) {
  ModelMaker maker;
  const int x = maker.Tensor("x", type, {-1, 4});
  const int y = maker.Tensor("y", type, {-1, 4});
  maker.Copy(x, y, {-1, 4});
  maker.Inputs({x});
  maker.Outputs({y});
  auto quantisation = std::make_unique<tflite::QuantizationParametersT>();
  quantisation->scale = {0.5F};
  quantisation->zero_point = {-4};
  if (type == tflite::TensorType_INT8) maker.model().subgraphs[0]->tensors[y]->quantization = std::move(quantisation);
  return maker.File();
}

class ExtrasTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Servable>> Load(const std::string& model, const std::string& sidecar) {
    folder_.Write("model.tflite", model);
    if (!sidecar.empty()) folder_.Write("edge_model.pbtxt", sidecar);
    return TfliteLoader({}).Load({"m", 1}, folder_.path());
  }
  std::string Refusal(const std::string& model, const std::string& sidecar) {
    const auto servable = Load(model, sidecar);
    EXPECT_FALSE(servable.ok());
    return std::string(servable.status().message());
  }
  // As api does: checks, then runs.
  static absl::StatusOr<TensorMap> Run(Servable& servable, const TensorMap& inputs) {
    const absl::StatusOr<int64_t> runs = CheckInputs(servable.signatures().at("serving_default"), inputs);
    if (!runs.ok()) return runs.status();
    return servable.Run("serving_default", inputs, {});
  }
  static Tensor Files(const std::vector<std::string>& files, Shape shape) {
    Tensor tensor = MakeTensor(DataType::kString, std::move(shape));
    tensor.strings = files;
    return tensor;
  }

  TemporaryFolder folder_;
};

TEST_F(ExtrasTest, TakesImagesWithoutASidecar) {
  const auto servable = Load(testing::ImageModel(), "").value();
  EXPECT_TRUE(servable->signatures().at("serving_default").inputs.at("image").image);
  const Image image = Paint(4, 4, 3, [](int x, int y, int c) { return x * 10 + y * 40 + c; });
  EXPECT_EQ(Run(*servable, {{"image", Files({EncodePng(image)}, {})}})->at("pixels").bytes, image.pixels);
  // Several files are several runs of the fixed batch.
  const TensorMap outputs = Run(*servable, {{"image", Files({EncodePng(image), EncodePng(image)}, {2})}}).value();
  EXPECT_EQ(outputs.at("pixels").shape, (Shape{2, 48}));
  EXPECT_EQ(outputs.at("pixels").bytes, image.pixels + image.pixels);
  // Tensors are taken as before.
  EXPECT_EQ(Run(*servable, {{"image", MakeTensor(DataType::kUint8, {1, 4, 4, 3})}})->at("pixels").bytes,
            std::string(48, '\0'));
}

TEST_F(ExtrasTest, RefusesWhatIsNoImage) {
  const auto servable = Load(testing::ImageModel(), "").value();
  const auto refusal = [&](const Tensor& files) {
    const auto outputs = Run(*servable, {{"image", files}});
    EXPECT_EQ(outputs.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(outputs.status().message());
  };
  EXPECT_THAT(refusal(Files({"text"}, {1})), HasSubstr("input image: image 0: the 4 bytes are neither a JPEG nor"));
  EXPECT_THAT(refusal(Files({"a", "b"}, {2, 1})), HasSubstr("input image has image files of shape [2,1]"));
  EXPECT_THAT(refusal(Files({}, {0})), HasSubstr("input image has image files of shape [0]"));
}

TEST_F(ExtrasTest, DecodesNothingAfterTheDeadline) {
  const auto servable = Load(testing::ImageModel(), "").value();
  const Tensor files = Files({"text"}, {1});
  EXPECT_EQ(servable->Run("serving_default", {{"image", files}}, {SteadyNow() - absl::Seconds(1)}).status(),
            absl::DeadlineExceededError("input image: the deadline passed when 0 of 1 images were decoded"));
}

TEST_F(ExtrasTest, LeavesAPlainModelAlone) {
  const auto servable = Load(testing::HalfPlusTwoModel(), "threads: 1").value();
  EXPECT_EQ(servable->signatures().at("serving_default").outputs.size(), 1);
}

TEST_F(ExtrasTest, NamesTheBestClasses) {
  folder_.Write("labels.txt", "cat\r\ndog\nowl");
  const auto servable = Load(ScoresModel(tflite::TensorType_FLOAT32),
                             "labels_file: 'labels.txt' classification { top_k: 3 minimum_score: 0.2 }")
                            .value();
  EXPECT_EQ(servable->signatures().at("serving_default").outputs.at("top_labels").shape, (Shape{-1, 3}));
  Tensor scores = MakeTensor(DataType::kFloat, {2, 4});
  const std::vector<float> values = {0.1F, 0.3F, 0.6F, 0.3F, 0.9F, 0, 0, 0.1F};
  std::copy(values.begin(), values.end(), scores.data<float>());
  const TensorMap outputs = Run(*servable, {{"x", scores}}).value();
  // Class 3 has no label; equal scores are in the order of the classes.
  EXPECT_THAT(outputs.at("top_labels").strings, ElementsAre("owl", "dog", "3", "cat", "", ""));
  EXPECT_THAT(Floats(outputs.at("top_scores")), ElementsAre(0.6F, 0.3F, 0.3F, 0.9F, 0, 0));
  const int32_t* indices = outputs.at("top_indices").data<int32_t>();
  EXPECT_THAT(std::vector<int32_t>(indices, indices + 6), ElementsAre(2, 1, 3, 0, -1, -1));
  EXPECT_EQ(outputs.count("y"), 1);
}

TEST_F(ExtrasTest, GivesRealScoresOfQuantisedOnes) {
  const auto servable = Load(ScoresModel(tflite::TensorType_INT8), "classification { top_k: 1 }").value();
  Tensor scores = MakeTensor(DataType::kInt8, {1, 4});
  scores.bytes = std::string("\x00\x04\x01\xF0", 4);
  EXPECT_THAT(Floats(Run(*servable, {{"x", scores}})->at("top_scores")), ElementsAre(4));  // (4 + 4) * 0.5
}

TEST_F(ExtrasTest, KeepsTheBoxesThatWereFound) {
  folder_.Write("coco.txt", "person\nbicycle\n");
  const auto servable =
      Load(testing::DetectionModel(), "labels_file: 'coco.txt' detection { minimum_score: 0.5 }").value();
  const TensorMap inputs = {{"normalized_input_image_tensor", MakeTensor(DataType::kUint8, {2, 4, 4, 3})}};
  const TensorMap outputs = Run(*servable, inputs).value();
  EXPECT_EQ(outputs.at("detection_boxes").shape, (Shape{2, 2, 4}));
  EXPECT_THAT(outputs.at("detection_labels").strings, ElementsAre("bicycle", "person", "bicycle", "person"));
  EXPECT_THAT(Floats(outputs.at("num_detections")), ElementsAre(2, 2));
  EXPECT_EQ(Floats(outputs.at("detection_boxes"))[5], 0.5F);
  const auto strict = Load(testing::DetectionModel(), "detection { minimum_score: 0.7 }").value();
  EXPECT_THAT(Floats(Run(*strict, inputs)->at("detection_scores")), ElementsAre(0.9F, 0.9F));
}

TEST_F(ExtrasTest, TellsASidecarThatDoesNotFit) {
  EXPECT_THAT(Refusal(testing::HalfPlusTwoModel(), "nonsense: 1"), HasSubstr("edge_model.pbtxt: line 1, column 9: "));
  EXPECT_THAT(Refusal(testing::HalfPlusTwoModel(), "threads: -1"),
              HasSubstr("edge_model.pbtxt: threads, interpreters"));
  EXPECT_THAT(Refusal(testing::HalfPlusTwoModel(), "labels_file: '../secret'"), HasSubstr("give its name only"));
  EXPECT_THAT(Refusal(testing::HalfPlusTwoModel(), "labels_file: 'none.txt'"), HasSubstr("cannot read the labels"));
  EXPECT_THAT(Refusal(testing::HalfPlusTwoModel(), "image { std: 2 }"),
              HasSubstr("edge_model.pbtxt, signature serving_default: the input x cannot take images"));
  EXPECT_THAT(Refusal(testing::HalfPlusTwoModel(), "classification {}"), HasSubstr("not scores of shape [n, classes]"));
  EXPECT_THAT(Refusal(testing::TwoInputsModel(), "classification {}"), HasSubstr("name the scores in output"));
  EXPECT_THAT(Refusal(testing::HalfPlusTwoModel(), "detection {}"),
              HasSubstr("the model has no output TFLite_Detection_PostProcess: name its outputs"));
}

}  // namespace
}  // namespace ems

#include "loader/loader.h"

#include <gmock/gmock.h>

#include <string>

#include "fake_edgetpu/wrap_model.h"
#include "loader/files.h"
#include "support/model_maker.h"
#include "support/split_model.h"

namespace ems {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

TEST(FindModelFiles, FindsSegmentsInTheirOrder) {
  const TemporaryFolder folder;
  const auto text = [&] { return std::string(FindModelFiles(folder.path()).status().message()); };
  // Eleven, so that the order of names is not that of numbers.
  for (const int i : {10, 0, 1, 2, 3, 4, 6, 8, 9}) {
    folder.Write("cats_segment_" + std::to_string(i) + "_of_11_edgetpu.tflite", "");
  }
  EXPECT_EQ(FindModelFiles(folder.path()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(text(), folder.path() +
                        " holds 9 of 11 segments: put there too cats_segment_5_of_11_edgetpu.tflite, "
                        "cats_segment_7_of_11_edgetpu.tflite");
  for (const int i : {5, 7}) folder.Write("cats_segment_" + std::to_string(i) + "_of_11_edgetpu.tflite", "");
  folder.Write("model.tflite", "");
  const ModelFiles files = *FindModelFiles(folder.path());
  ASSERT_EQ(files.segments.size(), 11);
  for (int i = 0; i < 11; ++i) {
    EXPECT_EQ(files.segments[static_cast<size_t>(i)],
              folder.path() + "/cats_segment_" + std::to_string(i) + "_of_11_edgetpu.tflite");
  }
  EXPECT_EQ(files.cpu, folder.path() + "/model.tflite");
  EXPECT_EQ(files.device, "");
  folder.Write("cats_edgetpu.tflite", "");
  EXPECT_THAT(text(), HasSubstr("holds segments and the whole model cats_edgetpu.tflite for a device: keep one"));
  folder.Write("cats_segment_0_of_2_edgetpu.tflite", "");
  EXPECT_THAT(text(), HasSubstr("segments of several compilations (cats_segment_"));
}

TEST(FindModelFiles, TakesNoOtherNamesForSegments) {
  for (const char* const name : {"a_segment_2_of_2.tflite", "a_segment_01_of_2.tflite", "a_segment_x_of_2.tflite",
                                 "a_segment_0_of_.tflite", "a_segment_0_of_2000000000.tflite", "_segment_.tflite"}) {
    const TemporaryFolder folder;
    folder.Write(name, "");
    EXPECT_EQ(FindModelFiles(folder.path())->cpu, folder.path() + "/" + name);
  }
}

TEST(FindModelFiles, FindsTheModel) {
  const TemporaryFolder folder;
  const auto find = [&] { return FindModelFiles(folder.path()); };
  EXPECT_EQ(find().status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(find().status().message()), HasSubstr("holds no model: put it there as model.tflite"));
  folder.Write("saved_model.pb", "");
  EXPECT_THAT(std::string(find().status().message()), HasSubstr("TFLiteConverter.from_saved_model"));
  folder.Write(".one.tflite.part.tflite", "");  // of a copy that runs
  EXPECT_EQ(find().status().code(), absl::StatusCode::kNotFound);
  folder.Write("one.tflite", "");
  EXPECT_EQ(find()->cpu, folder.path() + "/one.tflite");
  EXPECT_EQ(find()->device, "");
  folder.Write("two.tflite", "");
  EXPECT_EQ(find().status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(find().status().message()), HasSubstr("(one.tflite, two.tflite): call the one to serve"));
  folder.Write("model.tflite", "");
  EXPECT_EQ(find()->cpu, folder.path() + "/model.tflite");
  folder.Write("model_edgetpu.tflite", "");
  EXPECT_EQ(find()->device, folder.path() + "/model_edgetpu.tflite");
  EXPECT_EQ(FindModelFiles("/nonexistent").status().code(), absl::StatusCode::kNotFound);
}

// Stands for the devices: gives outputs without values, or fails.
class FakeDevice : public Servable {
 public:
  FakeDevice(SignatureMap signatures, const absl::Status& status)
      : signatures_(std::move(signatures)), status_(status) {}
  const SignatureMap& signatures() const override { return signatures_; }
  absl::StatusOr<TensorMap> Run(const std::string&, const TensorMap&, const RunOptions&) override {
    if (!status_.ok()) return status_;
    return TensorMap{};
  }
  std::vector<Placement> placements() const override { return {{"usb:0", "ok", "", false, ""}}; }

 private:
  SignatureMap signatures_;
  const absl::Status& status_;
};

class TfliteLoaderTest : public ::testing::Test {
 protected:
  LoaderOptions Options(bool devices) {
    LoaderOptions options;
    options.log = [this](const std::string& line) { log_.push_back(line); };
    if (!devices) return options;
    options.devices = [this](const ServableId&, const std::string& part,
                             std::shared_ptr<const TfliteModel> model) -> absl::StatusOr<std::unique_ptr<Servable>> {
      path_ = model->path();
      if (!part.empty()) parts_.push_back(part);
      if (!load_status_.ok()) return load_status_;
      return std::make_unique<FakeDevice>(model->signatures(), run_status_);
    };
    return options;
  }
  absl::StatusOr<std::unique_ptr<Servable>> Load(bool devices, bool for_all = false) {
    LoaderOptions options = Options(devices);
    options.devices_for_all = for_all;
    options.isolate = isolate_;
    options.isolated = [this](const ServableId&, std::shared_ptr<const TfliteModel> model,
                              const CpuOptions& cpu) -> absl::StatusOr<std::unique_ptr<Servable>> {
      isolated_.push_back(model->path());
      cpu_ = cpu;
      if (!cpu_status_.ok()) return cpu_status_;
      return LoadOnCpu(std::move(model), cpu);
    };
    return TfliteLoader(options).Load({"m", 3}, folder_.path());
  }
  static absl::StatusOr<TensorMap> Run(Servable& servable) {
    return servable.Run("serving_default", {{"x", MakeTensor(DataType::kFloat, {1, 4})}}, {});
  }

  TemporaryFolder folder_;
  // Writes a model of two operators, y = (x + 1) * 3, in two segments, compiled or not.
  void WriteSegments(bool compiled) {
    const std::vector<std::string> segments = testing::SplitModel(testing::TwoStepModel(), 2);
    for (size_t i = 0; i < 2; ++i) {
      const std::string name = "m_segment_" + std::to_string(i) + "_of_2";
      folder_.Write(name + (compiled ? "_edgetpu.tflite" : ".tflite"),
                    compiled ? fake_edgetpu::WrapModel(segments[i]) : segments[i]);
    }
  }
  static std::string Text(const absl::StatusOr<std::unique_ptr<Servable>>& servable) {
    return std::string(servable.status().message());
  }

  std::string path_;
  std::vector<std::string> parts_;
  std::vector<std::string> isolated_;
  CpuOptions cpu_;  // of the last isolated model
  absl::Status cpu_status_;
  LoaderOptions::Isolate isolate_ = LoaderOptions::Isolate::kAuto;
  absl::Status load_status_;
  absl::Status run_status_;
  std::vector<std::string> log_;
};

TEST_F(TfliteLoaderTest, LoadsOnTheCpu) {
  folder_.Write("model.tflite", testing::FixedBatchModel());
  const auto servable = Load(/*devices=*/true).value();
  EXPECT_EQ(path_, "");
  EXPECT_EQ(servable->placements().front().device, "cpu");
  EXPECT_EQ(Run(*servable)->at("y").data<float>()[0], 2);
}

TEST_F(TfliteLoaderTest, NamesTheFileThatFails) {
  folder_.Write("model.tflite", fake_edgetpu::WrapModel(testing::FixedBatchModel()));
  const auto servable = Load(/*devices=*/false);
  EXPECT_EQ(std::string(servable.status().message()),
            folder_.path() +
                "/model.tflite: the CPU cannot compute the custom operator edgetpu-custom-op: the model is "
                "compiled for the Edge TPU: connect one and set --delegate and --device");
}

TEST_F(TfliteLoaderTest, SendsAModelForADeviceThere) {
  folder_.Write("model.tflite", fake_edgetpu::WrapModel(testing::FixedBatchModel()));
  const auto servable = Load(/*devices=*/true).value();
  EXPECT_EQ(path_, folder_.path() + "/model.tflite");
  run_status_ = absl::UnavailableError("gone");
  EXPECT_EQ(Run(*servable).status(), run_status_);  // the CPU cannot compute it
}

TEST_F(TfliteLoaderTest, SendsAnyModelWhereAsked) {
  folder_.Write("model.tflite", testing::FixedBatchModel());
  EXPECT_EQ(Load(/*devices=*/true, /*for_all=*/true).value()->placements().front().device, "usb:0");
  const auto servable = Load(/*devices=*/false, /*for_all=*/true).value();
  EXPECT_FALSE(servable->placements().front().fallback);  // nobody asked for a device for this one
}

TEST_F(TfliteLoaderTest, NeedsADeviceForACompiledModelAlone) {
  folder_.Write("model_edgetpu.tflite", fake_edgetpu::WrapModel(testing::FixedBatchModel()));
  EXPECT_THAT(
      std::string(Load(/*devices=*/false).status().message()),
      HasSubstr("needs a device, and the server has no device: set --delegate and --device, or put the model "));
  EXPECT_TRUE(Load(/*devices=*/true).ok());
}

TEST_F(TfliteLoaderTest, FallsBackToTheCpuWhenLoading) {
  folder_.Write("model.tflite", testing::FixedBatchModel());
  folder_.Write("model_edgetpu.tflite", fake_edgetpu::WrapModel(testing::FixedBatchModel()));
  load_status_ = absl::UnavailableError("no device");
  const auto servable = Load(/*devices=*/true).value();
  EXPECT_EQ(path_, folder_.path() + "/model_edgetpu.tflite");
  EXPECT_EQ(servable->placements().front().device, "cpu");
  EXPECT_EQ(servable->placements().front().detail, "no device");
  EXPECT_THAT(log_, ElementsAre("model m version 3: the CPU takes over: no device"));
  load_status_ = absl::InvalidArgumentError("bad model");
  EXPECT_EQ(Load(/*devices=*/true).status(), load_status_);
}

TEST_F(TfliteLoaderTest, FallsBackToTheCpuWhileDevicesAreGone) {
  folder_.Write("model.tflite", testing::FixedBatchModel());
  folder_.Write("model_edgetpu.tflite", fake_edgetpu::WrapModel(testing::FixedBatchModel()));
  const auto servable = Load(/*devices=*/true).value();
  EXPECT_TRUE(Run(*servable)->empty());
  EXPECT_EQ(servable->placements().size(), 1);
  run_status_ = absl::UnavailableError("usb:0 is gone");
  EXPECT_EQ(Run(*servable)->at("y").data<float>()[0], 2);
  EXPECT_EQ(Run(*servable)->at("y").data<float>()[0], 2);
  ASSERT_EQ(servable->placements().size(), 2);
  EXPECT_EQ(servable->placements().back().detail, "usb:0 is gone");
  EXPECT_TRUE(servable->placements().back().fallback);
  run_status_ = absl::DeadlineExceededError("too late");
  EXPECT_EQ(Run(*servable).status(), run_status_);
  EXPECT_EQ(servable->placements().size(), 2);  // that says nothing of the devices
  run_status_ = absl::OkStatus();
  EXPECT_TRUE(Run(*servable)->empty());
  EXPECT_EQ(servable->placements().size(), 1);
  EXPECT_THAT(log_, ElementsAre("model m version 3: the CPU takes over: usb:0 is gone",
                                "model m version 3: the devices are back"));
}

TEST_F(TfliteLoaderTest, LoadsTheFallbackOnce) {
  folder_.Write("model.tflite", testing::FixedBatchModel());
  isolate_ = LoaderOptions::Isolate::kAlways;
  const auto servable = Load(/*devices=*/true, /*for_all=*/true).value();
  run_status_ = absl::UnavailableError("usb:0 is gone");
  cpu_status_ = absl::ResourceExhaustedError("the memory is full");
  EXPECT_EQ(Run(*servable).status(), absl::UnavailableError("usb:0 is gone; nor the CPU: " + folder_.path() +
                                                            "/model.tflite: the memory is full"));
  cpu_status_ = absl::OkStatus();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Run(*servable).ok());
  EXPECT_EQ(isolated_.size(), 2);  // with the try that failed
}

TEST_F(TfliteLoaderTest, RefusesAModelWhosePlaceIsADeviceWhereThereIsNone) {
  folder_.Write("model.tflite", testing::FixedBatchModel());
  folder_.Write("edge_model.pbtxt", "place: DEVICE");
  EXPECT_EQ(Text(Load(/*devices=*/false)),
            "edge_model.pbtxt of m version 3 says place: DEVICE, but the server has no device: set --delegate and "
            "--device, or say cpu_fallback: true there");
  EXPECT_EQ(Load(/*devices=*/true).value()->placements().front().device, "usb:0");
}

TEST_F(TfliteLoaderTest, SaysThatTheCpuTakesTheDevicesPlace) {
  folder_.Write("model.tflite", testing::FixedBatchModel());
  folder_.Write("edge_model.pbtxt", "place: DEVICE cpu_fallback: true");
  const auto servable = Load(/*devices=*/false).value();
  EXPECT_EQ(Run(*servable)->at("y").data<float>()[0], 2);
  EXPECT_TRUE(servable->placements().front().fallback);
  EXPECT_THAT(servable->placements().front().detail, HasSubstr("the server has no device: set --delegate"));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("model m version 3: the CPU takes over: ")));
}

// A compiled model beside: somebody means a device.
TEST_F(TfliteLoaderTest, SaysThatACompiledModelIsNotUsed) {
  folder_.Write("model.tflite", testing::FixedBatchModel());
  folder_.Write("model_edgetpu.tflite", fake_edgetpu::WrapModel(testing::FixedBatchModel()));
  const auto servable = Load(/*devices=*/false).value();
  EXPECT_TRUE(servable->placements().front().fallback);
  EXPECT_THAT(log_, ElementsAre(HasSubstr("model_edgetpu.tflite needs a device")));
}

TEST_F(TfliteLoaderTest, FallsBackNeverWhereTheSidecarForbidsIt) {
  folder_.Write("model.tflite", testing::FixedBatchModel());
  folder_.Write("edge_model.pbtxt", "place: DEVICE cpu_fallback: false");
  EXPECT_FALSE(Load(/*devices=*/false).ok());
  const auto servable = Load(/*devices=*/true).value();
  run_status_ = absl::UnavailableError("gone");
  EXPECT_EQ(Run(*servable).status(), run_status_);
  load_status_ = absl::UnavailableError("no device");
  EXPECT_EQ(Load(/*devices=*/true).status(), load_status_);
}

TEST_F(TfliteLoaderTest, ACompiledModelCannotHaveThePlaceCpu) {
  folder_.Write("model_edgetpu.tflite", fake_edgetpu::WrapModel(testing::FixedBatchModel()));
  folder_.Write("edge_model.pbtxt", "place: CPU");
  EXPECT_THAT(Text(Load(/*devices=*/true)), HasSubstr("edge_model.pbtxt says place: CPU: leave that out, or put"));
}

TEST_F(TfliteLoaderTest, SegmentsBecomeOneModel) {
  WriteSegments(/*compiled=*/true);
  EXPECT_THAT(Text(Load(/*devices=*/false)), HasSubstr("m_segment_0_of_2_edgetpu.tflite needs a device"));
  const auto servable = Load(/*devices=*/true).value();
  EXPECT_THAT(parts_, ElementsAre("segment 0 of 2", "segment 1 of 2"));
  const Signature& signature = servable->signatures().at("serving_default");
  EXPECT_EQ(signature.inputs.begin()->first, "x");
  EXPECT_EQ(signature.outputs.begin()->first, "y");
  ASSERT_EQ(servable->placements().size(), 2);
  EXPECT_EQ(servable->placements()[1].part, "segment 1 of 2");
}

TEST_F(TfliteLoaderTest, SegmentsThatNeedNoDeviceRunOnTheCpu) {
  WriteSegments(/*compiled=*/false);
  auto servable = Load(/*devices=*/true).value();
  EXPECT_TRUE(parts_.empty());
  EXPECT_EQ(Run(*servable)->at("y").data<float>()[0], 3);
  EXPECT_FALSE(servable->placements()[0].fallback);
  servable = Load(/*devices=*/true, /*for_all=*/true).value();
  EXPECT_EQ(parts_.size(), 2);
  run_status_ = absl::UnavailableError("gone");  // a segment alone falls back
  EXPECT_EQ(Run(*servable)->at("y").data<float>()[0], 3);
  EXPECT_EQ(servable->placements().back().part, "segment 1 of 2");
  EXPECT_TRUE(servable->placements().back().fallback);
  parts_.clear();
  folder_.Write("edge_model.pbtxt", "place: DEVICE");
  EXPECT_TRUE(Load(/*devices=*/true).ok());
  EXPECT_EQ(parts_.size(), 2);
  folder_.Write("edge_model.pbtxt", "place: CPU");
  EXPECT_TRUE(Load(/*devices=*/true, /*for_all=*/true).ok());
  EXPECT_EQ(parts_.size(), 2);
}

TEST_F(TfliteLoaderTest, TheWholeModelTakesOverFromSegments) {
  WriteSegments(/*compiled=*/true);
  folder_.Write("model.tflite", testing::TwoStepModel());
  const auto servable = Load(/*devices=*/true).value();
  // Its signature names what the segments know by their tensors only.
  EXPECT_EQ(servable->signatures().at("serving_default").outputs.begin()->first, "result");
  run_status_ = absl::UnavailableError("gone");
  EXPECT_EQ(servable->Run("serving_default", {{"in", MakeTensor(DataType::kFloat, {1, 4})}}, {})
                ->at("result")
                .data<float>()[0],
            3);
  load_status_ = absl::UnavailableError("no device");
  EXPECT_EQ(Load(/*devices=*/true).value()->placements().front().device, "cpu");
  folder_.Write("model.tflite", testing::HalfPlusTwoModel());
  EXPECT_THAT(Text(Load(/*devices=*/true)), HasSubstr("takes the tensor x, which no segment before it makes and the"));
}

TEST_F(TfliteLoaderTest, IsolatesTheModelsThatAskForIt) {
  const std::string path = folder_.Write("model.tflite", testing::FixedBatchModel());
  using Isolate = LoaderOptions::Isolate;
  const auto count = [this](Isolate isolate) {
    isolate_ = isolate;
    isolated_.clear();
    EXPECT_TRUE(Load(/*devices=*/true).ok());
    return isolated_.size();
  };
  EXPECT_EQ(count(Isolate::kAuto), 0);
  EXPECT_EQ(count(Isolate::kAlways), 1);
  EXPECT_EQ(cpu_.threads, 1);
  EXPECT_EQ(cpu_.interpreters, 1);
  EXPECT_EQ(isolated_.front(), path);
  folder_.Write("edge_model.pbtxt", "isolate: true threads: 2 interpreters: 3");
  EXPECT_EQ(count(Isolate::kAuto), 1);
  EXPECT_EQ(cpu_.threads, 2);
  EXPECT_EQ(cpu_.interpreters, 3);
  EXPECT_TRUE(log_.empty());
  EXPECT_EQ(count(Isolate::kNever), 0);
  EXPECT_THAT(log_, ElementsAre(HasSubstr("isolate: true of edge_model.pbtxt has no effect")));
}

// Returns a model of one operator, x -> y, by types and shapes.
std::string OneStepModel(tflite::TensorType type, const std::vector<int>& shape, const std::vector<int>& out) {
  testing::ModelMaker maker;
  const int x = maker.Tensor("x", type, shape);
  const int y = maker.Tensor("y", type, out);
  maker.Copy(x, y, out);
  maker.Inputs({x});
  maker.Outputs({y});
  maker.Signature("serving_default", {{"x", x}}, {{"y", y}});
  return maker.File();
}

TEST_F(TfliteLoaderTest, RefusesACompiledModelOfAnotherModel) {
  const std::string compiled = OneStepModel(tflite::TensorType_INT8, {1, 4}, {1, 4});
  folder_.Write("model_edgetpu.tflite", fake_edgetpu::WrapModel(compiled));
  folder_.Write("model.tflite", compiled);
  EXPECT_TRUE(Load(/*devices=*/true).ok());
  for (const std::string& other :
       {testing::TwoInputsModel(), OneStepModel(tflite::TensorType_UINT8, {1, 4}, {1, 4}),
        OneStepModel(tflite::TensorType_INT8, {2, 2}, {1, 4}), OneStepModel(tflite::TensorType_INT8, {1, 4}, {4, 1})}) {
    folder_.Write("model.tflite", other);
    EXPECT_THAT(Text(Load(/*devices=*/true)), HasSubstr("differ in their signatures"));
  }
}

// The scale of the scores is that of the last segment: 1/256 for the digits.
TEST_F(TfliteLoaderTest, SegmentsKeepTheirQuantisation) {
  const std::vector<std::string> segments = testing::SplitModel(testing::ReadFile(EMS_DIGITS "/digits.tflite"), 2);
  for (size_t i = 0; i < 2; ++i) folder_.Write("m_segment_" + std::to_string(i) + "_of_2.tflite", segments[i]);
  folder_.Write("edge_model.pbtxt", "classification { top_k: 1 }");
  const auto servable = Load(/*devices=*/false).value();
  Tensor image = MakeTensor(DataType::kInt8, {1, 8, 8, 1});
  image.bytes = testing::ReadFile(EMS_DIGITS "/digit-5.raw");
  const TensorMap outputs = servable->Run("serving_default", {{"image", image}}, {}).value();
  EXPECT_EQ(outputs.at("top_indices").data<int32_t>()[0], 5);
  EXPECT_GT(outputs.at("top_scores").data<float>()[0], 0.5F);
  EXPECT_LE(outputs.at("top_scores").data<float>()[0], 1.0F);
}

}  // namespace
}  // namespace ems

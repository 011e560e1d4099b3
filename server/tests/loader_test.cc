#include "loader/loader.h"

#include <gmock/gmock.h>

#include <string>

#include "fake_edgetpu/wrap_model.h"
#include "loader/files.h"
#include "support/model_maker.h"

namespace ems {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

TEST(FindModelFiles, FindsTheModel) {
  const TemporaryFolder folder;
  const auto find = [&] { return FindModelFiles(folder.path()); };
  EXPECT_EQ(find().status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(find().status().message()), HasSubstr("holds no model: put it there as model.tflite"));
  folder.Write("saved_model.pb", "");
  EXPECT_THAT(std::string(find().status().message()), HasSubstr("TFLiteConverter.from_saved_model"));
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
  std::vector<Placement> placements() const override { return {{"usb:0", "ok", ""}}; }

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
    options.devices = [this](const ServableId&, std::shared_ptr<const TfliteModel> model,
                             const std::string& path) -> absl::StatusOr<std::unique_ptr<Servable>> {
      path_ = path;
      if (!load_status_.ok()) return load_status_;
      return std::make_unique<FakeDevice>(model->signatures(), run_status_);
    };
    return options;
  }
  absl::StatusOr<std::unique_ptr<Servable>> Load(bool devices, bool for_all = false) {
    LoaderOptions options = Options(devices);
    options.devices_for_all = for_all;
    return TfliteLoader(options).Load({"m", 3}, folder_.path());
  }
  static absl::StatusOr<TensorMap> Run(Servable& servable) {
    return servable.Run("serving_default", {{"x", MakeTensor(DataType::kFloat, {1, 4})}}, {});
  }

  TemporaryFolder folder_;
  std::string path_;
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
                "compiled for the Edge TPU: connect one and set --device");
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
}

TEST_F(TfliteLoaderTest, NeedsADeviceForACompiledModelAlone) {
  folder_.Write("model_edgetpu.tflite", fake_edgetpu::WrapModel(testing::FixedBatchModel()));
  EXPECT_THAT(std::string(Load(/*devices=*/false).status().message()), HasSubstr("needs a device: set --device"));
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
  run_status_ = absl::OkStatus();
  EXPECT_TRUE(Run(*servable)->empty());
  EXPECT_THAT(log_, ElementsAre("model m version 3: the CPU takes over: usb:0 is gone",
                                "model m version 3: the devices are back"));
}

TEST_F(TfliteLoaderTest, RefusesACompiledModelOfAnotherModel) {
  folder_.Write("model.tflite", testing::TwoInputsModel());
  folder_.Write("model_edgetpu.tflite", fake_edgetpu::WrapModel(testing::FixedBatchModel()));
  EXPECT_THAT(std::string(Load(/*devices=*/true).status().message()), HasSubstr("differ in their signatures"));
}

}  // namespace
}  // namespace ems

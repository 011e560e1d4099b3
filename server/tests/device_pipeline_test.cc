// A model in segments on fake devices, from the files of a version folder.
#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "devices_fixture.h"
#include "loader/loader.h"
#include "support/split_model.h"

namespace ems {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class DevicePipeline : public DevicesTest {
 protected:
  DevicePipeline() {
    board_.Set("usb:0", "ok 300");
    board_.Set("usb:1", "ok 300");
    board_.StartJournal();
  }

  // Writes a model in segments to a version folder, each for the fake device.
  void Write(const std::string& model, int count) {
    const std::vector<std::string> segments = testing::SplitModel(model, count);
    for (int i = 0; i < count; ++i) {
      version_.Write("m_segment_" + std::to_string(i) + "_of_" + std::to_string(count) + "_edgetpu.tflite",
                     fake_edgetpu::WrapModel(segments[static_cast<size_t>(i)]));
    }
  }
  std::unique_ptr<Servable> LoadFolder() {
    LoaderOptions options;
    options.devices = [this](const ServableId& id, const std::string& part, std::shared_ptr<const TfliteModel> model) {
      return devices().LoadSegment(id, part, std::move(model));
    };
    absl::StatusOr<std::unique_ptr<Servable>> servable = TfliteLoader(options).Load({"m", 1}, version_.path());
    EXPECT_TRUE(servable.ok()) << servable.status();
    return servable.ok() ? *std::move(servable) : nullptr;
  }
  // Runs FixedBatchModel, in two segments, under the names of tensors.
  void WriteHalfPlusTwo() {
    Write(testing::FixedBatchModel(), 2);
    version_.Write("model.tflite", testing::FixedBatchModel());  // gives the signature
    version_.Write("edge_model.pbtxt", "cpu_fallback: false");
  }
  // Returns the devices that ran anything, and how many models each.
  std::map<std::string, size_t> ModelsByDevice() const {
    std::map<std::string, std::set<std::string>> models;
    for (const fake_edgetpu::Board::Entry& entry : board_.Journal()) models[entry.device].insert(entry.model);
    std::map<std::string, size_t> counts;
    for (const auto& [device, of] : models) counts[device] = of.size();
    return counts;
  }

  testing::TemporaryFolder version_;
};

// Returns the int8 pixels of a PGM file of text with values up to 16.
std::string Pixels(const std::string& path) {
  std::ifstream file(path);
  std::string magic;
  int width = 0;
  int height = 0;
  int most = 0;
  file >> magic >> width >> height >> most;
  std::string pixels;
  for (int value = 0; file >> value;) {
    pixels += static_cast<char>(std::lround(value * 255.0 / most) - 128);
  }
  return pixels;
}

// The digits model of tensorflow-lite's recipe, in two and in three segments.
TEST_F(DevicePipeline, RecognisesTenDigits) {
  const std::string model = testing::ReadFile(EMS_DIGITS "/digits.tflite");
  for (const int count : {2, 3}) {
    for (const auto& entry : std::filesystem::directory_iterator(version_.path())) std::filesystem::remove(entry);
    Write(model, count);
    const std::unique_ptr<Servable> servable = LoadFolder();
    ASSERT_TRUE(servable);
    for (int digit = 0; digit < 10; ++digit) {
      TensorMap inputs{{"image", MakeTensor(DataType::kInt8, {1, 8, 8, 1})}};
      inputs["image"].bytes = Pixels(EMS_DIGITS "/digit-" + std::to_string(digit) + ".pgm");
      const absl::StatusOr<TensorMap> outputs = servable->Run(kDefaultSignature, inputs, {});
      ASSERT_TRUE(outputs.ok()) << outputs.status();
      const auto* const scores = outputs->at("probabilities").data<int8_t>();
      EXPECT_EQ(std::max_element(scores, scores + 10) - scores, digit);
    }
  }
}

TEST_F(DevicePipeline, EachSegmentStaysOnItsDevice) {
  WriteHalfPlusTwo();
  const std::unique_ptr<Servable> servable = LoadFolder();
  ASSERT_TRUE(servable);
  board_.StartJournal();  // loads are over
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(IsRight(*Ask(*servable, i), i));
  EXPECT_THAT(ModelsByDevice(), UnorderedElementsAre(::testing::Pair("usb:0", 1), ::testing::Pair("usb:1", 1)));
  const std::vector<Placement> placements = servable->placements();
  ASSERT_EQ(placements.size(), 2);
  EXPECT_EQ(placements[0].device, "usb:0");
  EXPECT_EQ(placements[0].part, "segment 0 of 2");
  EXPECT_EQ(placements[1].device, "usb:1");
}

// Rows of one request, and requests of several clients: both devices work at once.
TEST_F(DevicePipeline, TheDevicesWorkAtTheSameTime) {
  WriteHalfPlusTwo();
  const std::unique_ptr<Servable> servable = LoadFolder();
  ASSERT_TRUE(servable);
  for (const char* const device : {"usb:0", "usb:1"}) board_.Set(device, "ok 5000");
  board_.StartJournal();
  EXPECT_TRUE(IsRight(*Ask(*servable, 3, 20), 3, 20));
  const auto begins_beside_another = [this] {
    std::set<std::string> running;
    int count = 0;
    for (const fake_edgetpu::Board::Entry& entry : board_.Journal()) {
      if (entry.what == "begin" && running.insert(entry.device).second && running.size() == 2) ++count;
      if (entry.what == "end") running.erase(entry.device);
    }
    return count;
  };
  EXPECT_GT(begins_beside_another(), 5);  // of 40
  board_.StartJournal();
  Clients clients(*servable, 4);
  clients.AwaitAnswers(20);
  clients.Stop();
  EXPECT_EQ(clients.right(), clients.right() + clients.wrong() + clients.failed()) << clients.first_failure();
  EXPECT_GT(begins_beside_another(), 5);
}

TEST_F(DevicePipeline, OneDeviceRunsAllSegments) {
  options_.names = {"usb:0"};
  WriteHalfPlusTwo();
  const std::unique_ptr<Servable> servable = LoadFolder();
  ASSERT_TRUE(servable);
  EXPECT_TRUE(IsRight(*Ask(*servable, 7, 5), 7, 5));
  EXPECT_THAT(ModelsByDevice(), ElementsAre(::testing::Pair("usb:0", 2)));
}

TEST_F(DevicePipeline, KilledWorkersCostNoAnswer) {
  WriteHalfPlusTwo();
  const std::unique_ptr<Servable> servable = LoadFolder();
  ASSERT_TRUE(servable);
  Clients clients(*servable, 4);
  clients.AwaitAnswers(10);
  for (int i = 0; i < 20; ++i) {
    const size_t device = static_cast<size_t>(i) % 2;
    AwaitState(0, DeviceState::kOk);
    AwaitState(1, DeviceState::kOk);
    clients.AwaitAnswers(10);
    const DeviceReport before = Report(device);
    kill(before.pid, SIGKILL);
    Await([&] { return Report(device).restarts > before.restarts; });
  }
  clients.AwaitAnswers(20);
  clients.Stop();
  EXPECT_EQ(clients.wrong(), 0);
  EXPECT_EQ(clients.failed(), 0) << clients.first_failure();
}

TEST_F(DevicePipeline, SegmentsMoveWhenADeviceGoesAndComeBackWithIt) {
  WriteHalfPlusTwo();
  const std::unique_ptr<Servable> servable = LoadFolder();
  ASSERT_TRUE(servable);
  board_.Unplug("usb:1");
  EXPECT_TRUE(IsRight(*Ask(*servable, 1, 4), 1, 4));
  AwaitState(1, DeviceState::kAbsent);
  for (const Placement& placement : servable->placements()) EXPECT_EQ(placement.device, "usb:0");
  board_.Set("usb:1", "ok 300");
  Await([&] { return servable->placements()[1].device == "usb:1"; });
  EXPECT_TRUE(IsRight(*Ask(*servable, 2, 4), 2, 4));
}

TEST_F(DevicePipeline, AllDevicesGoneIsUnavailable) {
  WriteHalfPlusTwo();
  const std::unique_ptr<Servable> servable = LoadFolder();
  ASSERT_TRUE(servable);
  for (const char* const device : {"usb:0", "usb:1"}) board_.Unplug(device);
  EXPECT_FALSE(Ask(*servable, 1).ok());
  AwaitState(0, DeviceState::kAbsent);
  AwaitState(1, DeviceState::kAbsent);
  const absl::Status status = Ask(*servable, 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no device can run m version 1, segment 0 of 2: usb:0 is"));
}

}  // namespace
}  // namespace ems

// Which devices there are, what metrics say of them, and devices that appear under a running server.
#include "app/backends.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "devices_fixture.h"

namespace ems {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A board's folders: /dev and /sys/bus/usb/devices.
class Tree {
 public:
  Tree() {
    for (const char* const folder : {"dev", "usb"}) std::filesystem::create_directory(Path(folder));
  }
  void PlugPci(const std::string& name) const { folder_.Write("dev/" + name, ""); }
  void PlugUsb(const std::string& port, const std::string& vendor, const std::string& product) const {
    folder_.Write("usb/" + port + "/idVendor", vendor + "\n");
    folder_.Write("usb/" + port + "/idProduct", product + "\n");
  }
  void Unplug(const std::string& path) const { std::filesystem::remove_all(Path(path)); }
  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  std::vector<std::string> Names(const std::vector<std::string>& devices,
                                 const std::string& delegate = "lib.so") const {
    ComputeOptions options;
    options.delegate = delegate;
    options.devices = devices;
    return DeviceNames(options, Path("dev"), Path("usb"));
  }

 private:
  testing::TemporaryFolder folder_;
};

TEST(DeviceNames, FindsTheEdgeTpusOfBothBuses) {
  const Tree tree;
  tree.PlugPci("apex_0");
  tree.PlugPci("apex_1");
  tree.PlugPci("null");
  tree.PlugUsb("1-1", "1a6e", "089a");  // before its first use
  tree.PlugUsb("1-2", "18d1", "9302");  // after it
  tree.PlugUsb("1-3", "18d1", "4ee7");  // a telephone
  tree.PlugUsb("usb1", "1d6b", "0002");
  std::filesystem::create_directory(tree.Path("usb/1-0:1.0"));  // an interface has no identity
  for (const std::vector<std::string>& devices : {std::vector<std::string>{}, {"auto"}}) {
    EXPECT_THAT(tree.Names(devices), ElementsAre("pci:0", "pci:1", "usb:0", "usb:1"));
  }
  EXPECT_THAT(tree.Names({}, ""), IsEmpty());
}

TEST(DeviceNames, WithoutAnEdgeTpuAutoIsTheOneThatMayCome) {
  const Tree tree;
  EXPECT_THAT(tree.Names({"auto"}), ElementsAre("usb:0"));
  tree.Unplug("usb");  // a kernel without USB
  EXPECT_THAT(tree.Names({"auto"}), ElementsAre("usb:0"));
}

TEST(FoundDevices, AreThoseThatAreThere) {
  const Tree tree;
  EXPECT_THAT(FoundDevices(tree.Path("dev"), tree.Path("usb")), IsEmpty());
  tree.PlugPci("apex_0");
  EXPECT_THAT(FoundDevices(tree.Path("dev"), tree.Path("usb")), ElementsAre("pci:0"));
}

TEST(DeviceNames, TakesNamesAsTheyAre) {
  const Tree tree;
  EXPECT_THAT(tree.Names({"usb:3", "pci:1"}), ElementsAre("usb:3", "pci:1"));
  EXPECT_THAT(tree.Names({"cpu"}), IsEmpty());
  EXPECT_THAT(tree.Names({"cpu", "gpu"}), ElementsAre("gpu"));
}

class DeviceWatchTest : public DevicesTest {};

TEST_F(DeviceWatchTest, AddsWhatAppears) {
  const Tree tree;
  tree.PlugUsb("1-1", "1a6e", "089a");
  board_.Set("usb:0", "ok 0");
  options_.names = tree.Names({"auto"});
  const std::unique_ptr<Servable> servable = Loaded();
  const DeviceWatch watch(
      devices(), [&] { return FoundDevices(tree.Path("dev"), tree.Path("usb")); }, absl::Milliseconds(1));
  EXPECT_TRUE(IsRight(*Ask(*servable, 1), 1));
  EXPECT_EQ(devices().Report().size(), 1);
  board_.Set("usb:1", "ok 0");
  tree.PlugUsb("1-2", "1a6e", "089a");
  Await([&] { return devices().Report().size() == 2; });
  AwaitState(1, DeviceState::kOk);
  board_.Unplug("usb:0");
  board_.Unplug("usb:1");
  tree.Unplug("usb/1-1");
  tree.Unplug("usb/1-2");
  EXPECT_FALSE(Ask(*servable, 2).ok());
  AwaitState(1, DeviceState::kAbsent);
  board_.Set("usb:1", "ok 0");
  AwaitState(1, DeviceState::kOk);  // the one that went is back
  EXPECT_TRUE(IsRight(*Ask(*servable, 3), 3));
  EXPECT_EQ(devices().Report().size(), 2);
}

}  // namespace
}  // namespace ems

#include "catalogue/config_file_poller.h"

#include <gmock/gmock.h>

#include <memory>
#include <optional>
#include <string>

#include "catalogue_fakes.h"
#include "temp_folder.h"

namespace ems {
namespace {

class ConfigFilePollerTest : public ::testing::Test {
 protected:
  ConfigFilePollerTest() {
    Catalogue::Options options;
    options.poll = absl::ZeroDuration();
    options.log = [this](const std::string& line) { log_(line); };
    catalogue_ = std::make_unique<Catalogue>(options, loader_);
    folder_.File("x/1/model", "ok");
  }

  void Write(const std::string& text) { folder_.File("models.config", text); }

  std::string Config(const std::string& fields = "") const {
    return "model_config_list { config { name: 'x' base_path: '" + folder_.path() +
           "/x' model_platform: 'tensorflow' " + fields + " } }";
  }

  void Start(const std::string& in_force = "", absl::Duration wait = absl::ZeroDuration()) {
    ConfigFilePoller::Options options{folder_ / "models.config", in_force, wait, nullptr};
    options.log = [this](const std::string& line) { log_(line); };
    poller_ = std::make_unique<ConfigFilePoller>(options, *catalogue_);
  }

  bool Serves(const std::string& label = "") const { return catalogue_->Find({"x", std::nullopt, label}).ok(); }

  TempFolder folder_;
  FakeLoader loader_;
  FakeLog log_;
  std::unique_ptr<Catalogue> catalogue_;
  std::unique_ptr<ConfigFilePoller> poller_;
};

TEST_F(ConfigFilePollerTest, AppliesAChangedFileOnce) {
  Write(Config());
  Start();
  poller_->PollOnce();
  log_.Await("version 1: available");
  poller_->PollOnce();
  EXPECT_EQ(log_.Count("models.config: the new configuration is in force"), 1);
  Write("model_config_list { }");
  poller_->PollOnce();
  log_.Await("version 1: unloaded");
}

TEST_F(ConfigFilePollerTest, LeavesAnUnchangedFileAlone) {
  Write(Config());
  Start(Config());
  poller_->PollOnce();
  EXPECT_THAT(log_.lines(), ::testing::IsEmpty());
}

TEST_F(ConfigFilePollerTest, KeepsTheOldConfigurationWhenTheFileIsBad) {
  Write(Config());
  Start();
  poller_->PollOnce();
  log_.Await("version 1: available");
  Write("model_config_list {");
  poller_->PollOnce();
  poller_->PollOnce();
  EXPECT_EQ(log_.Count("the old configuration stays: " + (folder_ / "models.config") + ": line 1, column 20"), 1);
  folder_.Remove("models.config");
  poller_->PollOnce();
  poller_->PollOnce();
  EXPECT_EQ(log_.Count("the old configuration stays: cannot read"), 1);
  EXPECT_TRUE(Serves());
}

// A label is refused while its version loads; the same file is accepted later.
TEST_F(ConfigFilePollerTest, TriesARefusedFileAgain) {
  Write(Config());
  Start();
  poller_->PollOnce();
  log_.Await("version 1: available");
  Write(Config("version_labels { key: 'stable' value: 2 }"));
  poller_->PollOnce();
  poller_->PollOnce();
  EXPECT_EQ(log_.Count("the old configuration stays: Request to assign label to version 2 of model x"), 1);
  folder_.File("x/2/model", "ok");
  catalogue_->PollOnce();
  log_.Await("version 2: available");
  poller_->PollOnce();
  EXPECT_TRUE(Serves("stable"));
}

TEST_F(ConfigFilePollerTest, AReloadAppliesAnUnchangedFileToo) {
  Write(Config());
  Start(Config());
  poller_->Reload();
  log_.Await("version 1: available");
  EXPECT_EQ(log_.Count("models.config: the configuration is in force"), 1);
  Write("model_config_list {");
  poller_->Reload();
  poller_->Reload();
  EXPECT_EQ(log_.Count("the old configuration stays"), 2) << "each reload has its answer";
  EXPECT_TRUE(Serves());
}

TEST_F(ConfigFilePollerTest, PollsByItself) {
  Start("", absl::Milliseconds(1));
  Write(Config());
  log_.Await("version 1: available");
}

}  // namespace
}  // namespace ems

#include "catalogue/catalogue.h"

#include <gmock/gmock.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "catalogue_fakes.h"
#include "temp_folder.h"

namespace ems {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CatalogueTest : public ::testing::Test {
 protected:
  CatalogueTest() {
    options_.poll = absl::ZeroDuration();
    options_.num_load_threads = 1;
    options_.max_load_retries = 0;
    options_.load_retry_interval = absl::Hours(1);
    options_.log = [this](const std::string& line) { log_(line); };
  }

  void Start() { catalogue_ = std::make_unique<Catalogue>(options_, loader_); }

  absl::Status Set(const ModelConfigs& configs) { return catalogue_->SetConfig(configs, absl::InfiniteFuture()); }

  void StartWith(const ModelConfigs& configs) {
    Start();
    const absl::Status status = Set(configs);
    ASSERT_TRUE(status.ok()) << status;
  }

  void AddVersion(const std::string& version, const std::string& text = "ok") {
    folder_.File(version + "/model", text);
  }

  ModelConfig X(VersionPolicy policy = {}) const { return {"x", folder_.path(), std::move(policy), {}}; }
  ModelConfig AllOfX() const { return X({VersionPolicy::Kind::kAll, 1, {}}); }

  // Returns the version that answers, or 0.
  int64_t Served(const ModelSpec& spec = {"x", std::nullopt, ""}) const {
    const absl::StatusOr<ServableHandle> handle = catalogue_->Find(spec);
    return handle.ok() ? handle->id.version : 0;
  }
  std::string FindError(const ModelSpec& spec) const { return catalogue_->Find(spec).status().ToString(); }

  // "3 AVAILABLE", highest first.
  std::vector<std::string> States(const std::string& name = "x") const {
    std::vector<std::string> states;
    const auto statuses = catalogue_->Statuses({name, std::nullopt, ""});
    if (!statuses.ok()) return {statuses.status().ToString()};
    for (const VersionStatus& status : *statuses) {
      states.push_back(absl::StrCat(status.version, " ", static_cast<int>(status.state)));
    }
    return states;
  }

  TempFolder folder_;
  FakeLoader loader_;
  FakeLog log_;
  Catalogue::Options options_;
  std::unique_ptr<Catalogue> catalogue_;
};

TEST_F(CatalogueTest, ServesTheHighestVersion) {
  AddVersion("1");
  AddVersion("0010");
  AddVersion("9");
  folder_.Folder("assets");
  StartWith({X()});
  EXPECT_EQ(Served(), 10);
  EXPECT_EQ(catalogue_->Find({"x", std::nullopt, ""})->id.name, "x");
  EXPECT_THAT(States(), ElementsAre("10 30"));
  EXPECT_TRUE(catalogue_->Ready());
}

// The texts of 3.3 of the facts.
TEST_F(CatalogueTest, SaysWhatIsNotThere) {
  AddVersion("1");
  StartWith({X()});
  EXPECT_EQ(FindError({"", std::nullopt, ""}), "INVALID_ARGUMENT: ModelSpec has no name specified.");
  EXPECT_EQ(FindError({"y", std::nullopt, ""}), "NOT_FOUND: Servable not found for request: Latest(y)");
  EXPECT_EQ(FindError({"x", 9, ""}), "NOT_FOUND: Servable not found for request: Specific(x, 9)");
  EXPECT_EQ(FindError({"x", std::nullopt, "l"}), "INVALID_ARGUMENT: Unrecognized servable version label: l");
  EXPECT_EQ(catalogue_->Statuses({"y", std::nullopt, ""}).status().ToString(),
            "NOT_FOUND: Could not find any versions of model y");
  EXPECT_EQ(catalogue_->Statuses({"x", 9, ""}).status().ToString(), "NOT_FOUND: Could not find version 9 of model x");
  EXPECT_EQ(catalogue_->Statuses({"x", std::nullopt, "l"}).status().ToString(),
            "INVALID_ARGUMENT: Unrecognized servable version label: l");
}

TEST_F(CatalogueTest, LoadsHighestFirstAndServesAllThatThePolicyAsksFor) {
  for (const char* version : {"1", "2", "3", "4"}) AddVersion(version);
  StartWith({AllOfX()});
  log_.Await("version 1: available");
  EXPECT_THAT(loader_.order(), ElementsAre(4, 3, 2, 1));
  EXPECT_EQ(Served({"x", 2, ""}), 2);

  ASSERT_TRUE(Set({X({VersionPolicy::Kind::kLatest, 2, {}})}).ok());
  log_.Await("version 2: unloaded");
  log_.Await("version 1: unloaded");
  EXPECT_THAT(States(), ElementsAre("4 30", "3 30", "2 50", "1 50"));

  ASSERT_TRUE(Set({X({VersionPolicy::Kind::kSpecific, 1, {1, 7}})}).ok());
  log_.Await("version 7 of its version policy is not on disk");
  log_.Await("version 3: unloaded");
  log_.Await("version 4: unloaded");
  EXPECT_THAT(States(), ElementsAre("4 50", "3 50", "2 50", "1 30"));
}

TEST_F(CatalogueTest, KeepsTheOldVersionUntilTheNewOneIsReady) {
  AddVersion("1");
  StartWith({X()});
  loader_.CloseGate();
  AddVersion("2");
  catalogue_->PollOnce();
  loader_.AwaitLoads(2);
  EXPECT_THAT(States(), ElementsAre("2 20", "1 30"));
  EXPECT_EQ(Served(), 1);
  loader_.OpenGate();
  log_.Await("version 1: unloaded");
  EXPECT_EQ(Served(), 2);
  EXPECT_EQ(loader_.most_alive(), 2);
}

TEST_F(CatalogueTest, SparesMemoryByUnloadingFirst) {
  options_.keep_available = false;
  AddVersion("1");
  StartWith({X()});
  {
    const auto handle = catalogue_->Find({"x", std::nullopt, ""});
    AddVersion("2");
    catalogue_->PollOnce();
    EXPECT_THAT(States(), ElementsAre("2 10", "1 40"));  // the request comes first
  }
  log_.Await("version 2: available");
  EXPECT_EQ(loader_.most_alive(), 1);
}

TEST_F(CatalogueTest, KeepsTheOldVersionWhenTheNewOneIsBroken) {
  AddVersion("1");
  StartWith({X()});
  AddVersion("2", "broken flatbuffer");
  catalogue_->PollOnce();
  log_.Await("version 2: gave up after 1 try: broken flatbuffer");
  EXPECT_EQ(Served(), 1);
  const auto status = catalogue_->Statuses({"x", 2, ""});
  EXPECT_EQ(status->at(0).state, VersionState::kEnd);
  EXPECT_EQ(status->at(0).error.message(), "broken flatbuffer");
}

TEST_F(CatalogueTest, UnloadsAfterTheLastRequestInAThreadOfItsOwn) {
  AddVersion("1");
  StartWith({X()});
  auto handle = catalogue_->Find({"x", std::nullopt, ""});
  ASSERT_TRUE(Set({}).ok());
  EXPECT_THAT(States(), ElementsAre("1 40"));
  EXPECT_TRUE(handle->servable->Run("", {}, {}).ok());
  EXPECT_EQ(loader_.alive(), 1);
  handle = absl::CancelledError();
  log_.Await("version 1: unloaded");
  EXPECT_EQ(loader_.alive(), 0);
  EXPECT_THAT(loader_.destroyers(), Not(Contains(std::this_thread::get_id())));
}

TEST_F(CatalogueTest, RetriesALoadAndTellsWhy) {
  options_.max_load_retries = 2;
  options_.load_retry_interval = absl::Milliseconds(1);
  AddVersion("1", "not yet whole");
  Start();
  const absl::Status status = Set({X()});
  EXPECT_EQ(status.ToString(),
            "UNKNOWN: 1 model(s) did not become available: {{{name: x version: 1} due to error: INVALID_ARGUMENT: "
            "not yet whole}}");
  EXPECT_TRUE(IsInForce(status));
  EXPECT_THAT(loader_.order(), ElementsAre(1, 1, 1));
  log_.Await("gave up");
  EXPECT_THAT(log_.lines(), ElementsAre(StartsWith("model x version 1: loading from " + folder_.path() + "/1"),
                                        "model x version 1: cannot load: not yet whole; next try in 1ms, 2 left",
                                        "model x version 1: cannot load: not yet whole; next try in 1ms, 1 left",
                                        StartsWith("model x version 1: gave up after 3 tries: not yet whole")));
  EXPECT_FALSE(catalogue_->Ready());
}

TEST_F(CatalogueTest, StopsRetryingWhatVanished) {
  options_.max_load_retries = 5;
  AddVersion("1");
  StartWith({X()});
  AddVersion("2", "bad");
  catalogue_->PollOnce();
  log_.Await("version 2: cannot load: bad; next try in 1h, 5 left");
  folder_.Remove("2");
  catalogue_->PollOnce();
  log_.Await("version 2: not loaded: it is not on disk any more");
  EXPECT_THAT(States(), ElementsAre("2 50", "1 30"));
}

TEST_F(CatalogueTest, LoadsAgainOnceACopiedFolderIsWhole) {
  options_.max_load_retries = 5;
  folder_.Folder("1");
  Start();
  EXPECT_EQ(catalogue_->SetConfig({X()}, absl::InfinitePast()).code(), absl::StatusCode::kDeadlineExceeded);
  log_.Await("version 1: cannot load: no model in");
  AddVersion("1");
  catalogue_->PollOnce();  // the files may still grow
  EXPECT_EQ(log_.Count("loading again"), 0);
  catalogue_->PollOnce();
  log_.Await("version 1: its files have changed, loading again");
  log_.Await("version 1: available");
  EXPECT_EQ(Served(), 1);
}

TEST_F(CatalogueTest, LoadsAgainWhatItGaveUpOnceItsFilesChange) {
  AddVersion("1", "bad");
  Start();
  EXPECT_FALSE(Set({X()}).ok());
  catalogue_->PollOnce();
  catalogue_->PollOnce();
  EXPECT_EQ(log_.Count("loading again"), 0);
  AddVersion("1");
  catalogue_->PollOnce();
  catalogue_->PollOnce();
  log_.Await("version 1: available");
}

TEST_F(CatalogueTest, KeepsWhatIsLoadedWhileTheDiskIsAway) {
  AddVersion("x/1");
  StartWith({{"x", folder_ / "x", {}, {}}});
  std::filesystem::rename(folder_ / "x", folder_ / "away");
  catalogue_->PollOnce();
  catalogue_->PollOnce();
  EXPECT_EQ(Served(), 1);
  EXPECT_EQ(log_.Count("No such file or directory; what is loaded stays"), 1);
  ASSERT_TRUE(Set({{"x", folder_ / "x", {}, {}}}).ok());
  EXPECT_EQ(Served(), 1);
  std::filesystem::rename(folder_ / "away", folder_ / "x");
  catalogue_->PollOnce();
  EXPECT_EQ(log_.Count("can be read again"), 1);
  EXPECT_THAT(loader_.order(), ElementsAre(1));
}

TEST_F(CatalogueTest, WarnsOnceOfAModelWithoutVersions) {
  Start();
  const absl::Status status = Set({X()});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnknown);
  EXPECT_THAT(std::string(status.message()), HasSubstr("{name: x} has no versions under " + folder_.path()));
  catalogue_->PollOnce();
  EXPECT_EQ(log_.Count("model x: no versions under"), 1);
  EXPECT_THAT(States(), ElementsAre("NOT_FOUND: Could not find any versions of model x"));
  AddVersion("1");
  catalogue_->PollOnce();
  log_.Await("version 1: available");
}

TEST_F(CatalogueTest, UnloadsAllVersionsOfAnEmptiedFolder) {
  AddVersion("1");
  StartWith({X()});
  folder_.Remove("1");
  catalogue_->PollOnce();
  log_.Await("version 1: unloaded");
  EXPECT_THAT(States(), ElementsAre("1 50"));
}

// file_system_storage_path_source.cc: the later name wins.
TEST_F(CatalogueTest, WarnsOnceOfTwoNamesForAVersion) {
  AddVersion("1");
  AddVersion("001", "never read");
  StartWith({X()});
  catalogue_->PollOnce();
  EXPECT_EQ(log_.Count("version 1 is there twice: " + folder_.path() + "/1 is served"), 1);
}

TEST_F(CatalogueTest, RefusesABasePathThatIsMissing) {
  AddVersion("1");
  StartWith({X()});
  const absl::Status status = Set({{"y", folder_ / "none", {}, {}}});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("Could not find base path " + (folder_ / "none")));
  EXPECT_FALSE(IsInForce(status));
  EXPECT_EQ(Set({{"x", folder_ / "none", {}, {}}}).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Served(), 1);  // the old configuration is kept as a whole
}

TEST_F(CatalogueTest, RefusesANameTwice) {
  AddVersion("1");
  Start();
  EXPECT_EQ(Set({X(), X()}).ToString(), "INVALID_ARGUMENT: Illegal to list model x multiple times in config list");
}

TEST_F(CatalogueTest, LoadsTheSameVersionFromAnotherBasePathBesideTheOld) {
  AddVersion("old/1");
  AddVersion("new/1");
  StartWith({{"x", folder_ / "old", {}, {}}});
  loader_.CloseGate();
  ASSERT_TRUE(Set({{"x", folder_ / "new", {}, {}}}).ok());
  loader_.AwaitLoads(2);
  EXPECT_THAT(States(), ElementsAre("1 30"));
  loader_.OpenGate();
  log_.Await("version 1: unloaded");
  EXPECT_THAT(States(), ElementsAre("1 30"));
  EXPECT_EQ(loader_.alive(), 1);
  EXPECT_EQ(log_.Count("loading from " + (folder_ / "new") + "/1"), 1);
}

// UpdateModelVersionLabelMap in server_core.cc.
TEST_F(CatalogueTest, LabelsOnlyVersionsThatAreAvailable) {
  AddVersion("1");
  AddVersion("2");
  StartWith({AllOfX()});
  log_.Await("version 1: available");
  ModelConfig config = AllOfX();
  config.labels = {{"stable", 1}, {"canary", 2}};
  ASSERT_TRUE(Set({config}).ok());
  EXPECT_EQ(Served({"x", std::nullopt, "stable"}), 1);
  EXPECT_EQ(Served({"x", std::nullopt, "canary"}), 2);
  EXPECT_EQ(catalogue_->Statuses({"x", std::nullopt, "stable"})->at(0).version, 1);

  ModelConfig wrong = config;
  wrong.labels["canary"] = 3;
  const absl::Status status = Set({wrong});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), StartsWith("Request to assign label to version 3 of model x, which is "
                                                        "not currently available for inference"));
  EXPECT_EQ(Served({"x", std::nullopt, "canary"}), 2);

  config.labels = {{"stable", 2}};
  ASSERT_TRUE(Set({config}).ok());
  EXPECT_EQ(Served({"x", std::nullopt, "stable"}), 2);
  EXPECT_THAT(FindError({"x", std::nullopt, "canary"}), HasSubstr("Unrecognized servable version label: canary"));
}

TEST_F(CatalogueTest, AllowsOnlyNewLabelsForVersionsThatAreNotAvailable) {
  options_.allow_labels_for_unavailable_versions = true;
  AddVersion("1");
  ModelConfig config = X();
  config.labels = {{"stable", 1}, {"next", 2}};
  StartWith({config});
  EXPECT_EQ(Served({"x", std::nullopt, "stable"}), 1);
  EXPECT_THAT(FindError({"x", std::nullopt, "next"}), HasSubstr("Specific(x, 2)"));
  config.labels["stable"] = 2;
  EXPECT_EQ(Set({config}).code(), absl::StatusCode::kFailedPrecondition);
}

// A configuration with labels that was taken while the server ran must be good for its next start, too.
TEST_F(CatalogueTest, ANewModelMayHaveLabels) {
  AddVersion("1");
  ModelConfig config = X();
  config.labels = {{"stable", 1}};
  StartWith({config});
  EXPECT_EQ(Served({"x", std::nullopt, "stable"}), 1);
  ASSERT_TRUE(Set({config}).ok());
}

TEST_F(CatalogueTest, ALabelThatStaysIsNoNewOne) {
  AddVersion("1");
  ModelConfig config = X();
  config.labels = {{"stable", 1}, {"lost", 7}};
  StartWith({config});
  ASSERT_TRUE(Set({config}).ok());
  config.labels = {{"stable", 7}};
  EXPECT_EQ(Set({config}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Served({"x", std::nullopt, "stable"}), 1);
}

TEST_F(CatalogueTest, RemovesModelsAndTakesThemBack) {
  AddVersion("x/1");
  AddVersion("y/1");
  const ModelConfig x{"x", folder_ / "x", {}, {}};
  const ModelConfig y{"y", folder_ / "y", {}, {}};
  StartWith({x, y});
  EXPECT_EQ(catalogue_->Report().size(), 2);
  ASSERT_TRUE(Set({y}).ok());
  log_.Await("model x version 1: unloading: the model was removed");
  log_.Await("model x version 1: unloaded");
  EXPECT_EQ(Served(), 0);
  EXPECT_THAT(States(), ElementsAre("1 50"));  // ended versions stay listed
  EXPECT_TRUE(catalogue_->Ready());
  EXPECT_EQ(catalogue_->Report().size(), 1);
  ASSERT_TRUE(Set({x, y}).ok());
  EXPECT_THAT(States(), ElementsAre("1 30"));
}

TEST_F(CatalogueTest, SaysWhyItUnloadsAtTheEnd) {
  AddVersion("1");
  StartWith({X()});
  catalogue_.reset();
  EXPECT_EQ(log_.Count("model x version 1: unloading: the server stops"), 1);
  EXPECT_EQ(log_.Count("removed"), 0);
}

TEST_F(CatalogueTest, ListsTheLastSixteenEndedVersions) {
  AddVersion("1");
  StartWith({X()});
  for (int version = 2; version <= 20; ++version) {
    AddVersion(absl::StrCat(version));
    catalogue_->PollOnce();
    log_.Await(absl::StrCat("version ", version - 1, ": unloaded"));
  }
  const std::vector<std::string> states = States();
  EXPECT_EQ(states.size(), 17);
  EXPECT_EQ(states.front(), "20 30");
  EXPECT_EQ(states.back(), "4 50");
}

TEST_F(CatalogueTest, GivesUpWaitingAtTheDeadline) {
  loader_.CloseGate();
  AddVersion("1");
  Start();
  const absl::Status status = catalogue_->SetConfig({X()}, absl::Now() + absl::Milliseconds(1));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("{name: x version: 1}"));
  EXPECT_TRUE(IsInForce(status));
  loader_.OpenGate();
  log_.Await("version 1: available");
}

TEST_F(CatalogueTest, DoesNotWaitForTheRetryOfOneModelBesideOthers) {
  options_.max_load_retries = 1;
  AddVersion("x/1");
  AddVersion("y/1", "bad");
  Start();
  const absl::Status status = catalogue_->SetConfig({{"x", folder_ / "x", {}, {}}, {"y", folder_ / "y", {}, {}}},
                                                    absl::InfiniteFuture(), Catalogue::Retries::kPassOver);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnknown);
  EXPECT_THAT(std::string(status.message()), HasSubstr("1 model(s) did not become available: {{{name: y version: 1}"));
  EXPECT_THAT(States("y"), ElementsAre("1 20"));  // its retry comes
}

TEST_F(CatalogueTest, WaitsForTheRetryOfTheOnlyModel) {
  options_.max_load_retries = 1;
  AddVersion("1", "bad");
  Start();
  const absl::Status status =
      catalogue_->SetConfig({X()}, SteadyNow() + absl::Milliseconds(100), Catalogue::Retries::kPassOver);
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(CatalogueTest, PollsByItself) {
  options_.poll = absl::Milliseconds(1);
  AddVersion("1");
  StartWith({X()});
  AddVersion("2");
  log_.Await("version 2: available");
}

TEST_F(CatalogueTest, UnloadsAllAtItsEnd) {
  for (const char* version : {"1", "2", "3"}) AddVersion(version);
  StartWith({AllOfX()});
  loader_.CloseGate();
  std::thread opener([this] { loader_.OpenGate(); });
  catalogue_ = nullptr;
  opener.join();
  EXPECT_EQ(loader_.alive(), 0);
  EXPECT_THAT(log_.lines(), Each(StartsWith("model x")));
}

}  // namespace
}  // namespace ems

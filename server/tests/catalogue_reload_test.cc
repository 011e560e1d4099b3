// Requests while versions and models come and go.
#include <gmock/gmock.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "catalogue/catalogue.h"
#include "catalogue_fakes.h"
#include "temp_folder.h"

namespace ems {
namespace {

using ::testing::Contains;
using ::testing::Not;

// Threads that find and run a model as fast as they can, and count what failed.
class Clients {
 public:
  Clients(const Catalogue& catalogue, ModelSpec spec) : catalogue_(catalogue), spec_(std::move(spec)) {
    for (int i = 0; i < 4; ++i) threads_.emplace_back([this] { Work(); });
  }
  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  std::vector<std::thread::id> ids() const {
    std::vector<std::thread::id> ids;
    for (const std::thread& thread : threads_) ids.push_back(thread.get_id());
    return ids;
  }
  int failures() const { return failures_; }
  int answers() const { return answers_; }

 private:
  void Work() {
    int64_t last = 0;
    while (!stop_) {
      const absl::StatusOr<ServableHandle> handle = catalogue_.Find(spec_);
      if (!handle.ok()) {
        ++failures_;
        continue;
      }
      const absl::StatusOr<TensorMap> outputs = handle->servable->Run("", {}, {});
      const int64_t version = outputs.ok() ? *outputs->at("version").data<int64_t>() : -1;
      // What a client sees only goes forward here.
      if (version != handle->id.version || version < last) ++failures_;
      last = version;
      ++answers_;
      std::this_thread::yield();  // to the threads that load and unload
    }
  }

  const Catalogue& catalogue_;
  const ModelSpec spec_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> failures_ = 0;
  std::atomic<int> answers_ = 0;
  std::vector<std::thread> threads_;
};

class ReloadTest : public ::testing::Test {
 protected:
  ReloadTest() {
    options_.poll = absl::ZeroDuration();
    options_.log = [this](const std::string& line) { log_(line); };
  }

  TempFolder folder_;
  FakeLoader loader_;
  FakeLog log_;
  Catalogue::Options options_;
};

TEST_F(ReloadTest, FailsNoRequestWhileVersionsComeAndGo) {
  Catalogue catalogue(options_, loader_);
  folder_.File("1/model", "ok");
  ASSERT_TRUE(catalogue.SetConfig({{"x", folder_.path(), {}, {}}}, absl::InfiniteFuture()).ok());
  Clients clients(catalogue, {"x", std::nullopt, ""});
  const auto ids = clients.ids();
  for (int version = 2; version <= 101; ++version) {
    folder_.File(absl::StrCat(version, "/model"), "ok");
    catalogue.PollOnce();
    log_.Await(absl::StrCat("version ", version - 1, ": unloaded"));
    folder_.Remove(absl::StrCat(version - 1));
    catalogue.PollOnce();
  }
  clients.Stop();
  EXPECT_EQ(clients.failures(), 0);
  EXPECT_GT(clients.answers(), 100);
  EXPECT_EQ(loader_.alive(), 1);
  EXPECT_LE(loader_.most_alive(), 3);
  for (const std::thread::id id : ids) EXPECT_THAT(loader_.destroyers(), Not(Contains(id)));
}

TEST_F(ReloadTest, FailsNoRequestWhileOtherModelsAndLabelsComeAndGo) {
  Catalogue catalogue(options_, loader_);
  folder_.File("x/1/model", "ok");
  folder_.File("x/2/model", "ok");
  folder_.File("y/1/model", "ok");
  ModelConfig x{"x", folder_ / "x", {VersionPolicy::Kind::kAll, 1, {}}, {}};
  const ModelConfig y{"y", folder_ / "y", {}, {}};
  ASSERT_TRUE(catalogue.SetConfig({x}, absl::InfiniteFuture()).ok());
  // A configuration is in force with the first version that is available; the labels need both.
  log_.Await("version 1: available");
  log_.Await("version 2: available");
  x.labels = {{"stable", 2}};
  ASSERT_TRUE(catalogue.SetConfig({x}, absl::InfiniteFuture()).ok());
  Clients clients(catalogue, {"x", std::nullopt, "stable"});
  for (int round = 0; round < 100; ++round) {
    x.labels["canary"] = 1 + round % 2;
    ASSERT_TRUE(catalogue.SetConfig({x, y}, absl::InfiniteFuture()).ok());
    EXPECT_EQ(catalogue.Report().size(), 2);
    EXPECT_TRUE(catalogue.Ready());
    ASSERT_TRUE(catalogue.SetConfig({x}, absl::InfiniteFuture()).ok());
    EXPECT_TRUE(catalogue.Statuses({"x", std::nullopt, "stable"}).ok());
  }
  clients.Stop();
  EXPECT_EQ(clients.failures(), 0);
}

// Whatever comes at once, the last configuration is in force, and nothing is left at the end.
TEST_F(ReloadTest, TakesConfigurationsFromSeveralThreads) {
  options_.poll = absl::Microseconds(100);
  {
    Catalogue catalogue(options_, loader_);
    std::vector<std::thread> threads;
    for (const char* name : {"a", "b", "c"}) {
      folder_.File(absl::StrCat(name, "/1/model"), "ok");
      threads.emplace_back([&, name] {
        for (int round = 0; round < 50; ++round) {
          const absl::Status status = catalogue.SetConfig({{name, folder_ / name, {}, {}}}, absl::InfiniteFuture());
          // Another thread may have removed the model again.
          EXPECT_TRUE(IsInForce(status)) << status;
          catalogue.Find({name, std::nullopt, ""}).IgnoreError();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_TRUE(catalogue.SetConfig({{"a", folder_ / "a", {}, {}}}, absl::InfiniteFuture()).ok());
    EXPECT_TRUE(catalogue.Find({"a", std::nullopt, ""}).ok());
  }
  EXPECT_EQ(loader_.alive(), 0);
}

TEST_F(ReloadTest, ForgetsModelsThatWereRemovedLongAgo) {
  Catalogue catalogue(options_, loader_);
  folder_.File("1/model", "ok");
  for (int i = 0; i < 70; ++i) {
    const std::string name = absl::StrCat("m", i);
    ASSERT_TRUE(catalogue.SetConfig({{name, folder_.path(), {}, {}}}, absl::InfiniteFuture()).ok());
    if (i > 0) log_.Await(absl::StrCat("model m", i - 1, " version 1: unloaded"));
  }
  EXPECT_FALSE(catalogue.Statuses({"m0", std::nullopt, ""}).ok());
  EXPECT_TRUE(catalogue.Statuses({"m68", std::nullopt, ""}).ok());
}

}  // namespace
}  // namespace ems

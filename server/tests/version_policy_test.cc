// The versions on disk, and the order in which they come and go.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "catalogue/policy.h"
#include "catalogue/versions.h"
#include "temp_folder.h"

namespace ems {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using Stage = Candidate::Stage;

constexpr bool kAspired = true;
constexpr bool kGoing = false;

// "load 3", "unload 1" or "wait".
std::string Next(const std::vector<Candidate>& candidates, bool keep_available = true) {
  const std::optional<Action> action = NextAction(candidates, keep_available);
  if (!action) return "wait";
  const std::string verb = action->kind == Action::Kind::kLoad ? "load " : "unload ";
  return verb + std::to_string(candidates[action->index].version);
}

// availability_preserving_policy.cc.
TEST(KeepAvailable, LoadsTheHighestFirst) {
  EXPECT_EQ(Next({}), "wait");
  EXPECT_EQ(Next({{1, Stage::kNew, kAspired}, {3, Stage::kNew, kAspired}, {2, Stage::kNew, kAspired}}), "load 3");
  EXPECT_EQ(Next({{1, Stage::kNew, kAspired}, {3, Stage::kLoading, kAspired}}), "load 1");
  EXPECT_EQ(Next({{1, Stage::kNew, kGoing}}), "wait");
}

TEST(KeepAvailable, UnloadsOnceAnAspiredVersionIsReady) {
  EXPECT_EQ(Next({{1, Stage::kReady, kGoing}, {2, Stage::kLoading, kAspired}}), "wait");
  EXPECT_EQ(Next({{1, Stage::kReady, kGoing}, {2, Stage::kEnded, kAspired}}), "wait");
  EXPECT_EQ(Next({{1, Stage::kReady, kGoing}, {2, Stage::kReady, kAspired}}), "unload 1");
  EXPECT_EQ(Next({{1, Stage::kReady, kGoing}}), "unload 1");
}

TEST(KeepAvailable, KeepsOneOfSeveralThatGo) {
  EXPECT_EQ(Next({{2, Stage::kReady, kGoing}, {1, Stage::kReady, kGoing}, {3, Stage::kNew, kAspired}}), "unload 1");
  EXPECT_EQ(Next({{2, Stage::kReady, kGoing}, {1, Stage::kUnloading, kGoing}, {3, Stage::kNew, kAspired}}), "load 3");
}

// resource_preserving_policy.cc.
TEST(SpareMemory, UnloadsFirstAndWaitsForTheEnd) {
  EXPECT_EQ(Next({{1, Stage::kReady, kGoing}, {2, Stage::kNew, kAspired}}, false), "unload 1");
  EXPECT_EQ(Next({{1, Stage::kUnloading, kGoing}, {2, Stage::kNew, kAspired}}, false), "wait");
  EXPECT_EQ(Next({{1, Stage::kLoading, kGoing}, {2, Stage::kNew, kAspired}}, false), "wait");
  EXPECT_EQ(Next({{1, Stage::kEnded, kGoing}, {2, Stage::kNew, kAspired}}, false), "load 2");
}

// ParseVersionNumber in file_system_storage_path_source.cc: any name that is an int64.
TEST(ScanVersions, TakesFoldersWhoseNameIsANumber) {
  const TempFolder folder;
  for (const char* name : {"3", "007", "-1", "9223372036854775807", "9223372036854775808", "v4", "5.0", "6x", "tmp"}) {
    folder.Folder(name);
  }
  folder.File("8", "a file");
  std::filesystem::create_directory_symlink(folder / "3", folder / "12");
  std::filesystem::create_directory_symlink(folder / "none", folder / "13");
  const ModelConfig config{"x", folder.path() + "/", {VersionPolicy::Kind::kAll, 1, {}}, {}};
  const absl::StatusOr<Scan> scan = ScanVersions(config);
  ASSERT_TRUE(scan.ok());
  EXPECT_THAT(scan->folders,
              ElementsAre(Pair(-1, folder / "-1"), Pair(3, folder / "3"), Pair(7, folder / "007"),
                          Pair(12, folder / "12"), Pair(9223372036854775807, folder / "9223372036854775807")));
  EXPECT_THAT(scan->warnings, IsEmpty());
}

TEST(ScanVersions, TellsWhyABasePathCannotBeRead) {
  const TempFolder folder;
  const auto error = [](const std::string& path) { return ScanVersions({"x", path, {}, {}}).status(); };
  EXPECT_EQ(error(folder / "none").ToString(),
            "NOT_FOUND: cannot read base path " + (folder / "none") + ": No such file or directory");
  EXPECT_THAT(error(folder.File("file", "")).ToString(), HasSubstr("Not a directory"));
}

TEST(FolderStamp, ChangesWithTheFiles) {
  const TempFolder folder;
  EXPECT_EQ(FolderStamp(folder / "none"), "");
  folder.File("a/model.tflite", "1");
  const std::string first = FolderStamp(folder / "a");
  EXPECT_EQ(FolderStamp(folder / "a"), first);
  folder.File("a/model.tflite", "12");
  const std::string second = FolderStamp(folder / "a");
  EXPECT_NE(second, first);
  folder.File("a/assets.extra/labels", "");
  EXPECT_NE(FolderStamp(folder / "a"), second);
}

}  // namespace
}  // namespace ems

#include "app/limits.h"

#include <sys/resource.h>

#include <string>

#include "gtest/gtest.h"
#include "temp_folder.h"

namespace ems {
namespace {

class ControlGroup : public ::testing::Test {
 protected:
  uint64_t Limit(const std::string& membership) {
    return ControlGroupMemory(files_.File("cgroup", membership), files_.path());
  }

  TempFolder files_;
};

TEST_F(ControlGroup, IsTheLeastLimitUpToTheRoot) {
  files_.File("system.slice/server.service/memory.max", "max\n");
  files_.File("system.slice/server.service/memory.high", "max\n");
  EXPECT_EQ(Limit("0::/system.slice/server.service\n"), 0);
  files_.File("system.slice/memory.max", "419430400\n");
  EXPECT_EQ(Limit("0::/system.slice/server.service\n"), 419430400);
  files_.File("system.slice/server.service/memory.max", "314572800\n");
  EXPECT_EQ(Limit("0::/system.slice/server.service\n"), 314572800);
  files_.File("system.slice/server.service/memory.high", "104857600\n");
  EXPECT_EQ(Limit("0::/system.slice/server.service\n"), 104857600);
  files_.File("system.slice/other.service/memory.max", "4096\n");
  EXPECT_EQ(Limit("0::/system.slice/server.service\n"), 104857600);
}

TEST_F(ControlGroup, IsAlsoThatOfVersionOne) {
  files_.File("memory/a/memory.limit_in_bytes", "9223372036854771712\n");
  const std::string membership = "5:cpu,cpuacct:/x\n4:memory:/a/b\n0::/\n";
  EXPECT_EQ(Limit(membership), 0);
  files_.File("memory/a/b/memory.limit_in_bytes", "209715200\n");
  EXPECT_EQ(Limit(membership), 209715200);
  EXPECT_EQ(Limit("4:hugetlb,memory:/a/b\n"), 209715200);
  EXPECT_EQ(Limit("4:memory_of_another:/a/b\n"), 0);
}

TEST_F(ControlGroup, OfAContainerIsMountedAtTheRoot) {
  files_.File("memory.max", "419430400\n");
  EXPECT_EQ(Limit("0::/\n"), 419430400);
  EXPECT_EQ(Limit("0::/docker/0123:4567\n"), 419430400);
  EXPECT_EQ(Limit("0::/../../elsewhere\n"), 419430400);
}

TEST_F(ControlGroup, IsNoneWithoutFiles) {
  EXPECT_EQ(ControlGroupMemory(files_ / "none", files_.path()), 0);
  EXPECT_EQ(Limit(""), 0);
  EXPECT_EQ(Limit("0:\n\nmemory\n"), 0);
}

TEST(RaiseFileLimit, RaisesTheSoftLimitToTheHardOne) {
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit lower = {100, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lower), 0);
  EXPECT_EQ(RaiseFileLimit(), before.rlim_max);
  rlimit after = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
  EXPECT_EQ(after.rlim_cur, before.rlim_max);
}

}  // namespace
}  // namespace ems

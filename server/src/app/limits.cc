#include "app/limits.h"

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <vector>

#include "absl/strings/str_split.h"

namespace ems {
namespace {

namespace fs = std::filesystem;

// Version 1 writes "no limit" as a number that depends on the page size; it is beyond this one.
constexpr uint64_t kNone = uint64_t{1} << 42U;

// Returns the least number in the files `names` of `group` and of the groups above it. A container's own group may be
// mounted in the place of the first: folders that do not exist are passed over, "max" is no number.
uint64_t Least(const fs::path& mount, const fs::path& group, std::initializer_list<const char*> names) {
  uint64_t least = kNone;
  for (fs::path folder = group.relative_path();; folder = folder.parent_path()) {
    for (const char* name : names) {
      uint64_t limit = 0;
      if (std::ifstream(mount / folder / name) >> limit) least = std::min(least, limit);
    }
    if (folder.empty()) return least;
  }
}

}  // namespace

uint64_t ControlGroupMemory(const std::string& membership, const std::string& mount) {
  std::ifstream file(membership);
  uint64_t least = kNone;
  // cgroups(7): "HIERARCHY:CONTROLLERS:PATH", 0 and no controllers for version 2.
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    const std::vector<std::string> controllers = absl::StrSplit(fields[1], ',');
    if (fields[0] == "0") {
      least = std::min(least, Least(mount, fields[2], {"memory.max", "memory.high"}));
    } else if (std::find(controllers.begin(), controllers.end(), "memory") != controllers.end()) {
      least = std::min(least, Least(fs::path(mount) / "memory", fields[2], {"memory.limit_in_bytes"}));
    }
  }
  return least == kNone ? 0 : least;
}

uint64_t RaiseFileLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace ems

#include "catalogue/versions.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ems {
namespace {

namespace fs = std::filesystem;

absl::Status Error(const std::error_code& code, const std::string& text) {
  return absl::ErrnoToStatus(code.value(), text);
}

// Returns the names of the folders in `path`, sorted: the order on disk is arbitrary. Links to folders count.
absl::StatusOr<std::set<std::string>> FolderNames(const std::string& path) {
  std::set<std::string> names;
  std::error_code code;
  fs::directory_iterator entry(path, code);
  for (; !code && entry != fs::directory_iterator(); entry.increment(code)) {
    std::error_code vanished;  // between the listing and this look; then it is no version
    if (entry->is_directory(vanished)) names.insert(entry->path().filename());
  }
  if (code) return Error(code, absl::StrCat("cannot read base path ", path));
  return names;
}

// TensorFlow Serving keeps the last of two names for a number (file_system_storage_path_source.cc).
Scan AllVersions(const std::string& base_path, const std::set<std::string>& names) {
  Scan scan;
  for (const std::string& name : names) {
    int64_t version = 0;
    if (!absl::SimpleAtoi(name, &version)) continue;
    const std::string folder = absl::StrCat(base_path, base_path.back() == '/' ? "" : "/", name);
    auto [place, is_new] = scan.folders.try_emplace(version, folder);
    if (is_new) continue;
    scan.warnings.push_back(absl::StrCat("version ", version, " is there twice: ", folder, " is served, ",
                                         place->second, " is not; remove one of them"));
    place->second = folder;
  }
  return scan;
}

void KeepLatest(int64_t count, Scan& scan) {
  const auto surplus = static_cast<int64_t>(scan.folders.size()) - count;
  if (surplus > 0) scan.folders.erase(scan.folders.begin(), std::next(scan.folders.begin(), surplus));
}

void KeepSpecific(const std::vector<int64_t>& versions, Scan& scan) {
  std::map<int64_t, std::string> kept;
  for (const int64_t version : versions) {
    const auto found = scan.folders.find(version);
    if (found != scan.folders.end()) {
      kept.insert(*found);
    } else {
      scan.warnings.push_back(
          absl::StrCat("version ", version, " of its version policy is not on disk; add its folder, or remove it"));
    }
  }
  scan.folders = std::move(kept);
}

}  // namespace

absl::StatusOr<Scan> ScanVersions(const ModelConfig& config) {
  absl::StatusOr<std::set<std::string>> names = FolderNames(config.base_path);
  if (!names.ok()) return names.status();
  Scan scan = AllVersions(config.base_path, *names);
  if (scan.folders.empty()) {
    scan.warnings.push_back(absl::StrCat("no versions under ", config.base_path,
                                         "; put the model into a folder whose name is a number, such as ",
                                         config.base_path, "/1"));
    return scan;
  }
  if (config.policy.kind == VersionPolicy::Kind::kLatest) KeepLatest(config.policy.latest, scan);
  if (config.policy.kind == VersionPolicy::Kind::kSpecific) KeepSpecific(config.policy.specific, scan);
  return scan;
}

std::string FolderStamp(const std::string& folder) {
  std::set<std::string> files;
  std::error_code code;
  fs::recursive_directory_iterator entry(folder, code);
  for (; !code && entry != fs::recursive_directory_iterator(); entry.increment(code)) {
    std::error_code vanished;
    const auto size = entry->is_regular_file(vanished) ? entry->file_size(vanished) : 0;
    const auto time = entry->last_write_time(vanished).time_since_epoch().count();
    files.insert(absl::StrCat(entry->path().native(), " ", size, " ", time, "\n"));
  }
  std::string stamp;
  for (const std::string& file : files) absl::StrAppend(&stamp, file);
  return stamp;
}

}  // namespace ems

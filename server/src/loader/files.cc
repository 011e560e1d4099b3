#include "loader/files.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ems {
namespace {

constexpr char kModelName[] = "model.tflite";
constexpr char kDeviceEnding[] = "_edgetpu.tflite";
constexpr char kSavedModelName[] = "saved_model.pb";

constexpr int kMostSegments = 1000;

// The name of a segment's file, without its number.
struct SegmentSet {
  std::string before;  // the number
  std::string after;
  int count = 0;
  bool operator<(const SegmentSet& other) const {
    return std::tie(before, after, count) < std::tie(other.before, other.after, other.count);
  }
  std::string Name(int number) const { return absl::StrCat(before, number, after); }
};

struct Listing {
  std::vector<std::string> cpu;
  std::vector<std::string> device;
  std::map<SegmentSet, std::vector<int>> segments;  // numbers that are there
  bool saved_model = false;
};

// Adds a name to the segments; returns whether it is the name of one.
bool AddSegment(const std::string& name, Listing& listing) {
  constexpr char kMark[] = "_segment_";
  const size_t mark = name.rfind(kMark);
  if (mark == std::string::npos) return false;
  const size_t number_at = mark + sizeof kMark - 1;
  const size_t number_end = name.find("_of_", number_at);
  if (number_end == std::string::npos) return false;
  const size_t count_at = number_end + 4;
  const size_t count_end = name.find_first_not_of("0123456789", count_at);
  SegmentSet set{name.substr(0, number_at), name.substr(number_end), 0};
  int number = 0;
  if (!absl::SimpleAtoi(name.substr(number_at, number_end - number_at), &number) ||
      !absl::SimpleAtoi(name.substr(count_at, count_end - count_at), &set.count) || number < 0 || number >= set.count ||
      set.count > kMostSegments || set.Name(number) != name) {
    return false;
  }
  listing.segments[set].push_back(number);
  return true;
}

absl::StatusOr<Listing> List(const std::string& folder) {
  Listing listing;
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  for (const std::filesystem::directory_iterator end; !error && entries != end; entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    listing.saved_model = listing.saved_model || name == kSavedModelName;
    if (!absl::EndsWith(name, ".tflite") || absl::StartsWith(name, ".")) continue;
    if (AddSegment(name, listing)) continue;
    (absl::EndsWith(name, kDeviceEnding) ? listing.device : listing.cpu).push_back(name);
  }
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot read the folder ", folder));
  std::sort(listing.cpu.begin(), listing.cpu.end());
  std::sort(listing.device.begin(), listing.device.end());
  return listing;
}

// Returns the path of the model among `names`, empty where there is none.
absl::StatusOr<std::string> Choose(const std::string& folder, const std::vector<std::string>& names) {
  if (names.empty()) return std::string();
  const bool has_default = std::find(names.begin(), names.end(), kModelName) != names.end();
  if (has_default) return absl::StrCat(folder, "/", kModelName);
  if (names.size() == 1) return absl::StrCat(folder, "/", names.front());
  return absl::InvalidArgumentError(absl::StrCat(folder, " holds several models (", absl::StrJoin(names, ", "),
                                                 "): call the one to serve ", kModelName));
}

// Returns the paths of a complete set of segments, none where there are no segments.
absl::StatusOr<std::vector<std::string>> ChooseSegments(const std::string& folder, const Listing& listing) {
  std::vector<std::string> paths;
  if (listing.segments.empty()) return paths;
  const auto& [set, numbers] = *listing.segments.begin();
  if (listing.segments.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        folder, " holds segments of several compilations (", set.Name(numbers.front()), ", ",
        listing.segments.rbegin()->first.Name(listing.segments.rbegin()->second.front()), "): keep those of one"));
  }
  if (!listing.device.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(folder, " holds segments and the whole model ",
                                                   listing.device.front(), " for a device: keep one of them"));
  }
  std::vector<std::string> missing;
  for (int number = 0; number < set.count; ++number) {
    const std::string name = set.Name(number);
    paths.push_back(absl::StrCat(folder, "/", name));
    if (std::find(numbers.begin(), numbers.end(), number) == numbers.end() && missing.size() < 10) {
      missing.push_back(name);
    }
  }
  if (missing.empty()) return paths;
  return absl::NotFoundError(absl::StrCat(folder, " holds ", numbers.size(), " of ", set.count,
                                          " segments: put there too ", absl::StrJoin(missing, ", ")));
}

absl::Status Missing(const std::string& folder, bool saved_model) {
  if (!saved_model) {
    return absl::NotFoundError(absl::StrCat(folder, " holds no model: put it there as ", kModelName));
  }
  return absl::NotFoundError(absl::StrCat(folder,
                                          " holds a SavedModel, which this server cannot run: convert it with "
                                          "tf.lite.TFLiteConverter.from_saved_model and put the result there as ",
                                          kModelName));
}

}  // namespace

absl::StatusOr<ModelFiles> FindModelFiles(const std::string& folder) {
  const absl::StatusOr<Listing> listing = List(folder);
  if (!listing.ok()) return listing.status();
  if (listing->cpu.empty() && listing->device.empty() && listing->segments.empty()) {
    return Missing(folder, listing->saved_model);
  }
  absl::StatusOr<std::string> cpu = Choose(folder, listing->cpu);
  if (!cpu.ok()) return cpu.status();
  absl::StatusOr<std::string> device = Choose(folder, listing->device);
  if (!device.ok()) return device.status();
  absl::StatusOr<std::vector<std::string>> segments = ChooseSegments(folder, *listing);
  if (!segments.ok()) return segments.status();
  return ModelFiles{*std::move(cpu), *std::move(device), *std::move(segments)};
}

}  // namespace ems

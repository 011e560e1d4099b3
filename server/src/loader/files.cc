#include "loader/files.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ems {
namespace {

constexpr char kModelName[] = "model.tflite";
constexpr char kDeviceEnding[] = "_edgetpu.tflite";
constexpr char kSavedModelName[] = "saved_model.pb";

struct Listing {
  std::vector<std::string> cpu;
  std::vector<std::string> device;
  bool saved_model = false;
};

absl::StatusOr<Listing> List(const std::string& folder) {
  Listing listing;
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  for (const std::filesystem::directory_iterator end; !error && entries != end; entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    listing.saved_model = listing.saved_model || name == kSavedModelName;
    if (!absl::EndsWith(name, ".tflite") || absl::StartsWith(name, ".")) continue;
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
  if (listing->cpu.empty() && listing->device.empty()) return Missing(folder, listing->saved_model);
  absl::StatusOr<std::string> cpu = Choose(folder, listing->cpu);
  if (!cpu.ok()) return cpu.status();
  absl::StatusOr<std::string> device = Choose(folder, listing->device);
  if (!device.ok()) return device.status();
  return ModelFiles{*std::move(cpu), *std::move(device)};
}

}  // namespace ems

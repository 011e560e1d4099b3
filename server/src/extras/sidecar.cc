#include "extras/sidecar.h"

#include <cerrno>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "codec/text_proto.h"

namespace ems {
namespace {

constexpr char kFileName[] = "/edge_model.pbtxt";

absl::Status Check(const EdgeModel& settings) {
  if (settings.threads() < 0 || settings.interpreters() < 0 || settings.classification().top_k() < 0) {
    return absl::InvalidArgumentError("threads, interpreters and top_k are positive, or 0 for the default");
  }
  if (absl::StrContains(settings.labels_file(), "/")) {
    return absl::InvalidArgumentError(absl::StrCat("labels_file \"", settings.labels_file(),
                                                   "\" is no file in the version folder: give its name only"));
  }
  for (const ImageInput& image : settings.image()) {
    if (image.std() < 0)
      return absl::InvalidArgumentError("std of an image is negative: give the divisor of the pixels");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ReadLabels(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read the labels ", path));
  std::vector<std::string> labels;
  for (std::string line; std::getline(file, line);) {
    if (absl::EndsWith(line, "\r")) line.pop_back();
    labels.push_back(line);
  }
  return labels;
}

}  // namespace

absl::StatusOr<Sidecar> ReadSidecar(const std::string& folder) {
  Sidecar sidecar;
  const std::string path = folder + kFileName;
  const absl::Status read = ReadTextProto(path, &sidecar.settings);
  if (absl::IsNotFound(read)) return sidecar;
  if (!read.ok()) return read;
  if (absl::Status status = Check(sidecar.settings); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", status.message()));
  }
  if (sidecar.settings.labels_file().empty()) return sidecar;
  absl::StatusOr<std::vector<std::string>> labels = ReadLabels(folder + "/" + sidecar.settings.labels_file());
  if (!labels.ok()) return labels.status();
  sidecar.labels = *std::move(labels);
  return sidecar;
}

}  // namespace ems

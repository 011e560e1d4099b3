#include "client/file.h"

#include <cerrno>
#include <fstream>
#include <iostream>
#include <iterator>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ems {

namespace {

absl::Status CannotRead(const std::string& path, const std::error_code& error) {
  return absl::NotFoundError(absl::StrCat("cannot read ", path, ": ", error.message()));
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) return CannotRead(path, {errno, std::generic_category()});
  }
  std::istream& stream = path == "-" ? std::cin : file;
  try {
    return std::string{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  } catch (const std::ios_base::failure& error) {
    // A folder opens like a file; only reading it fails.
    return CannotRead(path, error.code());
  }
}

}  // namespace ems

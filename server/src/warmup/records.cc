#include "warmup/records.h"

#include <algorithm>
#include <cstddef>

#include "absl/crc/crc32c.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ems {
namespace {

// A record is its length (8 bytes), that field's checksum, the data, and the data's checksum (4 bytes each); the
// numbers are little-endian.
constexpr size_t kLengthBytes = 8;
constexpr size_t kChecksumBytes = 4;
constexpr size_t kPieceBytes = size_t{1} << 20;

uint64_t ReadNumber(absl::string_view bytes) {
  uint64_t number = 0;
  for (size_t i = bytes.size(); i > 0; --i) number = number << 8U | static_cast<uint8_t>(bytes[i - 1]);
  return number;
}

// TensorFlow masks checksums, since a checksum over data with its own checksum in it would say little.
uint32_t MaskedChecksum(absl::string_view data) {
  const auto checksum = static_cast<uint32_t>(absl::ComputeCrc32c(data));
  return (checksum >> 15U | checksum << 17U) + 0xa282ead8U;
}

bool Matches(absl::string_view data, absl::string_view checksum) {
  return ReadNumber(checksum) == MaskedChecksum(data);
}

// Reads `size` bytes, or as many as there are. The buffer grows with what was read.
std::string Read(std::istream& in, uint64_t size) {
  std::string bytes;
  while (bytes.size() < size && in) {
    const size_t before = bytes.size();
    bytes.resize(before + static_cast<size_t>(std::min<uint64_t>(kPieceBytes, size - before)));
    in.read(bytes.data() + before, static_cast<std::streamsize>(bytes.size() - before));
    bytes.resize(before + static_cast<size_t>(in.gcount()));
  }
  return bytes;
}

absl::Status Truncated(uint64_t offset) { return absl::DataLossError(absl::StrCat("truncated record at ", offset)); }

absl::Status Corrupted(uint64_t offset) { return absl::DataLossError(absl::StrCat("corrupted record at ", offset)); }

}  // namespace

absl::StatusOr<bool> RecordReader::Next(std::string* record) {
  const std::string header = Read(in_, kLengthBytes + kChecksumBytes);
  if (header.empty()) return false;
  if (header.size() < kLengthBytes + kChecksumBytes) return Truncated(offset_);
  const absl::string_view length = absl::string_view(header).substr(0, kLengthBytes);
  if (!Matches(length, absl::string_view(header).substr(kLengthBytes))) return Corrupted(offset_);
  const uint64_t size = ReadNumber(length);
  *record = Read(in_, size);
  const std::string checksum = Read(in_, kChecksumBytes);
  if (record->size() < size || checksum.size() < kChecksumBytes) return Truncated(offset_);
  if (!Matches(*record, checksum)) return Corrupted(offset_);
  offset_ += header.size() + size + checksum.size();
  return true;
}

}  // namespace ems

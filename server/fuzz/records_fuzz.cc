// Files of warm-up requests.
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include "check.h"
#include "warmup/records.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string file(reinterpret_cast<const char*>(data), size);
  std::istringstream in(file);
  ems::RecordReader reader(in);
  std::string record;
  size_t offset = 0;
  while (true) {
    const absl::StatusOr<bool> found = reader.Next(&record);
    if (!found.ok()) {
      ems::Check(!found.status().message().empty() && offset < size);
      return 0;
    }
    if (!*found) break;
    ems::Check(file.compare(offset + 12, record.size(), record) == 0);
    offset += record.size() + 16;
  }
  ems::Check(offset == size);
  return 0;
}

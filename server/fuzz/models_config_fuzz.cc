// Texts of models.config.
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "catalogue/config.h"
#include "check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<ems::ModelConfigs> configs = ems::ParseModelConfig(text, "f");
  if (!configs.ok()) {
    ems::Check(!configs.status().message().empty());
    return 0;
  }
  std::set<std::string> names;
  for (const ems::ModelConfig& config : *configs) {
    ems::Check(!config.base_path.empty() && names.insert(config.name).second);
  }
  return 0;
}

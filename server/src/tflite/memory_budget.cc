#include "tflite/memory_budget.h"

#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"

namespace ems {
namespace {

double Megabytes(uint64_t bytes) { return static_cast<double>(bytes) / (1U << 20); }

// Returns a line of /proc/meminfo, which counts in KiB, in bytes; nothing where it is missing.
std::optional<uint64_t> MemInfo(const std::string& name) {
  std::ifstream file("/proc/meminfo");
  std::string word;
  uint64_t kib = 0;
  while (file >> word) {
    if (word == name && file >> kib) return kib << 10U;
  }
  return std::nullopt;
}

}  // namespace

absl::Status CheckFree(uint64_t bytes) {
  const std::optional<uint64_t> available = MemInfo("MemAvailable:");
  if (!available) return absl::OkStatus();
  const uint64_t free = *available + MemInfo("SwapFree:").value_or(0);
  if (bytes <= free) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrFormat("the model needs %.0f MB, but this machine has %.0f MB left: serve fewer or smaller models",
                      Megabytes(bytes), Megabytes(free)));
}

std::shared_ptr<MemoryBudget> MemoryBudget::Create(uint64_t limit_bytes, std::string name) {
  return std::shared_ptr<MemoryBudget>(new MemoryBudget(limit_bytes, std::move(name)));
}

absl::StatusOr<std::unique_ptr<MemoryBudget::Share>> MemoryBudget::Take(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (limit_ != 0 && (used_ > limit_ || bytes > limit_ - used_)) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "the model needs %.1f MB, but of the %.1f MB that %s permits, other models use %.1f MB: raise the limit or "
        "serve fewer models or versions",
        Megabytes(bytes), Megabytes(limit_), name_, Megabytes(used_)));
  }
  used_ += bytes;
  return std::make_unique<Share>(shared_from_this(), bytes);
}

uint64_t MemoryBudget::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

void MemoryBudget::Return(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  used_ -= bytes;
}

}  // namespace ems

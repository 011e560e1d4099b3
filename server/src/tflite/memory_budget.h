// The memory that loaded models may take together.
#ifndef EMS_TFLITE_MEMORY_BUDGET_H_
#define EMS_TFLITE_MEMORY_BUDGET_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace ems {

// RESOURCE_EXHAUSTED, with both figures, where the machine does not have `bytes` left, swap included. Linux gives out
// addresses that no memory stands behind, and ends a process that uses them.
absl::Status CheckFree(uint64_t bytes);

// Counts bytes against a limit. Thread-safe.
class MemoryBudget : public std::enable_shared_from_this<MemoryBudget> {
 public:
  // Bytes taken from the budget; given back when the object goes.
  class Share {
   public:
    Share(std::shared_ptr<MemoryBudget> budget, uint64_t bytes) : budget_(std::move(budget)), bytes_(bytes) {}
    ~Share() { budget_->Return(bytes_); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    std::shared_ptr<MemoryBudget> budget_;
    uint64_t bytes_;
  };

  // A limit of 0 is none; `name` says in messages who set it.
  static std::shared_ptr<MemoryBudget> Create(uint64_t limit_bytes, std::string name = "--memory_limit_mb");

  // RESOURCE_EXHAUSTED where the limit does not leave `bytes`, with all three figures.
  absl::StatusOr<std::unique_ptr<Share>> Take(uint64_t bytes);

  uint64_t used() const;

 private:
  MemoryBudget(uint64_t limit, std::string name) : limit_(limit), name_(std::move(name)) {}
  void Return(uint64_t bytes);

  const uint64_t limit_;
  const std::string name_;
  mutable std::mutex mutex_;
  uint64_t used_ = 0;
};

}  // namespace ems

#endif  // EMS_TFLITE_MEMORY_BUDGET_H_

// A limit on the memory that the requests and replies of all connections take together.
#ifndef EMS_HTTP_BUDGET_H_
#define EMS_HTTP_BUDGET_H_

#include <atomic>
#include <cstddef>
#include <utility>

namespace ems {

class Budget {
 public:
  // The most bytes of a body that is small.
  static constexpr size_t kSmall = 16U << 10;

  explicit Budget(size_t most) : most_(most) {}

  // A share of a budget, given back by the destructor.
  class Charge {
   public:
    explicit Charge(Budget& budget) : budget_(&budget) {}
    Charge(Charge&& other) noexcept : budget_(other.budget_), bytes_(std::exchange(other.bytes_, 0)) {}
    Charge& operator=(Charge&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    Charge(const Charge&) = delete;
    Charge& operator=(const Charge&) = delete;
    ~Charge() { budget_->used_ -= bytes_; }

    // Returns false where the budget does not have the bytes; they count all the same, as they exist by then. A quarter
    // more is kept for small bodies. A charge that is the only one always fits: to refuse it would help nobody.
    bool Resize(size_t bytes) {
      if (bytes == bytes_) return true;
      const size_t used = budget_->used_ += bytes - bytes_;
      const bool grows = bytes > bytes_;
      bytes_ = bytes;
      // Clients with large bodies must not keep out those with small ones.
      const size_t most = budget_->most_ + (bytes <= kSmall ? budget_->most_ / 4 : 0);
      return !grows || used <= most || used == bytes;
    }

   private:
    Budget* budget_;
    size_t bytes_ = 0;
  };

 private:
  const size_t most_;
  std::atomic<size_t> used_{0};
};

}  // namespace ems

#endif  // EMS_HTTP_BUDGET_H_

// Failing and counted allocations. It replaces operator new: include it in one file of a program.
#ifndef EMS_TESTS_SUPPORT_ALLOCATIONS_H_
#define EMS_TESTS_SUPPORT_ALLOCATIONS_H_

#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace ems::testing {

inline std::atomic<size_t> forbidden_size{0};
inline std::atomic<int64_t> live_bytes{0};
inline std::atomic<int64_t> peak_bytes{0};

// While it exists, allocations of this size fail in all threads.
class NoMemoryFor {
 public:
  explicit NoMemoryFor(size_t size) { forbidden_size = size; }
  ~NoMemoryFor() { forbidden_size = 0; }
  NoMemoryFor(const NoMemoryFor&) = delete;
  NoMemoryFor& operator=(const NoMemoryFor&) = delete;
};

// Returns the most bytes that all threads had at a time while `work` ran, beside what they had before.
template <typename Work>
int64_t PeakOf(Work work) {
  const int64_t before = live_bytes;
  peak_bytes = before;
  work();
  return peak_bytes - before;
}

}  // namespace ems::testing

void* operator new(size_t size) {
  if (size == ems::testing::forbidden_size) throw std::bad_alloc();
  void* const memory = std::malloc(size);  // NOLINT: this is what operator new is made of
  if (memory == nullptr) throw std::bad_alloc();
  const auto bytes = static_cast<int64_t>(malloc_usable_size(memory));
  const int64_t live = ems::testing::live_bytes += bytes;
  int64_t peak = ems::testing::peak_bytes;
  while (live > peak && !ems::testing::peak_bytes.compare_exchange_weak(peak, live)) {
  }
  return memory;
}
void operator delete(void* memory) noexcept {
  ems::testing::live_bytes -= static_cast<int64_t>(malloc_usable_size(memory));
  std::free(memory);  // NOLINT
}
void operator delete(void* memory, size_t /*size*/) noexcept { operator delete(memory); }

// The other forms by the same pair: a sanitizer has its own, which would not fit.
void* operator new(size_t size, const std::nothrow_t& /*tag*/) noexcept {
  try {
    return operator new(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new[](size_t size) { return operator new(size); }
void* operator new[](size_t size, const std::nothrow_t& tag) noexcept { return operator new(size, tag); }
void operator delete(void* memory, const std::nothrow_t& /*tag*/) noexcept { operator delete(memory); }
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete[](void* memory, size_t /*size*/) noexcept { operator delete(memory); }
void operator delete[](void* memory, const std::nothrow_t& /*tag*/) noexcept { operator delete(memory); }

#endif  // EMS_TESTS_SUPPORT_ALLOCATIONS_H_

// A library to preload: the time of day is the true one plus the seconds that the file $CLOCK_JUMP holds, an int64 of
// this machine's byte order. Who writes the file sets the clock of all programs that have it, at once.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace {

const volatile int64_t* jump = nullptr;

__attribute__((constructor)) void Open() {
  const char* path = getenv("CLOCK_JUMP");
  const int file = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  void* content = mmap(nullptr, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (content != MAP_FAILED) jump = static_cast<const int64_t*>(content);
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const auto status = static_cast<int>(syscall(SYS_clock_gettime, clock, now));
  const bool of_day = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (status == 0 && of_day && jump != nullptr) now->tv_sec += *jump;
  return status;
}

int gettimeofday(timeval* now, void* /*zone*/) noexcept {
  timespec time = {};
  const int status = clock_gettime(CLOCK_REALTIME, &time);
  *now = {time.tv_sec, time.tv_nsec / 1000};
  return status;
}

time_t time(time_t* now) noexcept {
  timespec time = {};
  clock_gettime(CLOCK_REALTIME, &time);
  if (now != nullptr) *now = time.tv_sec;
  return time.tv_sec;
}

}  // extern "C"

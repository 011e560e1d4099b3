#include "base/turns.h"

#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace ems {

namespace {

// After so many works the thread looks whether it ever slept.
constexpr int kProbe = 64;
// A sharer goes back to rest after so many events.
constexpr int kShared = 4096;

// Whose work the calling thread does: null where none.
thread_local Turns* working_for = nullptr;

// Returns how often the calling thread has slept since its start.
int64_t Sleeps() {
  rusage usage = {};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

}  // namespace

Turns::Work::Work(Turns& turns) : turns_(turns), begin_(Clock::now()), admitted_(turns.Begin(begin_)) {
  if (admitted_) working_for = &turns;
}

Turns::Work::~Work() {
  if (!admitted_) return;
  working_for = nullptr;
  turns_.End(begin_);
}

Turns::Turns(int most, int sharers, std::function<bool()> wait)
    : most_(std::max(2, most)),
      most_sharers_(sharers),
      wait_(std::move(wait)),
      timer_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) {
  if (timer_ < 0) throw std::system_error(errno, std::generic_category(), "cannot make a timer");
}

Turns::~Turns() {
  Join();
  close(timer_);
}

void Turns::Start() {
  const std::lock_guard lock(mutex_);
  threads_.emplace_back([this] { Run(); });
  guard_ = std::thread([this] { Guard(); });
}

void Turns::Join() {
  std::vector<std::thread> threads;
  {
    std::unique_lock lock(mutex_);
    free_.wait(lock, [this] { return over_ || threads_.empty(); });
    threads.swap(threads_);
    Arm(std::chrono::nanoseconds(1));
  }
  for (std::thread& thread : threads) thread.join();
  if (guard_.joinable()) guard_.join();
}

bool Turns::HasTurn() const {
  const std::lock_guard lock(mutex_);
  return holder_ == std::this_thread::get_id();
}

void Turns::PassOnBeforeWaiting() {
  if (working_for != nullptr) working_for->PassOnIfHeld();
}

void Turns::Run() {
  while (true) {
    bool shares = false;
    {
      std::unique_lock lock(mutex_);
      ++idle_;
      free_.wait(lock, [this] { return over_ || holder_ == std::thread::id() || offers_ > 0; });
      --idle_;
      if (over_) return;
      shares = holder_ != std::thread::id();
      if (shares) {
        --offers_;
      } else {
        holder_ = std::this_thread::get_id();
      }
    }
    if (!(shares ? Share() : Hold())) return;
  }
}

bool Turns::Hold() {
  do {
    if (!wait_()) return Finish();
  } while (HasTurn());
  return true;
}

bool Turns::Share() {
  for (int i = 0; i < kShared; ++i) {
    if (!wait_()) return Finish();
  }
  const std::lock_guard lock(mutex_);
  --sharers_;
  return true;
}

bool Turns::Finish() {
  const std::lock_guard lock(mutex_);
  over_ = true;
  free_.notify_all();
  return false;
}

bool Turns::Begin(Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (working_ + 1 >= most_) return false;
  ++working_;
  if (holder_ != std::this_thread::get_id()) return true;
  if (typical_ > kQuick) {
    PassOn();
    return true;
  }
  if (sharers_ < most_sharers_ && NeverSlept()) {
    ++sharers_;
    ++offers_;
    Wake();
  }
  began_ = now;
  holder_works_ = true;
  if (!armed_) Arm(kQuick);
  return true;
}

void Turns::End(Clock::time_point begin) {
  const std::lock_guard lock(mutex_);
  --working_;
  if (holder_ == std::this_thread::get_id()) holder_works_ = false;
  // A work of minutes must not count for minutes.
  typical_ += (std::min(Clock::now() - begin, 16 * kQuick) - typical_) / 8;
}

bool Turns::NeverSlept() {
  if (probe_ == 0) {
    sleeps_ = Sleeps();
    prober_ = std::this_thread::get_id();
  }
  if (++probe_ < kProbe) return false;
  probe_ = 0;
  // Another thread may have had the turn in between; its number says nothing.
  return prober_ == std::this_thread::get_id() && Sleeps() - sleeps_ < kProbe / 8;
}

void Turns::PassOnIfHeld() {
  const std::lock_guard lock(mutex_);
  if (holder_ == std::this_thread::get_id()) PassOn();
}

void Turns::PassOn() {
  holder_ = {};
  holder_works_ = false;
  Wake();
}

void Turns::Wake() {
  if (idle_ > 0) {
    free_.notify_one();
  } else if (!over_ && threads_.size() < most_) {
    try {
      threads_.emplace_back([this] { Run(); });
    } catch (const std::system_error&) {
      // This machine permits no more threads: the first that is free takes the turn.
    }
  }
}

void Turns::Arm(Clock::duration delay) {
  armed_ = true;
  itimerspec timer = {};
  timer.it_value.tv_nsec = std::chrono::nanoseconds(delay).count();
  timerfd_settime(timer_, 0, &timer, nullptr);
}

// Takes the turn from a thread whose work is not quick after all.
void Turns::Guard() {
  while (true) {
    uint64_t times = 0;
    if (read(timer_, &times, sizeof(times)) < 0 && errno != EINTR) return;
    const std::lock_guard lock(mutex_);
    armed_ = false;
    if (over_) return;
    if (!holder_works_) continue;
    const Clock::duration left = kQuick - (Clock::now() - began_);
    if (left > Clock::duration(0)) {
      Arm(left);
    } else {
      PassOn();
    }
  }
}

}  // namespace ems

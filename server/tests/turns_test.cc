// The turn goes round: one thread waits, others work.
#include "base/turns.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

namespace ems {
namespace {

TEST(Turns, LongWorkLetsAnotherThreadWait) {
  std::atomic<int> events = 0;
  std::promise<void> second;
  std::thread::id first_thread;
  Turns* self = nullptr;
  bool kept = true;
  Turns turns(2, 0, [&] {
    if (++events > 1) {
      EXPECT_NE(std::this_thread::get_id(), first_thread);
      second.set_value();
      return false;
    }
    first_thread = std::this_thread::get_id();
    const Turns::Work work(*self);
    EXPECT_TRUE(work.admitted());
    second.get_future().wait();  // for ever, if this thread kept the turn
    kept = self->HasTurn();
    return true;
  });
  self = &turns;
  turns.Start();
  turns.Join();
  EXPECT_EQ(events, 2);
  EXPECT_FALSE(kept);
}

TEST(Turns, WorkThatWillWaitPassesTheTurnOnAtOnce) {
  std::atomic<int> events = 0;
  std::promise<void> second;
  std::thread::id first_thread;
  Turns* self = nullptr;
  bool before = false;
  bool after = true;
  Turns turns(2, 0, [&] {
    if (++events > 1) {
      EXPECT_NE(std::this_thread::get_id(), first_thread);
      second.set_value();
      return false;
    }
    first_thread = std::this_thread::get_id();
    Turns::PassOnBeforeWaiting();  // this thread does no work, and keeps the turn
    const Turns::Work work(*self);
    before = self->HasTurn();
    Turns::PassOnBeforeWaiting();
    after = self->HasTurn();
    second.get_future().wait();
    return true;
  });
  self = &turns;
  turns.Start();
  turns.Join();
  EXPECT_TRUE(before);
  EXPECT_FALSE(after);
}

TEST(Turns, TheLastThreadIsNotAdmitted) {
  std::atomic<int> events = 0;
  std::promise<void> second;
  Turns* self = nullptr;
  Turns turns(2, 0, [&] {
    const bool first = ++events == 1;
    const Turns::Work work(*self);
    EXPECT_EQ(work.admitted(), first);
    if (first) {
      second.get_future().wait();
    } else {
      second.set_value();
    }
    return first;
  });
  self = &turns;
  turns.Start();
  turns.Join();
  EXPECT_EQ(events, 2);
}

TEST(Turns, OneThreadWaitsAtATime) {
  constexpr int kEvents = 3000;
  std::atomic<int> waiting = 0;
  std::atomic<int> most_waiting = 0;
  std::atomic<int> events = 0;
  std::atomic<int> worked = 0;
  Turns* self = nullptr;
  Turns turns(4, 0, [&] {
    most_waiting = std::max<int>(most_waiting, ++waiting);
    const int event = ++events;
    --waiting;
    if (event > kEvents) return false;
    const Turns::Work work(*self);
    if (work.admitted() && event % 100 == 0) std::this_thread::sleep_for(2 * Turns::kQuick);
    ++worked;
    return true;
  });
  self = &turns;
  turns.Start();
  turns.Join();
  EXPECT_EQ(most_waiting, 1);
  EXPECT_EQ(events, kEvents + 1);
  EXPECT_EQ(worked, kEvents);
}

TEST(Turns, UnderLoadThreadsShareTheTurn) {
  std::atomic<int> waiting = 0;
  std::atomic<bool> shared = false;
  std::atomic<int> over = 0;
  Turns* self = nullptr;
  // Events without a pause, until two threads wait for them at the same time.
  Turns turns(4, 1, [&] {
    if (++waiting > 1) shared = true;
    const bool more = !shared;
    if (!more) ++over;
    if (more) const Turns::Work work(*self);
    --waiting;
    return more;
  });
  self = &turns;
  turns.Start();
  turns.Join();
  EXPECT_TRUE(shared);
  EXPECT_GE(over, 1);
}

TEST(Turns, WithoutStartThereIsNothingToEnd) {
  Turns turns(2, 0, [] { return false; });
  turns.Join();
}

}  // namespace
}  // namespace ems

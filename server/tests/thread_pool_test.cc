#include "base/thread_pool.h"

#include <gmock/gmock.h>
#include <pthread.h>

#include <atomic>
#include <future>
#include <new>
#include <set>
#include <thread>

namespace ems {
namespace {

TEST(ForEach, DoesEveryItemOnce) {
  ThreadPool pool(3);
  std::vector<std::atomic<int>> done(1000);
  for (int round = 0; round < 20; ++round) {
    EXPECT_TRUE(ForEach(pool, 1000, [&](int64_t item) {
                  ++done[static_cast<size_t>(item)];
                  return absl::OkStatus();
                }).ok());
    for (const std::atomic<int>& count : done) ASSERT_EQ(count, round + 1);
  }
  EXPECT_TRUE(ForEach(pool, 0, [](int64_t) { return absl::InternalError("none"); }).ok());
}

TEST(ForEach, UsesThePoolBesideThisThread) {
  ThreadPool pool(2);
  std::atomic<int> running = 0;
  // Each item waits for the two others: three threads are necessary.
  EXPECT_TRUE(ForEach(pool, 3, [&](int64_t) {
                ++running;
                while (running < 3) std::this_thread::yield();
                return absl::OkStatus();
              }).ok());
}

TEST(ForEach, WithABusyPoolThisThreadDoesAll) {
  ThreadPool pool(1);
  std::promise<void> free;
  pool.Submit([&] { free.get_future().wait(); });
  std::set<std::thread::id> threads;
  EXPECT_TRUE(ForEach(pool, 5, [&](int64_t) {
                threads.insert(std::this_thread::get_id());
                return absl::OkStatus();
              }).ok());
  EXPECT_THAT(threads, testing::ElementsAre(std::this_thread::get_id()));
  free.set_value();
}

TEST(ForEach, BeginsNothingAfterAFailureAndWaitsForWhatRuns) {
  ThreadPool pool(1);
  std::atomic<int> begun = 0;
  std::atomic<int> ended = 0;
  constexpr int kItems = 1'000'000'000;  // more than are done while the first waits for a CPU to fail
  const absl::Status status = ForEach(pool, kItems, [&](int64_t item) {
    ++begun;
    if (item == 0) {
      while (begun < 2) std::this_thread::yield();
      ++ended;
      return absl::InternalError("no");
    }
    while (ended == 0) std::this_thread::yield();
    std::this_thread::yield();
    ++ended;
    return absl::OkStatus();
  });
  EXPECT_EQ(status, absl::InternalError("no"));
  EXPECT_EQ(begun, ended);
  EXPECT_LT(begun, kItems);
}

// The exception of a helper would end the program, that of this thread would leave the other with work that is gone.
TEST(ForEach, TakesAnExceptionOfAnyThreadForAFailure) {
  ThreadPool pool(1);
  const std::thread::id here = std::this_thread::get_id();
  for (const bool helper_throws : {true, false}) {
    std::atomic<int> running = 0;
    const absl::Status status = ForEach(pool, 2, [&](int64_t) {
      ++running;
      while (running < 2) std::this_thread::yield();  // both threads have an item
      if ((std::this_thread::get_id() != here) == helper_throws) throw std::bad_alloc();
      return absl::OkStatus();
    });
    EXPECT_EQ(status, absl::ResourceExhaustedError("the work failed: std::bad_alloc"));
  }
}

// Makes threads ask for more stack than there is memory of any kind, so that none starts.
class NoThreads {
 public:
  NoThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t huge = before_;
    pthread_attr_setstacksize(&huge, size_t{1} << 50U);
    EXPECT_EQ(pthread_setattr_default_np(&huge), 0);
  }
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;
  ~NoThreads() { pthread_setattr_default_np(&before_); }

 private:
  pthread_attr_t before_;
};

TEST(ForEach, ThisThreadDoesAllWhereNoOtherStarts) {
  ThreadPool pool(2);
  std::atomic<int> done = 0;
  const auto work = [&](int64_t) {
    ++done;
    return absl::OkStatus();
  };
  {
    const NoThreads limit;
    EXPECT_THROW(std::thread([] {}), std::system_error);
    EXPECT_TRUE(ForEach(pool, 5, work).ok());
    EXPECT_EQ(done, 5);
  }
  std::promise<void> ran;
  pool.Submit([&] { ran.set_value(); });
  ran.get_future().wait();
}

}  // namespace
}  // namespace ems

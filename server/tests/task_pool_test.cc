#include "catalogue/task_pool.h"

#include <gmock/gmock.h>

#include <condition_variable>
#include <mutex>
#include <vector>

#include "catalogue_fakes.h"

namespace ems {
namespace {

using ::testing::ElementsAre;

// Counts tasks that are in it at once.
class Room {
 public:
  // Waits until `count` tasks are in the room, and then until it is opened.
  void Enter() {
    std::unique_lock lock(mu_);
    ++inside_;
    changed_.notify_all();
    Await(lock, changed_, [&] { return open_; }, "the door");
    --inside_;
    ++left_;
    changed_.notify_all();
  }
  void AwaitInside(int count) {
    std::unique_lock lock(mu_);
    Await(lock, changed_, [&] { return inside_ >= count; }, "tasks");
  }
  void AwaitLeft(int count) {
    std::unique_lock lock(mu_);
    Await(lock, changed_, [&] { return left_ >= count; }, "ends of tasks");
  }
  int inside() {
    const std::lock_guard lock(mu_);
    return inside_;
  }
  void Open() {
    const std::lock_guard lock(mu_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  int inside_ = 0;
  int left_ = 0;
  bool open_ = false;
};

TEST(TaskPool, RunsTasksInTheirOrder) {
  std::vector<int> order;  // one thread
  Room room;
  room.Open();
  TaskPool pool(1);
  for (int i = 0; i < 3; ++i) pool.Add([&order, i] { order.push_back(i); });
  pool.Add([&room] { room.Enter(); });
  room.AwaitLeft(1);
  EXPECT_THAT(order, ElementsAre(0, 1, 2));
}

TEST(TaskPool, RunsAsManyAtOnceAsItHasThreads) {
  Room room;
  TaskPool pool(3);
  for (int i = 0; i < 4; ++i) pool.Add([&room] { room.Enter(); });
  room.AwaitInside(3);
  EXPECT_EQ(room.inside(), 3);
  room.Open();
  room.AwaitLeft(4);
}

TEST(TaskPool, RunsALaterTaskBesideALongOne) {
  Room room;
  TaskPool pool(2);
  pool.AddAt(TaskPool::Clock::now() + std::chrono::milliseconds(2), [&room] { room.Enter(); });
  pool.Add([&room] { room.Enter(); });
  room.AwaitInside(2);
  room.Open();
}

TEST(TaskPool, DropsWhatHasNotBegunWhenItStops) {
  bool ran = false;
  TaskPool pool(1);
  pool.AddAt(TaskPool::Clock::now() + std::chrono::hours(1), [&ran] { ran = true; });
  pool.Stop();
  pool.Add([&ran] { ran = true; });
  EXPECT_FALSE(ran);
}

TEST(TaskPool, UsesThreadsAgainAfterTheyEnded) {
  TaskPool pool(4);
  for (int round = 0; round < 50; ++round) {
    Room room;
    for (int i = 0; i < 4; ++i) pool.Add([&room] { room.Enter(); });
    room.AwaitInside(4);
    room.Open();
    room.AwaitLeft(4);
  }
}

}  // namespace
}  // namespace ems

#include "http/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <utility>

namespace ems {
namespace {

constexpr size_t kScratch = 64U << 10;

// Every event base is used by its own thread only, so libevent needs no locks.
event_base* NewBase() {
  event_config* config = event_config_new();
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  event_base* base = event_base_new_with_config(config);
  event_config_free(config);
  return base;
}

}  // namespace

Loop::Loop(ServerContext& context)
    : context_(context), base_(NewBase()), wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), scratch_(kScratch) {
  wake_.reset(event_new(
      base(), wake_fd_, EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<Loop*>(self)->RunTasks(); },  // NOLINT(google-runtime-int)
      this));
  event_add(wake_.get(), nullptr);
  sweep_.reset(event_new(
      base(), -1, EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<Loop*>(self)->Sweep(); },  // NOLINT(google-runtime-int)
      this));
  const timeval every = absl::ToTimeval(std::clamp(context_.options.idle / 4, absl::Milliseconds(5), absl::Seconds(1)));
  event_add(sweep_.get(), &every);
}

Loop::~Loop() {
  connections_.clear();
  wake_.reset();
  close(wake_fd_);
}

void Loop::Start() {
  thread_ = std::thread([this] { event_base_dispatch(base()); });
}

void Loop::Post(Task task) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    wake = tasks_.empty();
    tasks_.push_back(std::move(task));
  }
  if (wake) eventfd_write(wake_fd_, 1);
}

void Loop::RunTasks() {
  eventfd_t count = 0;
  eventfd_read(wake_fd_, &count);
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) task();
}

void Loop::Adopt(int fd) {
  if (draining_) {
    close(fd);
    --context_.connections;
    return;
  }
  const uint64_t id = next_id_++;
  connections_.emplace(id, std::make_unique<Connection>(*this, id, fd));
}

void Loop::Deliver(uint64_t id, Reply reply) {
  const auto found = connections_.find(id);
  if (found != connections_.end()) found->second->Send(std::move(reply));
}

void Loop::Close(uint64_t id) {
  connections_.erase(id);
  --context_.connections;
  MayEnd();
}

void Loop::Sweep() {
  const Clock::time_point now = Clock::now();
  std::vector<uint64_t> overdue;
  for (const auto& [id, connection] : connections_) {
    if (connection->deadline() <= now) overdue.push_back(id);
  }
  for (const uint64_t id : overdue) connections_.at(id)->Expire();
}

void Loop::PostAndWait(Task task) {
  std::promise<void> done;
  Post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

void Loop::Drain() {
  PostAndWait([this] {
    draining_ = true;
    std::vector<uint64_t> waiting;
    for (const auto& [id, connection] : connections_) {
      if (connection->is_reading()) waiting.push_back(id);
    }
    for (const uint64_t id : waiting) {
      // A client that sent a request in time gets its reply.
      connections_.at(id)->OnReadable();
      const auto found = connections_.find(id);
      if (found != connections_.end() && found->second->is_reading()) Close(id);
    }
  });
}

void Loop::Finish() {
  Post([this] {
    finishing_ = true;
    MayEnd();
  });
  if (thread_.joinable()) thread_.join();
}

void Loop::MayEnd() {
  if (finishing_ && connections_.empty()) event_base_loopbreak(base());
}

}  // namespace ems

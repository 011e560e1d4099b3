#include "http/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <future>
#include <optional>
#include <utility>

namespace ems {
namespace {

constexpr size_t kScratch = 64U << 10;
// A larger request is never quick: its JSON takes longer than a hand-over.
constexpr size_t kSmallBody = 16U << 10;

// Every event base is used by its own thread only, so libevent needs no locks.
event_base* NewBase() {
  event_config* config = event_config_new();
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  event_base* base = event_base_new_with_config(config);
  event_config_free(config);
  return base;
}

HttpResponse Respond(ServerContext& context, const Question& question) {
  if (!question.options.cors || question.request.method != "OPTIONS") return context.handler(question.request);
  HttpResponse response;
  response.content_type.clear();
  return response;
}

// Gives the request's memory back before the reply is made, so that a client that waits for it finds room for its next
// request.
void Release(const ServerContext& context, Question& question) {
  question.request = {};
  question.charge.Resize(0);
  question.options.keep_alive = question.options.keep_alive && !context.draining;
}

Reply Answer(ServerContext& context, Question& question) {
  try {
    HttpResponse response = Respond(context, question);
    Release(context, question);
    return MakeReply(std::move(response), question.options);
  } catch (const std::exception&) {  // such as bad_alloc: a request must not end the server
    Release(context, question);
    return MakeReply(ErrorResponse(500, "The server failed on this request."), question.options);
  }
}

}  // namespace

Loop::Loop(ServerContext& context)
    : context_(context),
      base_(NewBase()),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      scratch_(kScratch),
      turns_(2, 0, [this] { return Wait(); }) {
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

bool Loop::Wait() {
  event_base_loop(base(), EVLOOP_ONCE | (questions_.empty() ? 0 : EVLOOP_NONBLOCK));
  AnswerAll();
  return !turns_.HasTurn() || !finishing_ || !connections_.empty();
}

void Loop::AnswerAll() {
  if (questions_.size() != 1 || questions_.front().request.body.size() > kSmallBody) return SubmitAll();
  Pool& pool = PoolOf(questions_.front());
  if (!pool.Borrow()) return SubmitAll();
  Question question = std::move(questions_.front());
  questions_.clear();
  AnswerHere(std::move(question), pool);
}

void Loop::SubmitAll() {
  std::vector<Question> questions;
  questions.swap(questions_);
  for (Question& question : questions) AnswerLater(std::move(question));
}

Pool& Loop::PoolOf(const Question& question) {
  return question.request.method == "GET" || question.options.head_only ? context_.reads : context_.writes;
}

void Loop::AnswerHere(Question question, Pool& pool) {
  std::optional<Turns::Work> work(std::in_place, turns_);
  if (!work->admitted()) {
    pool.Return();
    return AnswerLater(std::move(question));
  }
  Reply reply = Answer(context_, question);
  pool.Return();
  work.reset();
  if (turns_.HasTurn()) {
    Deliver(question.connection, std::move(reply));
  } else {
    PostReply(question.connection, std::move(reply));
  }
}

void Loop::AnswerLater(Question question) {
  Pool& pool = PoolOf(question);
  const uint64_t id = question.connection;
  const ReplyOptions options = question.options;
  const bool taken = pool.Submit(
      [this, question = std::move(question)]() mutable { PostReply(question.connection, Answer(context_, question)); });
  if (taken) return;
  Deliver(id, MakeReply(ErrorResponse(429, "The server is busy: its queue of requests is full. Try again."), options));
}

void Loop::PostReply(uint64_t id, Reply reply) {
  Post([this, id, reply = std::move(reply)]() mutable { Deliver(id, std::move(reply)); });
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
    SubmitAll();  // the pools stop next
  });
}

void Loop::Finish() {
  Post([this] { finishing_ = true; });
  turns_.Join();
}

}  // namespace ems

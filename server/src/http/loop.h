// Reads requests and writes replies on its connections.
//
// A small request that comes alone is answered by the thread that read it, which spares two hand-overs; if that takes
// long, a second thread goes on with the connections (base/turns.h). All others are answered by a pool.
#ifndef EMS_HTTP_LOOP_H_
#define EMS_HTTP_LOOP_H_

#include <event2/event.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/turns.h"
#include "http/budget.h"
#include "http/connection.h"
#include "http/pool.h"
#include "http/reply.h"
#include "http/server.h"

namespace ems {

// What all loops and connections of a server share.
struct ServerContext {
  ServerContext(HttpServer::Options options_in, HttpServer::Handler handler_in)
      : options(std::move(options_in)),
        handler(std::move(handler_in)),
        budget(options.most_buffered_bytes),
        writes(options.threads, options.queue),
        reads(1, options.queue) {}

  const HttpServer::Options options;
  const HttpServer::Handler handler;
  Budget budget;
  std::atomic<int> connections{0};
  std::atomic<bool> draining{false};  // replies from now on end their connections
  Pool writes;                        // answers all but GET and HEAD
  Pool reads;                         // answers GET and HEAD
};

class Loop {
 public:
  using Task = absl::AnyInvocable<void()>;

  explicit Loop(ServerContext& context);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();  // Finish comes first

  void Start() { turns_.Start(); }
  // Runs a task in the loop's thread. Thread-safe; a task that comes after the end is dropped.
  void Post(Task task);
  // Runs a task in the loop's thread, and blocks until it is done. Not for the loop's own thread.
  void PostAndWait(Task task);
  // Reads once more what has arrived, then closes the connections that have no whole request. Blocks; no request is
  // read afterwards.
  void Drain();
  // Ends the loop when all replies are written. Blocks.
  void Finish();

  // For the loop's own thread, the one that has the turn.
  event_base* base() { return base_.get(); }
  ServerContext& context() { return context_; }
  bool draining() const { return draining_; }
  // A buffer that is overwritten by the next read.
  std::vector<char>& scratch() { return scratch_; }
  // Takes over an accepted socket.
  void Adopt(int fd);
  // Has a question answered, once all that has arrived is read.
  void Ask(Question question) { questions_.push_back(std::move(question)); }
  // Writes a reply where the connection still exists.
  void Deliver(uint64_t id, Reply reply);
  void Close(uint64_t id);

 private:
  void RunTasks();
  void Sweep();
  bool Wait();
  void AnswerAll();
  void SubmitAll();
  Pool& PoolOf(const Question& question);
  void AnswerHere(Question question, Pool& pool);
  void AnswerLater(Question question);
  void PostReply(uint64_t id, Reply reply);

  ServerContext& context_;
  std::unique_ptr<event_base, EventDeleter> base_;
  int wake_fd_;
  Event wake_;
  Event sweep_;
  std::vector<char> scratch_;
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<Question> questions_;
  uint64_t next_id_ = 0;
  bool draining_ = false;
  bool finishing_ = false;
  std::mutex mutex_;
  std::vector<Task> tasks_;  // guarded by mutex_
  Turns turns_;              // the last, so that its threads end first
};

}  // namespace ems

#endif  // EMS_HTTP_LOOP_H_

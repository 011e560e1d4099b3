// A connection: reads a request, has it answered by the pool, writes the reply, reads the next.
#ifndef EMS_HTTP_CONNECTION_H_
#define EMS_HTTP_CONNECTION_H_

#include <event2/event.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/budget.h"
#include "http/parser.h"
#include "http/reply.h"

namespace ems {

class Loop;

// A whole request that waits for its reply.
struct Question {
  uint64_t connection = 0;
  HttpRequest request;
  ReplyOptions options;
  Budget::Charge charge;
};

// A clock that no change of the time of day moves.
using Clock = std::chrono::steady_clock;

struct EventDeleter {
  void operator()(event_base* base) const { event_base_free(base); }
  void operator()(event* e) const { event_free(e); }
};
using Event = std::unique_ptr<event, EventDeleter>;

// All of it runs in the thread of its loop. A job knows the connection by its number only, so that a client that is
// gone leaves nothing behind that points to it.
class Connection {
 public:
  Connection(Loop& loop, uint64_t id, int fd);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // When the client is too slow; never while a request is answered.
  Clock::time_point deadline() const;
  // Closes, or says 408 where a part of a request was read. May destroy the object.
  void Expire();
  // Writes a reply. May destroy the object.
  void Send(Reply reply);
  // Reads what has arrived. May destroy the object.
  void OnReadable();
  bool is_reading() const { return state_ == State::kReading; }

 private:
  // kLingering: the reply to a broken request is written; what else the client sends is read and dropped, as closing
  // at once would reset the connection before the client reads the reply.
  enum class State { kReading, kAnswering, kWriting, kLingering };

  // Feeds what was read to the parser until a request is whole.
  void Pump(std::string_view bytes);
  void Dispatch();
  void Refuse(int code, const char* text);
  // Counts the memory of the reply; false where the budget does not have it.
  bool ChargeReply();
  void Flush();
  void EndReply();
  void Progress(size_t bytes);
  void Enter(State state);
  void Close();

  Loop& loop_;
  const uint64_t id_;
  const int fd_;
  Event readable_;
  Event writable_;
  bool reading_ = true;  // readable_ is added
  State state_ = State::kReading;
  Clock::time_point since_ = Clock::now();  // when the state, or the request that is read, began
  Clock::time_point moved_ = since_;        // the last progress
  size_t progress_ = 0;                     // bytes read or written since the beginning
  RequestParser parser_;
  Budget::Charge charge_;  // of the request that is read, then of what is read ahead and of the reply that is written
  std::string ahead_;      // read beyond the request that is answered
  Reply reply_;
  size_t written_ = 0;
  bool cut_off_ = false;  // the request was refused before its end
};

}  // namespace ems

#endif  // EMS_HTTP_CONNECTION_H_

// A worker process: started, called, watched and ended by one thread.
#ifndef EMS_DEVICES_PROCESS_H_
#define EMS_DEVICES_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/fd.h"
#include "devices/clock.h"
#include "worker/channel.h"
#include "worker/protocol.h"

namespace ems {

// Waits until `fd` is readable, at the latest until an instant.
void WaitReadable(int fd, Instant until);

class WorkerProcess {
 public:
  struct Options {
    std::string program;  // path of edge_model_worker
    std::string name;     // the device, for the process list
    int stop = -1;        // a descriptor that is readable when the server stops: runs then end soon
    std::function<void(const std::string& line)> log;  // for each line that the worker or its delegate writes
  };

  // Starts the program with a socket pair, the log's pipe and no other descriptor. The kernel kills it when the calling
  // thread ends. UNAVAILABLE where it does not start.
  static absl::StatusOr<std::unique_ptr<WorkerProcess>> Start(Options options);

  // Ends it at once where it still runs.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  // Sends a request and waits for its reply. DEADLINE_EXCEEDED where the worker took too long, UNAVAILABLE where it
  // died, CANCELLED where the server stopped and the reply did not come soon. After an error the worker is of no
  // further use.
  absl::StatusOr<WorkerReply> Call(std::string_view message, Instant deadline);

  // Waits until `wake` is readable, until an instant, or until the worker dies; returns whether it lives.
  bool Wait(int wake, Instant until);

  // Ends the worker: by closing the socket and, after `grace`, by SIGKILL. Returns how it ended, such as "killed by
  // signal 9 (Killed)", with the last line that it wrote.
  std::string End(absl::Duration grace);

  pid_t pid() const { return pid_; }

 private:
  WorkerProcess(Options options, pid_t pid, Fd socket, Fd output);

  // What poll saw. `worker`: the socket is ready, at its end, or broken.
  struct Ready {
    bool worker = false;
    bool extra = false;
  };
  // Waits for the socket (for room to write too where `writing`), for `extra`, and until an instant; logs on the way.
  Ready Poll(bool writing, int extra, Instant until);
  bool AwaitEnd(Instant until);
  void ReadOutput();
  void LogLine(const std::string& line);
  void LogOmission();
  std::string Reap();

  const Options options_;
  pid_t pid_;
  Fd socket_;
  Fd output_;
  std::string partial_line_;
  std::string last_line_;
  int lines_ = 0;  // that the worker has written before period_end_
  Instant period_end_;
  MessageReader reader_;
};

}  // namespace ems

#endif  // EMS_DEVICES_PROCESS_H_

// edge_model_worker: the process that holds a device for edge_model_server. A program of its own and not a mode of the
// server: it maps no gRPC, so that it starts faster and takes little memory.
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>

#include "worker/protocol.h"
#include "worker/worker.h"

namespace {

// Ties this process to its server: the kernel ends it when the thread that started it ends, in whatever way. Signals
// for the whole group or service (Ctrl-C, systemd's SIGTERM) are the server's: it lets requests end first.
bool FollowServer(pid_t server) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return false;
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE})
    if (std::signal(number, SIG_IGN) == SIG_ERR) return false;
  return getppid() == server;  // it may have ended before prctl
}

bool IsSocket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || !IsSocket(ems::kWorkerSocket)) {
    std::cerr << "edge_model_worker: edge_model_server starts this program; it has no use by itself\n";
    return 2;
  }
  if (!FollowServer(static_cast<pid_t>(std::strtol(argv[2], nullptr, 10)))) return 3;
  const absl::Status status = ems::Worker(ems::OpenTfliteModel).Serve(ems::kWorkerSocket);
  if (status.ok()) return 0;
  std::cerr << "edge_model_worker: " << status.message() << '\n';
  return 1;
}

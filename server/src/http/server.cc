#include "http/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "http/listen.h"
#include "http/loop.h"

namespace ems {
namespace {

constexpr int kMostAccepts = 64;               // at a time, so that connections are not kept waiting
constexpr timeval kAcceptPause = {0, 100000};  // where the process has no descriptor left

// Accepts connections in the first loop and gives them to all in turn: a connection is kept for long, so chance, which
// SO_REUSEPORT is, would load the loops unevenly.
class Server : public HttpServer {
 public:
  Server(const Options& options, Handler handler, int fd)
      : context_(options, std::move(handler)), fd_(fd), port_(PortOf(fd)) {
    for (int i = 0; i < std::max(1, options.loops); ++i) loops_.push_back(std::make_unique<Loop>(context_));
    event_base* base = loops_.front()->base();
    acceptable_.reset(event_new(
        base, fd_, EV_READ | EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<Server*>(self)->Accept(); },  // NOLINT
        this));
    resume_.reset(event_new(
        base, -1, 0,
        [](evutil_socket_t, short, void* self) {  // NOLINT
          event_add(static_cast<Server*>(self)->acceptable_.get(), nullptr);
        },
        this));
    event_add(acceptable_.get(), nullptr);
    for (auto& loop : loops_) loop->Start();
  }

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  ~Server() override {
    context_.draining = true;
    loops_.front()->PostAndWait([this] {
      Accept();
      resume_.reset();
      acceptable_.reset();
      close(fd_);
    });
    for (auto& loop : loops_) loop->Drain();
    context_.writes.Stop();
    context_.reads.Stop();
    // In this order: the replies of all jobs are posted by now.
    for (auto& loop : loops_) loop->Finish();
  }

  int port() const override { return port_; }

 private:
  void Accept() {
    for (int i = 0; i < kMostAccepts; ++i) {
      const int fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        Place(fd);
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        event_del(acceptable_.get());
        event_add(resume_.get(), &kAcceptPause);
        return;
      } else if (errno != ECONNABORTED && errno != EINTR) {
        return;
      }
    }
  }

  void Place(int fd) {
    if (++context_.connections > context_.options.most_connections) {
      --context_.connections;
      close(fd);
      return;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Loop& loop = *loops_[next_++ % loops_.size()];
    loop.Post([&loop, fd] { loop.Adopt(fd); });
  }

  ServerContext context_;
  std::vector<std::unique_ptr<Loop>> loops_;
  const int fd_;
  const int port_;
  Event acceptable_;
  Event resume_;
  size_t next_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const Options& options, Handler handler) {
  const absl::StatusOr<int> fd = Listen(options.address, options.port);
  if (!fd.ok()) return fd.status();
  return std::make_unique<Server>(options, std::move(handler), *fd);
}

}  // namespace ems

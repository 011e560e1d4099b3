#include "devices/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ems {

namespace {

constexpr absl::Duration kStopGrace = absl::Seconds(1);  // for the run that a stop finds
constexpr absl::Duration kKillGrace = absl::Seconds(5);  // a process that hangs in the kernel is left behind
constexpr size_t kMostLine = 2000;                       // bytes of a line in the log

// A worker may write without end: that must neither keep its thread from everything else nor fill the log.
constexpr int kMostReads = 16;  // of 4 KiB each: what a pipe holds
constexpr int kMostLines = 100;
constexpr absl::Duration kLinesPeriod = absl::Seconds(10);

// absl::ErrnoToStatus keeps a table that the thread sanitizer, which does not see into Abseil, takes for a race.
absl::Status SystemError(int error, const std::string& what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::generic_category().message(error)));
}

int MillisUntil(Instant until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
}

// The settings of posix_spawn: which descriptors the child has, and no inherited signal state.
class SpawnSettings {
 public:
  SpawnSettings(int socket, int output) {
    posix_spawn_file_actions_init(&files_);
    posix_spawn_file_actions_addopen(&files_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files_, output, 1);
    posix_spawn_file_actions_adddup2(&files_, output, 2);
    posix_spawn_file_actions_adddup2(&files_, socket, kWorkerSocket);
    posix_spawn_file_actions_addclosefrom_np(&files_, kWorkerSocket + 1);
    posix_spawnattr_init(&attributes_);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&files_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  absl::StatusOr<pid_t> Spawn(const std::string& program, const std::string& name) const {
    const std::string parent = std::to_string(getpid());
    const std::array<const char*, 4> argv{"edge_model_worker", name.c_str(), parent.c_str(), nullptr};
    pid_t pid = 0;
    const int error =
        posix_spawn(&pid, program.c_str(), &files_, &attributes_, const_cast<char* const*>(argv.data()), environ);
    if (error != 0) return SystemError(error, absl::StrCat("cannot start ", program));
    return pid;
  }

 private:
  posix_spawn_file_actions_t files_{};
  posix_spawnattr_t attributes_{};
};

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status)) {
    // A worker that we kill ourselves hung: that is said instead.
    const char* const hint = WTERMSIG(status) == SIGKILL ? ", as the kernel does where memory runs out" : "";
    return absl::StrCat("was killed by signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")", hint);
  }
  return absl::StrCat("ended with status ", WEXITSTATUS(status));
}

}  // namespace

void WaitReadable(int fd, Instant until) {
  pollfd ready{fd, POLLIN, 0};
  poll(&ready, 1, MillisUntil(until));
}

absl::StatusOr<std::unique_ptr<WorkerProcess>> WorkerProcess::Start(Options options) {
  std::array<int, 2> fds{-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    return SystemError(errno, "cannot make a socket pair");
  }
  Fd ours(fds[0]);
  const Fd theirs(fds[1]);
  if (pipe2(fds.data(), O_CLOEXEC) != 0) return SystemError(errno, "cannot make a pipe");
  Fd output(fds[0]);
  const Fd input(fds[1]);
  for (const Fd* const fd : {&ours, &output}) {
    if (fcntl(fd->get(), F_SETFL, O_NONBLOCK) != 0) return SystemError(errno, "cannot set up a descriptor");
  }
  const absl::StatusOr<pid_t> pid = SpawnSettings(theirs.get(), input.get()).Spawn(options.program, options.name);
  if (!pid.ok()) return pid.status();
  return std::unique_ptr<WorkerProcess>(
      new WorkerProcess(std::move(options), *pid, std::move(ours), std::move(output)));
}

WorkerProcess::WorkerProcess(Options options, pid_t pid, Fd socket, Fd output)
    : options_(std::move(options)), pid_(pid), socket_(std::move(socket)), output_(std::move(output)) {}

WorkerProcess::~WorkerProcess() { End(absl::ZeroDuration()); }

WorkerProcess::Ready WorkerProcess::Poll(bool writing, int extra, Instant until) {
  while (true) {
    const auto events = static_cast<int16_t>(writing ? POLLIN | POLLOUT : POLLIN);
    std::array<pollfd, 3> fds{pollfd{socket_.get(), events, 0}, pollfd{extra, POLLIN, 0},
                              pollfd{output_.get(), POLLIN, 0}};
    const int count = poll(fds.data(), fds.size(), MillisUntil(until));
    if (count > 0 && fds[2].revents != 0) ReadOutput();
    const Ready ready{fds[0].revents != 0, fds[1].revents != 0};
    if (count > 0 && (ready.worker || ready.extra)) return ready;
    if (Clock::now() >= until) return {};
  }
}

absl::StatusOr<WorkerReply> WorkerProcess::Call(std::string_view message, Instant deadline) {
  MessageWriter writer(message);
  int stop = options_.stop;
  bool sent = false;
  while (true) {
    if (!sent) {
      const absl::StatusOr<bool> written = writer.Write(socket_.get());
      if (!written.ok()) return written.status();
      sent = *written;
    }
    const Ready ready = Poll(!sent, stop, deadline);
    if (ready.extra) {
      stop = -1;  // seen
      deadline = std::min(deadline, FromNow(kStopGrace));
    } else if (!ready.worker) {
      return stop == options_.stop ? absl::DeadlineExceededError("no reply in time")
                                   : absl::CancelledError("the server stops");
    }
    const absl::StatusOr<MessageReader::State> state = reader_.Read(socket_.get());
    if (!state.ok()) return state.status();
    if (*state == MessageReader::State::kEnd) return absl::UnavailableError("the worker ended");
    if (*state != MessageReader::State::kMessage) continue;
    absl::StatusOr<WorkerReply> reply = DecodeReply(reader_.message());
    reader_.Drop();  // the next message may be far off
    return reply;
  }
}

bool WorkerProcess::Wait(int wake, Instant until) { return !Poll(false, wake, until).worker; }

bool WorkerProcess::AwaitEnd(Instant until) {
  std::array<char, 4096> rest{};
  while (Poll(false, -1, until).worker) {
    const ssize_t got = recv(socket_.get(), rest.data(), rest.size(), 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return true;
  }
  return false;
}

std::string WorkerProcess::End(absl::Duration grace) {
  if (pid_ <= 0) return "";
  shutdown(socket_.get(), SHUT_WR);
  if (!AwaitEnd(FromNow(grace))) {
    kill(pid_, SIGKILL);
    AwaitEnd(FromNow(kKillGrace));
  }
  return Reap();
}

// The socket's end closes before a process becomes a zombie: whoever has seen that may wait for it.
std::string WorkerProcess::Reap() {
  int status = 0;
  const Instant until = FromNow(kKillGrace);
  pid_t reaped = 0;
  while ((reaped = waitpid(pid_, &status, WNOHANG)) == 0 && Clock::now() < until) usleep(1000);
  ReadOutput();
  if (!partial_line_.empty()) LogLine(std::exchange(partial_line_, ""));
  LogOmission();
  std::string how = reaped == pid_ ? HowItEnded(status) : absl::StrCat("(process ", pid_, ") does not end");
  pid_ = 0;
  if (!last_line_.empty()) absl::StrAppend(&how, "; its last words: ", last_line_);
  return how;
}

void WorkerProcess::ReadOutput() {
  std::array<char, 4096> text{};
  ssize_t got = 1;
  for (int i = 0; i < kMostReads && output_.get() >= 0; ++i) {
    got = read(output_.get(), text.data(), text.size());
    if (got <= 0) break;
    for (const char c : std::string_view(text.data(), static_cast<size_t>(got))) {
      if (c != '\n') partial_line_ += c;
      if (c == '\n' || partial_line_.size() == kMostLine) LogLine(std::exchange(partial_line_, ""));
    }
  }
  if (got == 0) output_.Close();
}

void WorkerProcess::LogLine(const std::string& line) {
  if (line.empty()) return;
  last_line_ = line;
  if (!options_.log) return;
  if (Clock::now() >= period_end_) {
    LogOmission();
    period_end_ = FromNow(kLinesPeriod);
    lines_ = 0;
  }
  if (++lines_ <= kMostLines) options_.log(line);
}

void WorkerProcess::LogOmission() {
  if (lines_ > kMostLines) options_.log(absl::StrCat("(", lines_ - kMostLines, " lines more)"));
}

}  // namespace ems

#include "app/log.h"

#include <grpc/support/log.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace ems {

namespace {

// Returns whether stderr is the journal, as systemd.exec(5) says: JOURNAL_STREAM names its device and inode.
bool ToJournal() {
  const char* stream = getenv("JOURNAL_STREAM");
  struct stat status = {};
  return stream != nullptr && fstat(STDERR_FILENO, &status) == 0 &&
         absl::StrCat(status.st_dev, ":", status.st_ino) == stream;
}

const char* Word(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error: ";
    case Severity::kWarning:
      return "warning: ";
    default:
      return "";
  }
}

// Returns whether stderr takes a line now, or soon. A pipe whose reader hangs costs lines; it must not stop the server.
bool TakesLine() {
  constexpr int kPatienceMilliseconds = 200;
  pollfd ready = {STDERR_FILENO, POLLOUT, 0};
  return poll(&ready, 1, kPatienceMilliseconds) != 0;
}

void FromGrpc(gpr_log_func_args* args) {
  const Severity severity = args->severity == GPR_LOG_SEVERITY_ERROR ? Severity::kWarning : Severity::kInfo;
  Log(severity, absl::StrCat("gRPC: ", args->message));
}

}  // namespace

void Log(Severity severity, const std::string& line) {
  static const bool to_journal = ToJournal();
  std::string text = to_journal ? absl::StrCat("<", static_cast<int>(severity), ">", line)
                                : absl::StrCat("edge_model_server: ", Word(severity), line);
  std::replace(text.begin(), text.end(), '\n', ' ');
  text += '\n';
  if (!TakesLine()) return;
  // One call for a line, so that lines of two threads do not mix. There is nowhere to report a failure.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
}

void TakeOverGrpcLog() { gpr_set_log_function(FromGrpc); }

}  // namespace ems

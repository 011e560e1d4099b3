// Lines for the operator, on stderr.
#ifndef EMS_APP_LOG_H_
#define EMS_APP_LOG_H_

#include <string>

namespace ems {

// Numbers of syslog, which systemd's journal takes as "<3>" before a line.
enum class Severity : int { kError = 3, kWarning = 4, kInfo = 6 };

// Writes a line whole. Line breaks in it become spaces: a client's or a file's text makes no lines of its own.
void Log(Severity severity, const std::string& line);

// Sends what gRPC reports about itself here.
void TakeOverGrpcLog();

}  // namespace ems

#endif  // EMS_APP_LOG_H_

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "grpc/listen.h"
#include "temp_folder.h"

namespace ems {
namespace {

using testing::HasSubstr;

// A socket that listens on a free port of the loopback address.
class Listening {
 public:
  Listening() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 1), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~Listening() { close(fd_); }
  int port() const { return port_; }

 private:
  int fd_;
  int port_ = 0;
};

TEST(HostPortTest, BracketsIPv6) {
  EXPECT_EQ(HostPort("0.0.0.0", 8500), "0.0.0.0:8500");
  EXPECT_EQ(HostPort("::1", 8500), "[::1]:8500");
  EXPECT_EQ(HostPort("[::1]", 8500), "[::1]:8500");
}

TEST(CheckPortTest, SaysWhatToDo) {
  EXPECT_TRUE(CheckPort("127.0.0.1", 0, "--port").ok());
  const Listening other;
  const absl::Status taken = CheckPort("127.0.0.1", other.port(), "--port");
  EXPECT_EQ(taken.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(taken.message()), HasSubstr("Address already in use; stop the other program, or choose"));
  const absl::Status foreign = CheckPort("192.0.2.1", 0, "--port");  // an address for documentation, RFC 5737
  EXPECT_EQ(foreign.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(foreign.message()), HasSubstr("--listen"));
  EXPECT_EQ(CheckPort("no address", 0, "--port").code(), absl::StatusCode::kInvalidArgument);
}

TEST(CheckSocketTest, TakesWhatAServerLeftBehind) {
  const TempFolder folder;
  const std::string path = folder / "s";
  EXPECT_TRUE(CheckSocket(path).ok());
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_GE(fd, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  EXPECT_THAT(std::string(CheckSocket(path).message()), HasSubstr("Address already in use"));
  close(fd);
  EXPECT_TRUE(CheckSocket(path).ok());
}

TEST(CheckSocketTest, RefusesOtherFilesAndFolders) {
  const TempFolder folder;
  const absl::Status file = CheckSocket(folder.File("file", "text"));
  EXPECT_EQ(file.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(file.message()), HasSubstr("it is no socket"));
  EXPECT_EQ(CheckSocket(folder / "missing/s").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(CheckSocket(std::string(108, 'a')).code(), absl::StatusCode::kInvalidArgument);
}

TEST(ChannelArgumentsTest, IntegersAndTexts) {
  const auto arguments = ParseChannelArguments("grpc.a=5, grpc.b=text,grpc.c=a=b,");
  ASSERT_TRUE(arguments.ok()) << arguments.status();
  EXPECT_EQ(*arguments, (ChannelArguments{{"grpc.a", 5}, {"grpc.b", "text"}, {"grpc.c", "a=b"}}));
  EXPECT_TRUE(ParseChannelArguments("")->empty());
  EXPECT_EQ(ParseChannelArguments("grpc.a").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ParseChannelArguments("=5").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ems

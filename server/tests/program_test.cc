// The program as systemd or a shell sees it: exit codes, messages, signals, notifications.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "support/model_maker.h"
#include "temp_folder.h"
#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"

namespace ems {
namespace {

using ::testing::HasSubstr;

// A run of edge_model_server with a notification socket, as under Type=notify.
class Program {
 public:
  explicit Program(const TempFolder& folder, std::vector<std::string> flags) : folder_(folder) {
    notify_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string path = folder / "notify";
    unlink(path.c_str());
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(bind(notify_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    flags.insert(flags.begin(), EMS_PROGRAM);
    pid_ = fork();
    if (pid_ == 0) Execute(flags, path);
  }
  ~Program() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(notify_);
  }

  // Waits for a message to systemd with this text. False where the program ends first, or after a minute.
  bool AwaitNotify(const std::string& text) {
    for (int i = 0; i < 600; ++i) {
      pollfd ready = {notify_, POLLIN, 0};
      if (poll(&ready, 1, 100) > 0) {
        std::string message(4096, '\0');
        const ssize_t size = recv(notify_, message.data(), message.size(), 0);
        message.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
        if (absl::StrContains(message, text)) return true;
      } else if (kill(pid_, 0) != 0 || waitpid(pid_, &status_, WNOHANG) == pid_) {
        pid_ = 0;
        return false;
      }
    }
    return false;
  }
  void AwaitLog(const std::string& text) const {
    for (int i = 0; i < 600 && !absl::StrContains(Log(), text); ++i) usleep(100 * 1000);
    EXPECT_THAT(Log(), HasSubstr(text));
  }
  void Signal(int signal) const { kill(pid_, signal); }
  // Returns the exit code, or 128 and the signal.
  int Wait() {
    if (pid_ > 0) waitpid(pid_, &status_, 0);
    pid_ = 0;
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  }
  std::string Log() const {
    std::ifstream file(folder_ / "log");
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

 private:
  [[noreturn]] void Execute(const std::vector<std::string>& flags, const std::string& notify) const {
    const int log = open((folder_ / "log").c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    setenv("NOTIFY_SOCKET", notify.c_str(), 1);
    std::vector<char*> arguments;
    for (const std::string& flag : flags) arguments.push_back(const_cast<char*>(flag.c_str()));
    arguments.push_back(nullptr);
    execv(arguments[0], arguments.data());
    _exit(127);
  }

  const TempFolder& folder_;
  int notify_;
  pid_t pid_;
  int status_ = 0;
};

class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() { folder_.File("m/1/model.tflite", testing::HalfPlusTwoModel()); }

  std::vector<std::string> Flags(std::vector<std::string> more) const {
    more.insert(more.begin(), {"--port=0", "--rest_api_port=0", "--grpc_socket_path=" + (folder_ / "grpc")});
    return more;
  }
  std::vector<std::string> Serving() const { return Flags({"--model_base_path=" + (folder_ / "m")}); }
  void ExpectEnd(const std::vector<std::string>& flags, int code, const std::string& text) const {
    Program program(folder_, flags);
    EXPECT_EQ(program.Wait(), code);
    EXPECT_THAT(program.Log(), HasSubstr(text));
  }
  grpc::Status Predict() const {
    const auto stub = tensorflow::serving::PredictionService::NewStub(
        grpc::CreateChannel("unix:" + (folder_ / "grpc"), grpc::InsecureChannelCredentials()));
    tensorflow::serving::PredictRequest request;
    request.mutable_model_spec()->set_name("default");
    tensorflow::TensorProto& x = (*request.mutable_inputs())["x"];
    x.set_dtype(tensorflow::DT_FLOAT);
    x.mutable_tensor_shape()->add_dim()->set_size(1);
    x.add_float_val(1);
    tensorflow::serving::PredictResponse response;
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    return stub->Predict(&context, request, &response);
  }

  TempFolder folder_;
};

TEST_F(ProgramTest, ServesUntilItIsAskedToStop) {
  Program program(folder_, Serving());
  ASSERT_TRUE(program.AwaitNotify("READY=1")) << program.Log();
  const grpc::Status status = Predict();
  EXPECT_TRUE(status.ok()) << status.error_message();
  program.Signal(SIGTERM);
  EXPECT_TRUE(program.AwaitNotify("STOPPING=1"));
  EXPECT_EQ(program.Wait(), 0) << program.Log();
}

TEST_F(ProgramTest, ReadsItsConfigurationAgain) {
  const auto config = [this](const std::string& name) {
    return folder_.File("models.config", absl::StrCat("model_config_list { config { name: \"", name, "\" base_path: \"",
                                                      folder_ / "m", "\" model_platform: \"tensorflow\" } }"));
  };
  Program program(folder_, Flags({"--model_config_file=" + config("other")}));
  ASSERT_TRUE(program.AwaitNotify("READY=1")) << program.Log();
  EXPECT_EQ(Predict().error_code(), grpc::StatusCode::NOT_FOUND);
  folder_.File("models.config", "nonsense");
  program.Signal(SIGHUP);
  program.AwaitLog("the old configuration stays: ");
  config("default");
  program.Signal(SIGHUP);
  program.AwaitLog("model default version 1: available");
  EXPECT_TRUE(Predict().ok());
}

TEST_F(ProgramTest, ExitCodesTellTheCause) {
  ExpectEnd({"--no_such_flag"}, 2, "unknown flag --no_such_flag");
  ExpectEnd(Flags({}), 2, "no models; give --model_base_path");
  ExpectEnd(Flags({"--model_config_file=" + folder_.File("bad.config", "model_config_list {")}), 2,
            "bad.config: line 1, column ");
  ExpectEnd(Flags({"--model_base_path=" + (folder_ / "missing")}), 3, folder_ / "missing");
  ExpectEnd({"--model_base_path=" + (folder_ / "m"), "--port=0", "--rest_api_port=0",
             "--grpc_socket_path=" + (folder_ / "missing/s")},
            4, "cannot listen on");
  ExpectEnd({"--version"}, 0, "edge-model-server ");
}

TEST_F(ProgramTest, NoModelThatLoadsIsAnError) {
  folder_.File("cut/1/model.tflite", testing::HalfPlusTwoModel().substr(0, 200));
  ExpectEnd(Flags({"--model_base_path=" + (folder_ / "cut"), "--max_num_load_retries=0"}), 3, "cut/1");
}

TEST_F(ProgramTest, CheckSaysWhatWouldBeServed) {
  std::vector<std::string> flags = Serving();
  flags.emplace_back("--check-config");
  ExpectEnd(flags, 0, "default: the latest version in " + (folder_ / "m"));
  ExpectEnd(Flags({"--check-config", "--model_base_path=" + (folder_ / "missing")}), 2, "no folder");
  ExpectEnd(Flags({"--check-config", "--model_base_path=" + (folder_ / "m"),
                   "--ssl_config_file=" + folder_.File("ssl", "server_key: \"x\"")}),
            2, "server_cert: ");
}

}  // namespace
}  // namespace ems

// The worker program on fake devices: loading, states, reasons, and what is left behind.
#include "devices/devices.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "devices_fixture.h"
#include "support/allocations.h"
#include "worker/protocol.h"

namespace ems {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

TEST_F(DevicesTest, SpreadsTheRowsOfARequestOverTheDevices) {
  board_.Set("usb:0", "ok 5000");
  board_.Set("usb:1", "ok 5000");
  const std::unique_ptr<Servable> servable = Loaded();
  ASSERT_TRUE(servable);
  const absl::StatusOr<TensorMap> outputs = Ask(*servable, 5, 20);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_TRUE(IsRight(*outputs, 5, 20));
  EXPECT_EQ(Report(0).runs + Report(1).runs, 20);
  EXPECT_GT(Report(0).runs, 0);
  EXPECT_GT(Report(1).runs, 0);
  EXPECT_EQ(servable->placements()[1].device, "usb:1");
  EXPECT_EQ(servable->placements()[1].state, "ok");
}

TEST_F(DevicesTest, ManyRowsTakeLittleMemoryBesideTheirValues) {
  board_.Set("usb:0", "ok 0");
  options_.names = {"usb:0"};
  const std::unique_ptr<Servable> servable = Loaded();
  absl::StatusOr<TensorMap> outputs;
  EXPECT_LT(testing::PeakOf([&] { outputs = Ask(*servable, 1, 10000); }), 3'000'000);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_TRUE(IsRight(*outputs, 1, 10000));
}

TEST_F(DevicesTest, AReplyWithoutMemoryCostsTheWorkerAlone) {
  options_.names = {"cpu:0"};
  options_.delegate = "";
  auto servable = Load(folder_.Write("half.tflite", testing::HalfPlusTwoModel()));
  ASSERT_TRUE(servable.ok()) << servable.status();
  const auto run = [&] {
    return (*servable)->Run(kDefaultSignature, {{"x", MakeTensor(DataType::kFloat, {3001})}}, {});
  };
  {
    const WorkerReply reply{absl::OkStatus(), {{"y", MakeTensor(DataType::kFloat, {3001})}}, 0, 0};
    const testing::NoMemoryFor the_reply(Encode(reply).size() + 1);
    EXPECT_THAT(Text(run().status()), HasSubstr("there is no memory for the worker's reply"));
  }
  Await([&] { return run().ok(); });
}

TEST_F(DevicesTest, ChecksTheInputs) {
  board_.Set("usb:0", "ok 0");
  options_.names = {"usb:0"};
  const std::unique_ptr<Servable> servable = Loaded();
  EXPECT_EQ(servable->Run(kDefaultSignature, {}, {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Report(0).runs, 0);
}

TEST_F(DevicesTest, RunsWhatIsThereWhereADeviceIsMissing) {
  board_.Set("usb:1", "ok 0");
  const std::unique_ptr<Servable> servable = Loaded();
  EXPECT_TRUE(IsRight(*Ask(*servable, 1), 1));
  EXPECT_EQ(Report(0).state, DeviceState::kAbsent);
  EXPECT_THAT(Report(0).detail, HasSubstr("there is no device usb:0"));
  board_.Set("usb:0", "ok 0");  // plugged in: found by itself, with the model
  AwaitState(0, DeviceState::kOk);
  board_.Set("usb:1", "fail 0");
  EXPECT_TRUE(IsRight(*Ask(*servable, 2), 2));
}

TEST_F(DevicesTest, ADeviceThatAppearsGetsTheModelsAndTheRuns) {
  board_.Set("usb:0", "ok 300");
  options_.names = {"usb:0"};
  const std::unique_ptr<Servable> servable = Loaded();
  Clients clients(*servable, 4);
  clients.AwaitAnswers(10);
  board_.Set("pci:0", "ok 300");
  devices().AddDevice("pci:0");
  devices().AddDevice("pci:0");
  devices().AddDevice("usb:0");
  ASSERT_EQ(devices().Report().size(), 2);
  Await([&] { return Report(1).runs >= 10; });
  board_.Unplug("usb:0");
  AwaitState(0, DeviceState::kAbsent);
  clients.AwaitAnswers(10);
  clients.Stop();
  EXPECT_EQ(clients.wrong(), 0);
  EXPECT_EQ(clients.failed(), 0) << clients.first_failure();
  EXPECT_EQ(servable->placements()[1].device, "pci:0");
}

TEST_F(DevicesTest, SaysWhyNoDeviceCouldLoad) {
  board_.Set("usb:1", "fail 0");
  const absl::Status status = Load(path_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(Text(status), HasSubstr("no device can run m version 1: usb:0 is absent ("));
  EXPECT_THAT(Text(status), HasSubstr("there is no device usb:0"));
  EXPECT_THAT(Text(status), HasSubstr("usb:1 is out (the first run failed: "));
  EXPECT_THAT(Text(status), HasSubstr("usb:1: the transfer failed"));
}

TEST_F(DevicesTest, SaysThatTheDelegateIsMissing) {
  options_.delegate = "/nonexistent/libedgetpu.so.1";
  const std::string text = Text(Load(path_).status());
  EXPECT_THAT(text, HasSubstr("cannot load the delegate /nonexistent/libedgetpu.so.1: "));
  EXPECT_THAT(text, HasSubstr("; install it or correct --delegate"));
}

TEST_F(DevicesTest, SaysWhichOptionTheDelegateDoesNotKnow) {
  board_.Set("usb:0", "ok 0");
  options_.delegate_options = {{"speed", "max"}};
  const std::string text = Text(Load(path_).status());
  EXPECT_THAT(text, HasSubstr("did not start: there is no option speed (its options: speed=max, device=usb:0); "));
  EXPECT_THAT(text, HasSubstr("or correct --device or --delegate_option"));
}

TEST_F(DevicesTest, ACompiledModelThatIsBrokenIsTheModelsFault) {
  board_.Set("usb:0", "ok 0");
  options_.names = {"usb:0"};
  const std::unique_ptr<Servable> servable = Loaded();
  const absl::Status status =
      Load(folder_.Write("bad.tflite", testing::CustomOperatorModel("edgetpu-custom-op", "rubbish"))).status();
  EXPECT_THAT(Text(status), HasSubstr("usb:0 does not load it ("));
  EXPECT_THAT(Text(status), HasSubstr("fake_edgetpu: the compiled model is broken"));
  AwaitState(0, DeviceState::kOk);
  EXPECT_TRUE(IsRight(*Ask(*servable, 1), 1));
}

TEST_F(DevicesTest, SaysThatTheWorkerProgramIsMissing) {
  options_.worker = "/nonexistent/edge_model_worker";
  EXPECT_THAT(Text(Load(path_).status()), HasSubstr("cannot start /nonexistent/edge_model_worker"));
}

TEST_F(DevicesTest, AWorkerThatStartsAnewReadsTheModelThatIsServed) {
  board_.Set("usb:0", "ok 0");
  options_.names = {"usb:0"};
  const std::unique_ptr<Servable> servable = Loaded();
  // As cp does: into the same file.
  std::ofstream(path_, std::ios::trunc) << "half of ano";
  EXPECT_TRUE(IsRight(*Ask(*servable, 1), 1));
  kill(Report(0).pid, SIGKILL);
  Await([&] { return Report(0).restarts == 1; });
  AwaitState(0, DeviceState::kOk);
  EXPECT_TRUE(IsRight(*Ask(*servable, 2), 2));
}

TEST_F(DevicesTest, CountsTheMemoryOfItsWorkers) {
  board_.Set("usb:0", "ok 0");
  options_.names = {"usb:0"};
  options_.memory = MemoryBudget::Create(10'000'000);
  std::unique_ptr<Servable> servable = Loaded();
  EXPECT_EQ(options_.memory->used(), Report(0).arena_bytes);
  EXPECT_GT(options_.memory->used(), 0);
  servable.reset();
  EXPECT_EQ(options_.memory->used(), 0);
  const auto rest = options_.memory->Take(9'999'999);
  EXPECT_EQ(Load(path_).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(DevicesTest, ADeviceOfAnotherProcessIsAbsentUntilItIsFree) {
  board_.Set("usb:0", "ok 0");
  board_.Set("usb:1", "ok 0");
  const int other = open(board_.PathOf("usb:0").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  const std::unique_ptr<Servable> servable = Loaded();
  EXPECT_EQ(Report(0).state, DeviceState::kAbsent);
  EXPECT_THAT(Report(0).detail, HasSubstr("usb:0 is in use by another process"));
  EXPECT_TRUE(IsRight(*Ask(*servable, 1), 1));
  close(other);
  AwaitState(0, DeviceState::kOk);
}

TEST_F(DevicesTest, ReleasesTheDeviceWithTheLastModel) {
  board_.Set("usb:0", "ok 0");
  options_.names = {"usb:0"};
  std::unique_ptr<Servable> servable = Loaded();
  const int other = open(board_.PathOf("usb:0").c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_NE(flock(other, LOCK_EX | LOCK_NB), 0);
  servable.reset();
  EXPECT_EQ(flock(other, LOCK_EX | LOCK_NB), 0);
  close(other);
}

TEST_F(DevicesTest, AllGoneIsUnavailableAndAllComeBack) {
  board_.Set("usb:0", "ok 0");
  board_.Set("usb:1", "ok 0");
  const std::unique_ptr<Servable> servable = Loaded();
  for (const char* const device : {"usb:0", "usb:1"}) board_.Unplug(device);
  EXPECT_FALSE(Ask(*servable, 1).ok());
  AwaitState(0, DeviceState::kAbsent);
  AwaitState(1, DeviceState::kAbsent);
  const absl::Status status = Ask(*servable, 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  // An absent device is tried again and again: the reason may be that of the last try.
  EXPECT_THAT(Text(status), HasSubstr("there is no device usb:0"));
  EXPECT_THAT(Text(status), HasSubstr("there is no device usb:1"));
  EXPECT_NE(servable->placements()[0].state, "ok");
  for (const char* const device : {"usb:0", "usb:1"}) board_.Set(device, "ok 0");
  AwaitState(0, DeviceState::kOk);
  EXPECT_TRUE(IsRight(*Ask(*servable, 2), 2));
}

TEST_F(DevicesTest, WithOneDeviceARequestWaitsForTheNextWorker) {
  board_.Set("usb:0", "ok 0");
  options_.names = {"usb:0"};
  const std::unique_ptr<Servable> servable = Loaded();
  kill(Report(0).pid, SIGKILL);
  EXPECT_TRUE(IsRight(*Ask(*servable, 1), 1));
  EXPECT_EQ(Report(0).restarts, 1);
  EXPECT_THAT(Log(), HasSubstr("device usb:0 is out: the worker was killed by signal 9 (Killed)"));
}

TEST_F(DevicesTest, TheLogHasWhatAWorkerWrites) {
  board_.Set("usb:0", "ok 0");
  options_.names = {"usb:0"};
  const std::unique_ptr<Servable> servable = Loaded();
  board_.Set("usb:0", "abort 0");
  EXPECT_FALSE(Ask(*servable, 1).ok());
  EXPECT_THAT(Log(), HasSubstr("device usb:0 writes: fake_edgetpu: usb:0: fatal USB error"));
  EXPECT_THAT(Log(), HasSubstr("(Aborted); its last words: fake_edgetpu: usb:0: fatal USB error"));
}

TEST_F(DevicesTest, AWorkerThatWritesWithoutEndIsAHang) {
  board_.Set("usb:0", "ok 0");
  options_.names = {"usb:0"};
  options_.least_hang = absl::Milliseconds(200);
  options_.most_load = absl::Milliseconds(500);
  options_.log = [log = options_.log](const std::string& line) {  // to a slow disk
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    log(line);
  };
  const std::unique_ptr<Servable> servable = Loaded();
  board_.Set("usb:0", "flood 0");
  const absl::Status status = Ask(*servable, 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(Text(status), HasSubstr("the worker hung: no answer in "));
  const std::string log = Log();
  EXPECT_THAT(log, HasSubstr("device usb:0 writes: fake_edgetpu: the device is hot\n"));
  EXPECT_THAT(log, HasSubstr(" lines more)"));
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 1000);
}

TEST_F(DevicesTest, StopsWhileAWorkerWritesWithoutEnd) {
  board_.Set("usb:0", "ok 0");
  options_.names = {"usb:0"};
  options_.least_hang = absl::Hours(1);
  const std::unique_ptr<Servable> servable = Loaded();
  board_.Set("usb:0", "flood 0");
  std::thread client([&] { EXPECT_FALSE(Ask(*servable, 1).ok()); });
  Await([&] { return Log().find(" is hot") != std::string::npos; });
  devices_.reset();
  client.join();
}

TEST_F(DevicesTest, AWorkerHasNoDescriptorsOfTheServer) {
  board_.Set("usb:0", "ok 0");
  options_.names = {"usb:0"};
  const int opened = open(folder_.Write("secret", "").c_str(), O_RDONLY | O_CLOEXEC);
  const int ours = fcntl(opened, F_DUPFD, 100);  // inherited, and no number that the worker's own take
  close(opened);
  const std::unique_ptr<Servable> servable = Loaded();
  std::vector<std::string> targets;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(Report(0).pid) + "/fd")) {
    const std::string target = std::filesystem::read_symlink(entry.path());
    if (target != board_.PathOf("usb:0")) targets.push_back(target.substr(0, target.find(':')));
  }
  close(ours);
  EXPECT_THAT(targets,
              ::testing::UnorderedElementsAre("/dev/null", "pipe", "pipe", "socket", "/memfd"));  // the last: the model
}

bool Exists(int pid) { return kill(pid, 0) == 0; }

TEST_F(DevicesTest, LeavesNoWorkerBehind) {
  board_.Set("usb:0", "ok 0");
  board_.Set("usb:1", "ok 0");
  std::unique_ptr<Servable> servable = Loaded();
  const std::array<int, 2> workers{Report(0).pid, Report(1).pid};
  EXPECT_TRUE(Exists(workers[0]) && Exists(workers[1]));
  devices_.reset();  // before the servable: it must not matter
  EXPECT_FALSE(Exists(workers[0]) || Exists(workers[1]));
  EXPECT_EQ(servable->Run(kDefaultSignature, Question(1), {}).status().code(), absl::StatusCode::kUnavailable);
  servable.reset();
}

TEST_F(DevicesTest, EndsAWorkerThatHangs) {
  board_.Set("usb:0", "ok 0");
  options_.names = {"usb:0"};
  options_.least_hang = absl::Hours(1);
  std::unique_ptr<Servable> servable = Loaded();
  const int worker = Report(0).pid;
  board_.Set("usb:0", "hang 0");
  EXPECT_EQ(servable->Run(kDefaultSignature, Question(1), {absl::Now() + absl::Milliseconds(50)}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  devices_.reset();
  EXPECT_FALSE(Exists(worker));
  EXPECT_THAT(Log(), HasSubstr("device usb:0 is out: the server stops\n"));  // we killed it: no word of memory
}

// The server dies without a word: the kernel ends the workers, even one that hangs.
TEST_F(DevicesTest, NoWorkerOutlivesTheServer) {
  board_.Set("usb:0", "ok 0");
  options_.names = {"usb:0"};
  options_.least_hang = absl::Hours(1);
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);  // orphans become ours
  std::array<int, 2> pipe_fds{};
  ASSERT_EQ(pipe2(pipe_fds.data(), O_CLOEXEC), 0);
  const pid_t server = fork();
  if (server == 0) {
    const std::unique_ptr<Servable> servable = Loaded();
    board_.Set("usb:0", "hang 0");
    const int worker = Report(0).pid;
    servable->Run(kDefaultSignature, Question(1), {absl::Now() + absl::Milliseconds(50)}).status().IgnoreError();
    if (write(pipe_fds[1], &worker, sizeof worker) < 0) std::abort();
    while (true) pause();
  }
  int worker = 0;
  ASSERT_EQ(read(pipe_fds[0], &worker, sizeof worker), sizeof worker);
  kill(server, SIGKILL);
  int status = 0;
  EXPECT_EQ(waitpid(server, &status, 0), server);
  EXPECT_EQ(waitpid(worker, &status, 0), worker);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  for (const int fd : pipe_fds) close(fd);
}

}  // namespace
}  // namespace ems

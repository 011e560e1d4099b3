#include "fake_edgetpu/device.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <thread>
#include <utility>

namespace fake_edgetpu {

namespace {

std::string Folder() {
  const char* const folder = std::getenv("FAKE_EDGETPU");
  return folder != nullptr ? folder : "/nonexistent";
}

std::string PathOf(const std::string& name) { return Folder() + "/" + name; }

bool SameFile(int fd, const std::string& path) {
  struct stat held{};
  struct stat now{};
  return fstat(fd, &held) == 0 && stat(path.c_str(), &now) == 0 && held.st_ino == now.st_ino &&
         held.st_dev == now.st_dev;
}

// Adds a line to the journal; one write, so that lines of several processes do not mix.
void Note(const char* what, const std::string& device, size_t model) {
  const int fd = open(PathOf(".journal").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0) return;
  const std::string line = std::string(what) + ' ' + device + ' ' + std::to_string(model) + '\n';
  if (write(fd, line.data(), line.size()) < 0) std::abort();
  close(fd);
}

struct Behaviour {
  std::string mode;
  std::chrono::microseconds time{0};
};

Behaviour ReadBehaviour(int fd) {
  std::array<char, 64> text{};
  std::array<char, 16> mode{};
  int64_t micros = 0;
  if (pread(fd, text.data(), text.size() - 1, 0) < 0) return {};
  if (std::sscanf(text.data(), "%15s %ld", mode.data(), &micros) < 1) return {};  // NOLINT(cert-err34-c)
  return {mode.data(), std::chrono::microseconds(micros)};
}

// Writes faster than anybody reads lines.
[[noreturn]] void Flood() {
  std::string lines;
  while (lines.size() < (1U << 16U)) lines += "fake_edgetpu: the device is hot\n";
  while (true) {
    if (write(STDERR_FILENO, lines.data(), lines.size()) < 0) std::abort();
  }
}

}  // namespace

std::shared_ptr<Device> Device::Open(const std::string& name, std::string* error) {
  static std::mutex mutex;
  static auto* const devices = new std::map<std::string, std::weak_ptr<Device>>;
  const std::lock_guard<std::mutex> lock(mutex);
  if (std::shared_ptr<Device> open = (*devices)[name].lock()) {
    if (SameFile(open->fd_, PathOf(name))) return open;
    *error = name + " was unplugged";
    return nullptr;
  }
  const int fd = open(PathOf(name).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    *error = "there is no device " + name;
    return nullptr;
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(fd);
    *error = name + " is in use by another process";
    return nullptr;
  }
  auto device = std::make_shared<Device>(name, fd);
  (*devices)[name] = device;
  return device;
}

Device::Device(std::string name, int fd) : name_(std::move(name)), fd_(fd) {}

Device::~Device() { close(fd_); }

bool Device::Run(size_t model, const std::function<bool()>& compute, std::string* error) {
  const std::lock_guard<std::mutex> lock(running_);
  const auto start = std::chrono::steady_clock::now();
  Behaviour behaviour = ReadBehaviour(fd_);
  if (!SameFile(fd_, PathOf(name_))) behaviour.mode = "unplugged";
  if (behaviour.mode == "hang") {
    while (true) pause();
  }
  if (behaviour.mode == "flood") Flood();
  Note("begin", name_, model);
  const bool computed = behaviour.mode == "ok" && compute();
  if (behaviour.mode == "ok" && std::exchange(loaded_, model) != model) {
    Note("load", name_, model);
    behaviour.time *= 5;
  }
  std::this_thread::sleep_until(start + behaviour.time);
  Note("end", name_, model);
  if (behaviour.mode == "abort") {
    std::cerr << "fake_edgetpu: " << name_ << ": fatal USB error\n";
    std::abort();
  }
  if (!computed) *error = name_ + ": " + (behaviour.mode == "unplugged" ? "it was unplugged" : "the transfer failed");
  return computed;
}

std::vector<std::string> DeviceNames() {
  std::vector<std::string> names;
  DIR* const folder = opendir(Folder().c_str());
  if (folder == nullptr) return names;
  while (const dirent* const entry = readdir(folder)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(folder);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace fake_edgetpu

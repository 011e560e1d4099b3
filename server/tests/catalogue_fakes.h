// A fake loader for tests of the catalogue, and a log that can be waited for.
#ifndef EMS_TESTS_CATALOGUE_FAKES_H_
#define EMS_TESTS_CATALOGUE_FAKES_H_

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/servable.h"

namespace ems {

// Waits for a condition; a test that would wait for ever fails after a minute, which a busy machine keeps.
template <typename Condition>
void Await(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, Condition condition,
           const std::string& what) {
  if (!changed.wait_for(lock, std::chrono::minutes(1), condition)) ADD_FAILURE() << "waited in vain for " << what;
}

// Counts servables, and keeps them from loading while the gate is closed.
class FakeLoader : public Loader {
 public:
  // A servable whose version is readable from its only output, and which notices a Run after its end.
  class FakeServable : public Servable {
   public:
    FakeServable(FakeLoader& loader, ServableId id) : loader_(loader), id_(std::move(id)) {}
    ~FakeServable() override {
      EXPECT_EQ(running_, 0) << "destroyed while a request uses it";
      loader_.Ended();
    }
    const SignatureMap& signatures() const override { return signatures_; }
    absl::StatusOr<TensorMap> Run(const std::string& /*signature*/, const TensorMap& /*inputs*/,
                                  const RunOptions& /*options*/) override {
      ++running_;
      TensorMap outputs;
      outputs["version"] = MakeTensor(DataType::kInt64, {});
      *outputs["version"].data<int64_t>() = id_.version;
      --running_;
      return outputs;
    }
    std::vector<Placement> placements() const override { return {}; }

   private:
    FakeLoader& loader_;
    const ServableId id_;
    const SignatureMap signatures_;
    std::atomic<int> running_ = 0;
  };

  // Fails where the folder has no file "model"; the file's text is the error, unless it is "ok".
  absl::StatusOr<std::unique_ptr<Servable>> Load(const ServableId& id, const std::string& folder) override {
    {
      std::unique_lock lock(mu_);
      order_.push_back(id.version);
      changed_.notify_all();
      Await(lock, changed_, [&] { return open_; }, "the gate");
    }
    std::ifstream file(folder + "/model");
    std::string text;
    if (!std::getline(file, text)) return absl::NotFoundError(absl::StrCat("no model in ", folder));
    if (text != "ok") return absl::InvalidArgumentError(text);
    const std::lock_guard lock(mu_);
    ++alive_;
    most_alive_ = std::max(most_alive_, alive_);
    return std::make_unique<FakeServable>(*this, id);
  }

  void CloseGate() { SetGate(false); }
  void OpenGate() { SetGate(true); }

  // Waits until so many loads have begun since the start.
  void AwaitLoads(size_t count) {
    std::unique_lock lock(mu_);
    Await(lock, changed_, [&] { return order_.size() >= count; }, absl::StrCat(count, " loads"));
  }

  std::vector<int64_t> order() const {  // the versions, as their loads began
    const std::lock_guard lock(mu_);
    return order_;
  }
  int alive() const {
    const std::lock_guard lock(mu_);
    return alive_;
  }
  int most_alive() const {
    const std::lock_guard lock(mu_);
    return most_alive_;
  }
  // The threads in which servables were destroyed.
  std::set<std::thread::id> destroyers() const {
    const std::lock_guard lock(mu_);
    return destroyers_;
  }

 private:
  void SetGate(bool open) {
    const std::lock_guard lock(mu_);
    open_ = open;
    changed_.notify_all();
  }
  void Ended() {
    const std::lock_guard lock(mu_);
    --alive_;
    destroyers_.insert(std::this_thread::get_id());
  }

  mutable std::mutex mu_;
  std::condition_variable changed_;
  bool open_ = true;
  int alive_ = 0;
  int most_alive_ = 0;
  std::vector<int64_t> order_;
  std::set<std::thread::id> destroyers_;
};

class FakeLog {
 public:
  void operator()(const std::string& line) {
    const std::lock_guard lock(mu_);
    lines_.push_back(line);
    changed_.notify_all();
  }

  // Waits for a line that contains `text`, and was not waited for before.
  void Await(const std::string& text) {
    std::unique_lock lock(mu_);
    ems::Await(lock, changed_, [&] { return Find(text); }, absl::StrCat("the line \"", text, "\""));
  }

  std::vector<std::string> lines() const {
    const std::lock_guard lock(mu_);
    return lines_;
  }
  int64_t Count(const std::string& text) const {
    const std::vector<std::string> all = lines();
    return std::count_if(all.begin(), all.end(), [&](const auto& line) { return absl::StrContains(line, text); });
  }

 private:
  bool Find(const std::string& text) {
    for (size_t i = seen_.size(); i < lines_.size(); ++i) seen_.push_back(false);
    for (size_t i = 0; i < lines_.size(); ++i) {
      if (!seen_[i] && absl::StrContains(lines_[i], text)) return seen_[i] = true;
    }
    return false;
  }

  mutable std::mutex mu_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
  std::vector<bool> seen_;
};

}  // namespace ems

#endif  // EMS_TESTS_CATALOGUE_FAKES_H_

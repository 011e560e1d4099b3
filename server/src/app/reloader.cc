#include "app/reloader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "catalogue/config.h"

namespace ems {

namespace {

// A reload that takes longer is reported; loading goes on.
constexpr absl::Duration kMostReload = absl::Minutes(10);

// Returns the content, empty where the file cannot be read: the reload then says why.
std::string Content(const std::string& path) { return ReadTextFile(path).value_or(""); }

}  // namespace

Reloader::Reloader(Options options, Catalogue& catalogue)
    : options_(std::move(options)),
      catalogue_(catalogue),
      content_(Content(options_.file)),
      thread_([this] { Work(); }) {}

Reloader::~Reloader() {
  {
    const absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  thread_.join();
}

void Reloader::Request() {
  const absl::MutexLock lock(&mutex_);
  requested_ = true;
}

void Reloader::Work() {
  const absl::Duration poll =
      options_.file.empty() || options_.poll <= absl::ZeroDuration() ? absl::InfiniteDuration() : options_.poll;
  while (true) {
    bool requested = false;
    {
      const absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(this, &Reloader::Woken), poll);
      if (stop_) return;
      requested = std::exchange(requested_, false);
    }
    std::string content = Content(options_.file);
    const bool changed = content != content_;
    content_ = std::move(content);
    if (requested || changed) Reload();
  }
}

void Reloader::Reload() {
  if (options_.file.empty()) {
    options_.log(false, "nothing to reload: there is no --model_config_file");
    return;
  }
  absl::StatusOr<ModelConfigs> configs = ReadModelConfigFile(options_.file);
  const absl::Status status =
      configs.ok() ? catalogue_.SetConfig(*configs, absl::Now() + kMostReload) : configs.status();
  if (status.ok()) {
    options_.log(false, absl::StrCat(options_.file, " is read again: ", configs->size(), " models"));
    return;
  }
  const char* outcome = IsInForce(status) ? " is in force, but " : " is not used, what was served stays: ";
  options_.log(true, absl::StrCat(options_.file, outcome, std::string(status.message())));
}

}  // namespace ems

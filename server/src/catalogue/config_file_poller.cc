#include "catalogue/config_file_poller.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "catalogue/config.h"

namespace ems {

ConfigFilePoller::ConfigFilePoller(Options options, Catalogue& catalogue)
    : options_(std::move(options)), catalogue_(catalogue), in_force_(options_.in_force), pool_(1) {
  if (options_.wait > absl::ZeroDuration()) {
    pool_.AddAt(TaskPool::Clock::now() + absl::ToChronoNanoseconds(options_.wait), [this] { Poll(); });
  }
}

void ConfigFilePoller::Poll() {
  PollOnce();
  pool_.AddAt(TaskPool::Clock::now() + absl::ToChronoNanoseconds(options_.wait), [this] { Poll(); });
}

void ConfigFilePoller::PollOnce() {
  const std::lock_guard lock(mu_);
  Read(/*always=*/false);
}

void ConfigFilePoller::Reload() {
  const std::lock_guard lock(mu_);
  refused_.clear();
  Read(/*always=*/true);
}

void ConfigFilePoller::Read(bool always) {
  const absl::StatusOr<std::string> text = ReadTextFile(options_.path);
  std::string line;
  if (text.ok() && (always || *text != in_force_)) {
    const absl::Status status = Apply(*text);
    if (IsInForce(status)) {
      options_.log(
          absl::StrCat(options_.path, ": the ", *text == in_force_ ? "" : "new ", "configuration is in force"));
      in_force_ = *text;
    } else {
      line = absl::StrCat("the old configuration stays: ", status.message());
    }
  } else if (!text.ok()) {
    line = absl::StrCat("the old configuration stays: ", text.status().message());
  }
  if (!line.empty() && line != refused_) options_.log(line);
  refused_ = line;
}

absl::Status ConfigFilePoller::Apply(const std::string& text) {
  const absl::StatusOr<ModelConfigs> configs = ParseModelConfig(text, options_.path);
  // The catalogue logs by itself how the loads end.
  return configs.ok() ? catalogue_.SetConfig(*configs, absl::InfinitePast()) : configs.status();
}

}  // namespace ems

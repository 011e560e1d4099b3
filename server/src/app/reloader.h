// Reads models.config again: at SIGHUP, and every --model_config_file_poll_wait_seconds.
#ifndef EMS_APP_RELOADER_H_
#define EMS_APP_RELOADER_H_

#include <functional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "catalogue/catalogue.h"

namespace ems {

// Works in a thread of its own, since a reload waits for loads. A file that cannot be used is logged, and what is
// served stays. Polling passes over a file that did not change, so that what HandleReloadConfigRequest set stays;
// TensorFlow Serving would set the file's content again.
class Reloader {
 public:
  struct Options {
    std::string file;     // empty: requests are logged and ignored
    absl::Duration poll;  // zero: only at a request
    std::function<void(bool failed, const std::string& line)> log;
  };

  // `catalogue` must outlive the object. The file has been read once already.
  Reloader(Options options, Catalogue& catalogue);
  ~Reloader();

  // Reloads soon, whether the file changed or not.
  void Request();

 private:
  void Work();
  bool Woken() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_ || requested_; }
  void Reload();

  Options options_;
  Catalogue& catalogue_;
  absl::Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool requested_ ABSL_GUARDED_BY(mutex_) = false;
  std::string content_;  // of the file, at the last reload; used by the thread alone
  std::thread thread_;
};

}  // namespace ems

#endif  // EMS_APP_RELOADER_H_

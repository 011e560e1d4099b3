// A models.config that is read again while the server runs.
#ifndef EMS_CATALOGUE_CONFIG_FILE_POLLER_H_
#define EMS_CATALOGUE_CONFIG_FILE_POLLER_H_

#include <functional>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "catalogue/catalogue.h"
#include "catalogue/task_pool.h"

namespace ems {

// Gives the catalogue each new content of the file. A content that is refused is tried again at each poll, as the
// reason may pass (a label of a version that is still loading); it is logged once, and the old configuration stays.
//
// A poll does not apply an unchanged file again: a configuration that came by HandleReloadConfig stays until the file
// changes.
class ConfigFilePoller {
 public:
  struct Options {
    std::string path;
    std::string in_force;  // the content that the catalogue has already
    absl::Duration wait;   // between polls; zero: only PollOnce
    std::function<void(const std::string& line)> log;
  };

  // `catalogue` must outlive the poller.
  ConfigFilePoller(Options options, Catalogue& catalogue);

  // Reads the file now, as each poll does. Does not wait until models are loaded.
  void PollOnce();

  // Applies the file, changed or not, and logs the result.
  void Reload();

 private:
  void Poll();
  void Read(bool always);  // under mu_
  absl::Status Apply(const std::string& text);

  const Options options_;
  Catalogue& catalogue_;
  std::mutex mu_;
  std::string in_force_;
  std::string refused_;  // the last line about a content that was refused
  TaskPool pool_;
};

}  // namespace ems

#endif  // EMS_CATALOGUE_CONFIG_FILE_POLLER_H_

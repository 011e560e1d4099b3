// A log whose lines are added under a mutex and written without it.
#ifndef EMS_CATALOGUE_ORDERED_LOG_H_
#define EMS_CATALOGUE_ORDERED_LOG_H_

#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace ems {

// Thread-safe. Lines are written in the order in which they were added. Whoever adds a line under a mutex calls Flush
// after its release: a terminal that does not read must not stop the server.
class OrderedLog {
 public:
  explicit OrderedLog(std::function<void(const std::string&)> write) : write_(std::move(write)) {}

  void Add(std::string line);
  void Flush();

 private:
  const std::function<void(const std::string&)> write_;
  std::mutex writing_;  // taken before mu_; keeps the order
  std::mutex mu_;
  std::vector<std::string> lines_;
};

}  // namespace ems

#endif  // EMS_CATALOGUE_ORDERED_LOG_H_

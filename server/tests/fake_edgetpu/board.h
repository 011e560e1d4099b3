// A board with fake Edge TPUs, for tests: a folder of device files, and its name in the environment.
#ifndef EMS_TESTS_FAKE_EDGETPU_BOARD_H_
#define EMS_TESTS_FAKE_EDGETPU_BOARD_H_

#include <string>
#include <vector>

#include "support/model_maker.h"

namespace fake_edgetpu {

class Board {
 public:
  // Sets $FAKE_EDGETPU: make at most one board at a time, before the threads of a test.
  Board();

  // Plugs a device in, or changes how it behaves, as device.h says: "ok 3000".
  void Set(const std::string& device, const std::string& behaviour) const;
  void Unplug(const std::string& device) const;

  // Begins a journal of runs (device.h), or begins it anew.
  void StartJournal() const;
  struct Entry {
    std::string what;  // "begin", "load", "end"
    std::string device;
    std::string model;
  };
  std::vector<Entry> Journal() const;
  std::string PathOf(const std::string& device) const { return folder_.path() + "/" + device; }

 private:
  ems::testing::TemporaryFolder folder_;
};

}  // namespace fake_edgetpu

#endif  // EMS_TESTS_FAKE_EDGETPU_BOARD_H_

#include "fake_edgetpu/board.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace fake_edgetpu {

Board::Board() { setenv("FAKE_EDGETPU", folder_.path().c_str(), 1); }

void Board::Set(const std::string& device, const std::string& behaviour) const {
  std::string line = behaviour;
  line.resize(32, ' ');  // one write of one length: a reader sees the old line or the new one
  line += '\n';
  const int fd = open(PathOf(device).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || pwrite(fd, line.data(), line.size(), 0) < 0) std::abort();
  close(fd);
}

void Board::Unplug(const std::string& device) const {
  if (unlink(PathOf(device).c_str()) != 0) std::abort();
}

void Board::StartJournal() const { std::ofstream(PathOf(".journal"), std::ios::trunc); }

std::vector<Board::Entry> Board::Journal() const {
  std::vector<Entry> entries;
  std::ifstream file(PathOf(".journal"));
  for (Entry entry; file >> entry.what >> entry.device >> entry.model;) entries.push_back(entry);
  return entries;
}

}  // namespace fake_edgetpu

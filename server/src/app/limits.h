// The limits that the kernel sets on this process.
#ifndef EMS_APP_LIMITS_H_
#define EMS_APP_LIMITS_H_

#include <cstdint>
#include <string>

namespace ems {

// Returns the least limit in bytes on the memory of this process's control group and of those above it, such as
// systemd's MemoryMax= and MemoryHigh=; 0: none. `membership` and `mount` are /proc/self/cgroup and /sys/fs/cgroup.
uint64_t ControlGroupMemory(const std::string& membership, const std::string& mount);

// Raises the limit on open files to the greatest that is permitted, and returns it. The lower limit that systemd sets
// is for programs that use select(2), which takes no descriptor beyond 1023.
uint64_t RaiseFileLimit();

}  // namespace ems

#endif  // EMS_APP_LIMITS_H_

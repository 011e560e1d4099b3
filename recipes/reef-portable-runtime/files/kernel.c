/* Every portable program loads this library: it ends the program on a kernel that is too old, and says so.
 *
 * glibc itself no longer looks at the kernel's release (its message was "FATAL: kernel too old"); without this, a program
 * would fail later, at the first system call that the kernel lacks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

/* A status of its own: POSIX shells use 126 for a program that was found but cannot be executed. */
enum { oldest_major = 4, oldest_minor = 9, cannot_execute = 126 };

__attribute__((constructor)) static void require_kernel(void) {
  struct utsname system;
  int major = 0;
  int minor = 0;
  if (uname(&system) != 0 || sscanf(system.release, "%d.%d", &major, &minor) != 2) return;
  if (major > oldest_major || (major == oldest_major && minor >= oldest_minor)) return;
  dprintf(STDERR_FILENO, "%s: this system's kernel, Linux %s, is too old; the oldest that this program supports is %d.%d\n",
          program_invocation_short_name, system.release, oldest_major, oldest_minor);
  _exit(cannot_execute);
}

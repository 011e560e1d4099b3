"""Becomes a program for which all system calls newer than Linux 4.9 do not exist, as on the oldest boards.

Started as ``python old_kernel.py PROGRAM WORD...`` on x86_64. The filter answers ENOSYS, as such a kernel would.
"""

import ctypes
import os
import struct
import sys

NEWER = 332
"""statx(2), the first system call after Linux 4.9 (arch/x86/entry/syscalls/syscall_64.tbl); numbers only grow."""
ENOSYS = 38
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
LOAD, AT_LEAST, RETURN = 0x20, 0x35, 0x06
ALLOW, ERROR = 0x7FFF0000, 0x00050000


def hide_newer_calls() -> None:
    """Install a filter for this process and all that it starts (seccomp(2))."""
    program = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (LOAD, 0, 0, 0),  # the number of the call
            (AT_LEAST, 0, 1, NEWER),
            (RETURN, 0, 0, ERROR | ENOSYS),
            (RETURN, 0, 0, ALLOW),
        )
    )
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HL", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    for words in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0)):
        if libc.prctl(*words):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    hide_newer_calls()
    os.execv(sys.argv[1], sys.argv[1:])

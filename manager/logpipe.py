"""The pipe between a service and the logger."""

from __future__ import annotations

import fcntl
import os

F_SETPIPE_SZ = 1031
SIZE = 256 * 1024


def make_pipe() -> tuple[int, int]:
    """(read end, non-blocking; write end). The write end is open for reading too, so that a service never gets EPIPE."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    both = os.open(f"/proc/self/fd/{writer}", os.O_RDWR | os.O_CLOEXEC)
    os.close(writer)
    os.set_blocking(reader, False)
    if os.geteuid() == 0:  # others have a small budget for all their pipes together
        try:
            fcntl.fcntl(reader, F_SETPIPE_SZ, SIZE)
        except OSError:
            pass
    return reader, both

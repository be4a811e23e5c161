"""The pipe that carries a service's output to the logger."""

from __future__ import annotations

import fcntl
import os
import sys

ROOT_SIZE = 256 * 1024
BIG = 1 << 20  # what a pipe grows to that is found full
_FIONREAD = 0x541B


def make_pipe(size: int | None = None) -> tuple[int, int]:
    """(read_fd, write_fd), both close-on-exec; reads do not block, writes do.

    The write end is opened for reading as well: then a writer never gets EPIPE, not even while no logger reads.
    `size` is the capacity wanted, by default 256 KiB for root and the kernel's own otherwise, because what an unprivileged user's
    pipes may hold is limited in sum (pipe-user-pages-soft in pipe(7)). A refusal is ignored. Raises OSError when out of descriptors.
    """
    read_fd, only_write = os.pipe2(os.O_CLOEXEC)
    try:
        write_fd = writer_of(only_write)
    except OSError:
        os.close(read_fd)
        raise
    finally:
        os.close(only_write)
    # Through /proc the write end got a file description of its own: this flag does not reach the service.
    os.set_blocking(read_fd, False)
    if size is None and os.geteuid() == 0:
        size = ROOT_SIZE
    if size is not None:
        try:
            fcntl.fcntl(read_fd, fcntl.F_SETPIPE_SZ, size)
        except OSError:
            pass
    return read_fd, write_fd


def writer_of(end: int) -> int:
    """A new write end, by either end of a pipe. Raises OSError."""
    return os.open(f"/proc/self/fd/{end}", os.O_RDWR | os.O_CLOEXEC)


def pending_bytes(pipe: int) -> int:
    """How much is in a pipe."""
    try:
        return int.from_bytes(fcntl.ioctl(pipe, _FIONREAD, bytes(4)), sys.byteorder)
    except OSError:
        return 0


def capacity(pipe: int) -> int:
    """How much a pipe can hold."""
    return fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)


def grow(pipe: int, size: int) -> int:
    """Give a pipe of `size` that was found full more room; what it holds now. Without privilege the sum of all is limited: it stays."""
    if size >= BIG or os.geteuid() != 0:
        return size
    try:
        return fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, BIG)
    except OSError:
        return BIG  # do not ask again

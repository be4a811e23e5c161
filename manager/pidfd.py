"""Exit statuses of processes that are not our children, by PIDFD_GET_INFO (Linux 6.15; pidfd_open(2), linux/pidfd.h). Standard library only."""

from __future__ import annotations

import fcntl
import os
import select
import struct

# struct pidfd_info: mask, cgroupid, pid, tgid, ppid, eight user and group ids, exit_code, and in later versions coredump fields: 64 or more bytes
_INFO = struct.Struct("<QQ12Ii")
_SIZE = 72
_GET_INFO = 3 << 30 | _SIZE << 16 | 0xFF << 8 | 11
_MASK_EXIT = 1 << 3


def exit_status(pidfd: int) -> int | None:
    """The wait status of a process that was reaped, None where the kernel does not tell."""
    buffer = bytearray(_SIZE)
    struct.pack_into("<Q", buffer, 0, _MASK_EXIT)
    try:
        fcntl.ioctl(pidfd, _GET_INFO, buffer)
    except OSError:
        return None
    if not struct.unpack_from("<Q", buffer, 0)[0] & _MASK_EXIT:
        return None
    return int(struct.unpack_from("<i", buffer, 60)[0])


def tells_status() -> bool:
    """Does this kernel know how a process ended that somebody else has reaped? Found out with a child."""
    pid = os.fork()
    if pid == 0:
        os._exit(37)
    fd = -1
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        pass
    os.waitpid(pid, 0)
    if fd < 0:
        return False
    try:
        return exit_status(fd) == 37 << 8
    finally:
        os.close(fd)


def watch_mask(tells: bool) -> int:
    """What to wait for with epoll. With statuses: the reaping (EPOLLHUP comes unasked; EPOLLIN would spin on a zombie). Else: the death."""
    return 0 if tells else select.EPOLLIN

"""fork(2) and clone3(2) for the warden, by libc: the kernel's side of making a child. Standard library only."""

from __future__ import annotations

import ctypes
import os
from typing import Any

from unitd.manager import child

CLONE_PIDFD, CLONE_INTO_CGROUP, SIGCHLD = 0x1000, 0x200000000, 17
_libc = ctypes.PyDLL(None, use_errno=True)  # PyDLL keeps the GIL: clone3 then works as fork does in a single-threaded interpreter
_clone3_works = True


class CloneArgs(ctypes.Structure):
    """struct clone_args (clone(2))."""

    _fields_ = [
        (name, ctypes.c_uint64)
        for name in ("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls", "set_tid", "set_tid_size", "cgroup")
    ]


def become_subreaper() -> None:
    """Orphans of services become our children (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    _libc.prctl(36, 1, 0, 0, 0)


def set_name(name: str) -> None:
    """The name in /proc/PID/comm."""
    _libc.prctl(15, name.encode(), 0, 0, 0)


def close_all(fds: list[int]) -> None:
    """Close descriptors that may be closed already."""
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            continue


def spawn(spec: dict[str, Any], fds: list[int], error_fd: int, soft_nofile: int) -> tuple[int, int]:
    """Make the child of a spec: (pid, pidfd). Straight into its cgroup where the kernel lets us. Raises OSError."""
    global _clone3_works
    cgroup = spec.get("cgroup", "")
    directory = -1
    try:
        if cgroup and _clone3_works:
            directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            pidfd = ctypes.c_int(-1)
            args = CloneArgs(flags=CLONE_PIDFD | CLONE_INTO_CGROUP, pidfd=ctypes.addressof(pidfd), exit_signal=SIGCHLD, cgroup=directory)
            pid = _libc.syscall(435, ctypes.byref(args), ctypes.sizeof(args))
            if pid == 0:
                child.run(spec, fds, error_fd, soft_nofile)
            if pid > 0:
                return pid, pidfd.value
            _clone3_works = False
    finally:
        if directory >= 0:
            os.close(directory)
    if cgroup:
        spec["cgroup_procs"] = cgroup + "/cgroup.procs"
    pid = os.fork()
    if pid == 0:
        child.run(spec, fds, error_fd, soft_nofile)
    return pid, os.pidfd_open(pid)

"""Makes processes: clone3 with a pidfd and straight into a cgroup, or fork where the kernel or a filter has no clone3."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unitd.manager import child

if TYPE_CHECKING:
    from unitd.manager.spec import SpawnSpec

_CLONE3 = 435
_CLONE_PIDFD = 0x1000
_CLONE_INTO_CGROUP = 0x200000000
_ALL = signal.valid_signals()


def default_libc_signals() -> None:
    """Signals 32 and 33, which libc keeps for itself and Python cannot set: services shall not inherit that somebody ignored them."""
    number = {"x86_64": 13, "aarch64": 134}.get(os.uname().machine)
    if number is not None:
        default = (ctypes.c_uint64 * 4)()
        for which in (32, 33):
            child.libc.syscall(number, which, ctypes.byref(default), None, ctypes.c_size_t(8))


class _CloneArgs(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls", "set_tid", "set_tid_size", "cgroup",
        )
    ]  # fmt: skip


class Spawner:
    """Forks and hands over to `child.run`. Belongs into a single-threaded process."""

    def __init__(self, around: child.Surroundings, *, clone3: bool = True) -> None:
        """`clone3=False` forces the fallback."""
        self.around = around
        self.clone3 = clone3

    def spawn(self, spec: SpawnSpec, fds: Sequence[int]) -> tuple[int, int, int]:
        """Start one child: (pid, 0, pidfd), or (0, errno, -1). What fails in the child comes by the error pipe."""
        if _bad_index(spec, len(fds)):
            return 0, errno.EMFILE, -1
        # A signal between fork and the reset of handlers would write to the warden's wake-up pipe.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)
        try:
            return self._fork(spec, fds)
        except OSError as error:
            return 0, error.errno or errno.EAGAIN, -1
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _fork(self, spec: SpawnSpec, fds: Sequence[int]) -> tuple[int, int, int]:
        group = -1
        if spec.get("cgroup"):
            try:
                group = os.open(spec["cgroup"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:
                group = -1  # the child tries, fails and says so
        try:
            if self.clone3 and (group >= 0 or not spec.get("cgroup")):
                pid, problem, pidfd = self._clone(spec, fds, group)
                if pid or problem == errno.EAGAIN:
                    return pid, problem, pidfd
                if group < 0:
                    self.clone3 = False
        finally:
            if group >= 0:
                os.close(group)
        pid = os.fork()
        if pid == 0:
            child.run(spec, fds, self.around, join_cgroup=True)
        try:
            return pid, 0, os.pidfd_open(pid)
        except OSError:
            return pid, 0, -1

    def _clone(self, spec: SpawnSpec, fds: Sequence[int], group: int) -> tuple[int, int, int]:
        pidfd = ctypes.c_int(-1)
        args = _CloneArgs(flags=_CLONE_PIDFD, pidfd=ctypes.addressof(pidfd), exit_signal=signal.SIGCHLD)
        if group >= 0:
            args.flags |= _CLONE_INTO_CGROUP
            args.cgroup = group
        pid = int(child.libc.syscall(_CLONE3, ctypes.byref(args), ctypes.c_size_t(ctypes.sizeof(args))))
        if pid == 0:
            child.run(spec, fds, self.around, join_cgroup=False)
        if pid < 0:
            return 0, ctypes.get_errno(), -1
        return pid, 0, pidfd.value


def _bad_index(spec: SpawnSpec, count: int) -> bool:
    used = [*spec.get("listen", ())]
    used += [i for i in (spec.get("stdin"), spec.get("stdout"), spec.get("stderr"), spec.get("execfd"), spec.get("idle")) if i is not None]
    return any(not 0 <= i < count for i in used)

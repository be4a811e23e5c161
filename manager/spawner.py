"""Makes processes: clone3 with a pidfd and straight into a cgroup, or fork where the kernel or a filter has no clone3."""

from __future__ import annotations

import ctypes
import errno
import os
import signal

from unitd.manager import child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from unitd.manager.spec import SpawnSpec

_CLONE3 = 435
_CLONE_PIDFD = 0x1000
_CLONE_INTO_CGROUP = 0x200000000
_NO_CLONE3 = (errno.ENOSYS, errno.EPERM, errno.EINVAL)  # of an older kernel, of a seccomp filter


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


_ARGS_SIZE = ctypes.c_size_t(ctypes.sizeof(_CloneArgs))
_syscall = child.libc.syscall


class Spawner:
    """Forks and hands over to `child.run`. Belongs into a single-threaded process."""

    def __init__(self, around: child.Surroundings, *, clone3: bool = True) -> None:
        """`clone3=False` forces the fallback."""
        self.around = around
        self.clone3 = clone3
        self._unblocked = child.SignalSet()
        self._pidfd = ctypes.c_int(-1)
        self._args = _CloneArgs(pidfd=ctypes.addressof(self._pidfd), exit_signal=signal.SIGCHLD)
        self._args_address = ctypes.byref(self._args)

    def spawn(self, specs: Sequence[SpawnSpec], fds: Sequence[int]) -> list[tuple[int, int, int]]:
        """Start children, each (pid, 0, pidfd), or (0, errno, -1). What fails in the child comes by the error pipe."""
        # All that can be is done before the first fork: after each of them, the pages that are written to are copied.
        images = [_image(spec, len(fds)) for spec in specs]
        made = []
        # A signal between fork and the reset of handlers would write to the warden's wake-up pipe.
        child.signal_mask(child.ALL_SIGNALS, self._unblocked)
        try:
            for spec, image in zip(specs, images, strict=True):
                made.append((0, image, -1) if isinstance(image, int) else self._start(spec, image, fds))
        finally:
            child.signal_mask(self._unblocked)
        return made

    def _start(self, spec: SpawnSpec, image: child.Image, fds: Sequence[int]) -> tuple[int, int, int]:
        group, wanted = -1, "cgroup" in spec and bool(spec["cgroup"])
        try:
            if wanted:
                try:
                    group = os.open(spec["cgroup"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                except OSError:
                    group = -1  # the child tries, fails and says so
            if self.clone3 and (group >= 0 or not wanted):
                pid = self._clone(spec, image, fds, group)
                if pid > 0:
                    return pid, 0, self._pidfd.value
                problem = ctypes.get_errno()
                if problem == errno.EAGAIN:
                    return 0, problem, -1
                if group < 0 and problem in _NO_CLONE3:
                    self.clone3 = False
            return self._fork(spec, image, fds)
        except OSError as error:
            return 0, error.errno or errno.EAGAIN, -1
        finally:
            if group >= 0:
                os.close(group)

    def _clone(self, spec: SpawnSpec, image: child.Image, fds: Sequence[int], group: int) -> int:
        args = self._args
        args.flags, args.cgroup = (_CLONE_PIDFD | _CLONE_INTO_CGROUP, group) if group >= 0 else (_CLONE_PIDFD, 0)
        pid: int = _syscall(_CLONE3, self._args_address, _ARGS_SIZE)
        if pid == 0:
            child.run(spec, image, fds, self.around, False)
        return pid

    def _fork(self, spec: SpawnSpec, image: child.Image, fds: Sequence[int]) -> tuple[int, int, int]:
        pid = os.fork()
        if pid == 0:
            child.run(spec, image, fds, self.around, True)
        try:
            return pid, 0, os.pidfd_open(pid)
        except OSError:
            return pid, 0, -1


def _image(spec: SpawnSpec, count: int) -> child.Image | int:
    """What to execute, or the errno of a spec that makes no sense."""
    if _bad_index(spec, count):
        return errno.EMFILE
    try:
        return child.Image(spec)
    except (KeyError, ValueError):
        return errno.EINVAL


def _bad_index(spec: SpawnSpec, count: int) -> bool:
    used = [*spec.get("listen", ())]
    used += [i for i in (spec.get("stdin"), spec.get("stdout"), spec.get("stderr"), spec.get("execfd"), spec.get("idle")) if i is not None]
    return any(not 0 <= i < count for i in used)

"""Reads /proc for the sampler, with descriptors that stay open.

psutil needs 40 to 100 ms for the same on a thousand processes, and 45 ms for the children of one; this 16. A kept descriptor
fails with ESRCH when its process is gone, so that it cannot be fooled by a pid that is used again.
"""

from __future__ import annotations

import contextlib
import os
import resource

from unitd.manager.stats import Reading

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ProcReader:
    """Readings of processes by pid. Call `keep_only` now and then: it closes what is not needed any more."""

    def __init__(self) -> None:
        self._stat: dict[int, int] = {}
        self._io: dict[int, int] = {}
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._room = soft // 2
        # Linux 6.2 and later say how many descriptors there are in the size of the directory
        self._fd_size = os.stat("/proc/self/fd").st_size > 0

    def read(self, pid: int, details: bool = True) -> Reading | None:
        """None when the process is gone, or a zombie. `details`: IO and descriptors too."""
        data = self._pread(self._stat, pid, "stat")
        if not data:
            self.forget(pid)
            return None
        end = data.rfind(b")")
        fields = data[end + 2 :].split(b" ", 22)
        if len(fields) < 23 or fields[0] in (b"Z", b"X"):
            return None
        fds, read, written = self._details(pid) if details else (None, None, None)
        return Reading(
            pid,
            int(fields[1]),
            data[data.find(b"(") + 1 : end].decode("utf-8", "replace"),
            int(fields[3]),
            (int(fields[11]) + int(fields[12])) / _TICK,
            int(fields[17]),
            int(fields[21]) * _PAGE,
            int(fields[19]),
            fds,
            read,
            written,
        )

    def _details(self, pid: int) -> tuple[int | None, int | None, int | None]:
        fds = -1
        with contextlib.suppress(OSError):
            fds = os.stat(f"/proc/{pid}/fd").st_size if self._fd_size else len(os.listdir(f"/proc/{pid}/fd"))
        io = self._pread(self._io, pid, "io")
        read = written = -1
        if io:
            lines = io.split(b"\n")
            if len(lines) > 5:
                read, written = int(lines[4][12:]), int(lines[5][13:])
        return fds, read, written

    def _pread(self, kept: dict[int, int], pid: int, name: str) -> bytes:
        fd = kept.get(pid)
        try:
            if fd is not None:
                return os.pread(fd, 1024, 0)
            fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            data = os.pread(fd, 1024, 0)
        except OSError:
            data = b""
        if data and len(self._stat) + len(self._io) < self._room:
            kept[pid] = fd
        else:
            os.close(fd)
        return data

    def forget(self, pid: int) -> None:
        """Close what is kept of a process."""
        for kept in (self._stat, self._io):
            fd = kept.pop(pid, None)
            if fd is not None:
                os.close(fd)

    def keep_only(self, pids: set[int]) -> None:
        """Forget all processes but these."""
        for pid in (self._stat.keys() | self._io.keys()) - pids:
            self.forget(pid)


class GroupReader:
    """Members and CPU time of cgroup2 directories, with descriptors that stay open."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, int]] = {}

    def pids(self, path: str) -> list[int] | None:
        """Processes in the group itself; None when it is gone. Groups below: see `nested`."""
        kept = self._open(path)
        if kept is None:
            return None
        try:
            return [int(word) for word in _whole(kept[0]).split()]
        except OSError:
            self.forget(path)
            return None

    def seconds(self, path: str) -> float | None:
        """CPU seconds of the group and all below, by those that are gone too; None where the kernel does not say."""
        kept = self._open(path)
        if kept is None or kept[1] < 0:
            return None
        try:
            words = os.pread(kept[1], 64, 0).split(None, 2)
        except OSError:
            self.forget(path)
            return None
        return int(words[1]) / 1e6 if len(words) > 1 and words[0] == b"usage_usec" else None

    def _open(self, path: str) -> tuple[int, int] | None:
        kept = self._kept.get(path)
        if kept is None:
            try:
                procs = os.open(f"{path}/cgroup.procs", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return None
            try:
                cpu = os.open(f"{path}/cpu.stat", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                cpu = -1
            kept = self._kept[path] = (procs, cpu)
        return kept

    @staticmethod
    def nested(path: str) -> bool:
        """Has the group groups below it? Then its processes have to be looked for one by one."""
        try:
            return os.stat(path).st_nlink > 2
        except OSError:
            return False

    def forget(self, path: str) -> None:
        """Close what is kept of a group."""
        for fd in self._kept.pop(path, ()):
            if fd >= 0:
                os.close(fd)

    def keep_only(self, paths: set[str]) -> None:
        """Forget all groups but these."""
        for path in self._kept.keys() - paths:
            self.forget(path)


def _whole(fd: int) -> bytes:
    data = os.pread(fd, 4096, 0)
    if len(data) < 3000:
        return data
    # cgroup.procs is made anew at each read from the start; go on to the end
    parts = [data]
    at = len(data)
    while data:
        data = os.pread(fd, 65536, at)
        at += len(data)
        parts.append(data)
    return b"".join(parts)

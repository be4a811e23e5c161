"""Which process belongs to which unit, and whether any is left: tokens, pidfds, cgroups or /proc."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections import defaultdict
from collections.abc import Callable, Sequence

from unitd.manager import proctree
from unitd.manager.cgroup import CgroupTree
from unitd.manager.states import Record

#: So long the warden may take to report the end of a process that it has inherited.
REPORT = 2.0


class Processes:
    """Bookkeeping of the manager about the warden's children. `on_empty(unit)` is called for a watched unit with nothing left."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        cgroups: CgroupTree | None,
        warden_pid: int,
        record: Callable[[str], Record],
        on_empty: Callable[[str], None],
        on_alien_exit: Callable[[str, int], None],
    ) -> None:
        self.loop, self.cgroups, self.warden_pid = loop, cgroups, warden_pid
        self.record, self.on_empty, self.on_alien_exit = record, on_empty, on_alien_exit
        self.owner: dict[str, str] = {}  # token -> unit
        self.pids: dict[int, str] = {}  # pid -> token
        self.pidfds: dict[int, int] = {}
        self.sessions: dict[str, set[int]] = defaultdict(set)  # unit -> pids that were session leaders
        self.aliens: dict[int, str] = {}  # pid -> unit: main processes we did not spawn as such
        self.alien_fds: dict[int, int] = {}
        self.watched: set[str] = set()
        self._check_pending: set[str] = set()
        self._events: dict[int, str] = {}
        self._events_of: dict[str, int] = {}
        self._poll = select.epoll()
        loop.add_reader(self._poll.fileno(), self._cgroup_events)

    # -- tokens

    def begin(self, unit: str, token: str) -> None:
        """A process of `unit` is asked for."""
        self.owner[token] = unit

    def spawned(self, token: str, pid: int, pidfd: int) -> str | None:
        """It exists now; the unit, or None for a token nobody asked for."""
        unit = self.owner.get(token) if pid > 0 else self.owner.pop(token, None)
        if pid > 0:
            self.pids[pid] = token
            if pidfd >= 0:
                self.pidfds[pid] = pidfd
            if unit:
                self.sessions[unit].add(pid)
        return unit

    def coming(self) -> int:
        """How many processes are asked for and not there yet; each comes with a pidfd."""
        return max(0, len(self.owner) - len(self.pids))

    def pid_of(self, token: str) -> int:
        """The process behind a token; 0 if there is none."""
        return next((pid for pid, t in reversed(self.pids.items()) if t == token), 0)

    def exited(self, pid: int, token: str) -> tuple[str | None, str]:
        """(unit, token) that a dead process belonged to; orphans belong to the unit whose main process they were, or to none."""
        fd = self.pidfds.pop(pid, -1)
        if fd >= 0:
            os.close(fd)
        self.pids.pop(pid, None)
        unit = self.owner.pop(token, None) if token else None
        if pid in self.aliens:
            unit = self.aliens.pop(pid)
            token = f"pid:{pid}"
            alien = self.alien_fds.pop(pid, -1)
            if alien >= 0:
                self.loop.remove_reader(alien)
                os.close(alien)
        for name in list(self.watched):
            if unit is None or name == unit:
                self._schedule(name)
        return unit, token

    def adopt(self, unit: str, pid: int) -> None:
        """`pid` is the unit's main process from now on, though it was not spawned as such."""
        if pid in self.pids or pid in self.aliens:
            self.aliens.setdefault(pid, unit)
            return
        self.aliens[pid] = unit
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            self.loop.call_soon(self._alien_gone, pid, 0)
            return
        self.alien_fds[pid] = fd
        parent = self._parent(pid)
        if parent != self.warden_pid:  # nobody else would tell us
            self.loop.add_reader(fd, self._alien_gone, pid, parent)

    def in_care(self, pid: int) -> None:
        """The warden looks after this main process that is nobody's child of ours, and will report its end."""
        fd = self.alien_fds.get(pid, -1)
        if fd >= 0:
            self.loop.remove_reader(fd)

    def _alien_gone(self, pid: int, parent: int) -> None:
        """It ended; `parent` was its parent when it was adopted. If that died first, the warden reaps it, or has reaped it, and reports how it ended."""
        fd = self.alien_fds.get(pid, -1)
        if fd >= 0:
            self.loop.remove_reader(fd)
        if self._parent(pid) == self.warden_pid:
            return
        if parent > 1 and not os.path.exists(f"/proc/{parent}"):
            self.loop.call_later(REPORT, self._alien_unknown, pid)
        else:
            self._alien_unknown(pid)

    def _alien_unknown(self, pid: int) -> None:
        """Nobody says how it ended."""
        unit = self.aliens.get(pid)
        if unit is not None:
            self.exited(pid, "")
            self.on_alien_exit(unit, pid)

    @staticmethod
    def _parent(pid: int) -> int:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                return int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return 0

    def ours(self, pid: int) -> bool:
        """Is `pid` below the warden?"""
        while pid > 1:
            pid = self._parent(pid)
            if pid == self.warden_pid:
                return True
        return False

    # -- groups

    def place(self, unit: str, slices: Sequence[str]) -> str:
        """Make the unit's cgroup directory for its next process, below its slices; empty without cgroup2. Where something of it runs, it stays."""
        if not self.cgroups:
            return ""
        record = self.record(unit)
        if record.cgroup and self.cgroups.populated(record.cgroup):
            return record.cgroup
        record.cgroup = self.cgroups.make(unit, slices)
        return record.cgroup

    def _group(self, unit: str) -> str:
        """The unit's cgroup directory, made if need be."""
        assert self.cgroups is not None
        record = self.record(unit)
        if not record.cgroup:
            record.cgroup = self.cgroups.make(unit)
        return record.cgroup

    def members(self, unit: str, record: Record) -> set[int]:
        """Every live process of the unit."""
        if self.cgroups:
            return set(self.cgroups.pids(self._group(unit)))
        roots = {p for p in (record.main_pid, record.control_pid) if p > 1}
        return proctree.unit_pids(record.invocation, roots, set(self.sessions[unit]), {os.getpid(), self.warden_pid, 1})

    def unit_of(self, pid: int) -> str | None:
        """The unit a live process belongs to, by the tokens, its cgroup, or its ancestors."""
        seen = pid
        while seen > 1 and seen != self.warden_pid:
            token = self.pids.get(seen)
            if token is not None:
                return self.owner.get(token)
            if seen in self.aliens:
                return self.aliens[seen]
            seen = self._parent(seen)
        if self.cgroups:
            return self.cgroups.unit_of(pid)
        return next((unit for unit, leaders in self.sessions.items() if self._session(pid) in leaders), None)

    @staticmethod
    def _session(pid: int) -> int:
        try:
            return os.getsid(pid)
        except OSError:
            return 0

    def send(self, pid: int, number: int) -> None:
        """Signal one process, by pidfd where we hold one."""
        fd = self.pidfds.get(pid, self.alien_fds.get(pid, -1))
        try:
            if fd >= 0:
                signal.pidfd_send_signal(fd, number)
            else:
                os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def kill_group(self, unit: str) -> bool:
        """SIGKILL everything in the unit's cgroup; False where there is no cgroup2."""
        if not self.cgroups:
            return False
        self.cgroups.kill(self._group(unit))
        return True

    # -- emptiness

    def watch_empty(self, unit: str) -> None:
        """Report when nothing of the unit is left, at once if so."""
        self.watched.add(unit)
        if self.cgroups and unit not in self._events_of:
            fd = self.cgroups.events_fd(self._group(unit))
            if fd >= 0:
                self._events[fd], self._events_of[unit] = unit, fd
                os.pread(fd, 4096, 0)
                self._poll.register(fd, select.EPOLLPRI)
        self._schedule(unit)

    def _schedule(self, unit: str) -> None:
        if unit not in self._check_pending:
            self._check_pending.add(unit)
            self.loop.call_soon(self._check, unit)

    def _cgroup_events(self) -> None:
        for fd, _ in self._poll.poll(0):
            os.pread(fd, 4096, 0)
            if fd in self._events:
                self._schedule(self._events[fd])

    def _check(self, unit: str) -> None:
        self._check_pending.discard(unit)
        if unit not in self.watched:
            return
        record = self.record(unit)
        if record.control_token or (record.main_token and record.sub not in ("running", "start")):
            return  # their own exit comes first and checks again
        left = self.members(unit, record)
        if not left:
            self.unwatch(unit)
            self.on_empty(unit)
        elif record.sub in ("stop-sigkill", "final-sigkill") and not self.cgroups:
            for pid in left:  # forked between the listing and the signal
                self.send(pid, signal.SIGKILL)

    def unwatch(self, unit: str) -> None:
        """Stop looking."""
        self.watched.discard(unit)
        fd = self._events_of.pop(unit, -1)
        if fd >= 0:
            del self._events[fd]
            self._poll.unregister(fd)
            os.close(fd)

    def unit_down(self, unit: str) -> None:
        """Forget the unit's processes and remove its cgroup."""
        self.unwatch(unit)
        self.sessions.pop(unit, None)
        if self.cgroups:
            self.cgroups.remove(self.record(unit).cgroup or self.cgroups.path(unit))

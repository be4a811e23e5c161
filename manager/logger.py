"""The logger process: moves services' output from pipes into files, one process for all of them.

    python -I -S logger.py --package-dir DIR

Standard library only, and of that little, so that a new one is there at once. Commands come as marshal packets with descriptors over the
SEQPACKET socket whose number is in UNITD_LOGGER_FD; `loglink` is the other side. `logfile` has the files, `rolling` decides, `backstage` has
what must not be waited for.
"""

from __future__ import annotations

import marshal
import os
import resource
import select
import sys
import time

if __name__ == "__main__" and "--package-dir" in sys.argv[1:-1]:
    sys.path.insert(0, sys.argv[sys.argv.index("--package-dir") + 1])

import _signal  # type: ignore[import-not-found]  # signal and socket without their enums, half of this program's start
import _socket

from unitd.manager import rolling, stderr
from unitd.manager.answers import Answers
from unitd.manager.backstage import Backstage
from unitd.manager.logfile import Busy, UnitLog
from unitd.manager.logpipe import capacity, grow, pending_bytes
from unitd.manager.rights import MOST, receive
from unitd.manager.rolling import Limits, Meter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from unitd.manager.tee import Peek

TURN = 1 << 20  # bytes of one pipe before the next one has its turn
REPORT_EVERY = 0.05
NICE = 5  # behind the services and the manager, but not starved by a busy machine
LOCK_EVERY = 0.02
_SIGNALS = (15, 2, 1)  # TERM, INT, HUP
_PACKET = 1 << 19
_GARBAGE = (ValueError, KeyError, TypeError, EOFError, AttributeError)


class Logger:
    """The loop: one epoll, woken by output, by commands and by what they have made due."""

    def __init__(self, sock: _socket.socket, backstage: Backstage, max_open: int = 1000) -> None:
        """At most about `max_open` units have their files open at a time."""
        self.sock, self.backstage, self.max_open = sock, backstage, max_open
        self.units: dict[str, UnitLog] = {}
        self.pipes: dict[int, UnitLog] = {}
        self.opened: dict[str, UnitLog] = {}  # least recently written first
        self.timed: dict[str, UnitLog] = {}  # with a rate limit, or files that get too old
        self.dirty: set[str] = set()
        self.waiting: list[UnitLog] = []  # for another logger to end
        self.flushes: list[int] = []
        self.next_report = 0.0
        self.sync_every = self.next_sync = 0.0
        self.sync_rotated = True
        self.leaving = False
        self.peek: Peek | None = None
        self.child_fd = -1
        self.epoll = select.epoll()
        sock.setblocking(False)
        self.epoll.register(sock.fileno(), select.EPOLLIN)
        self.answers = Answers(sock, self.epoll)

    def run(self) -> int:
        """Until asked to leave, or until the manager is gone: its successor brings a new logger, and the pipes keep the bytes."""
        while not self.leaving:
            events = self.epoll.poll(self._timeout())
            pause = max((self._pause(fd) for fd, _ in events if fd in self.pipes), default=0.0)
            if pause:
                time.sleep(pause)
                events = self.epoll.poll(0)
            commands = dict(events).get(self.sock.fileno())
            if commands is not None:
                # First: they tell whose output comes. They may close a pipe whose number a new one gets: its events would be old ones.
                self._socket(commands)
                events = self.epoll.poll(0)
            for fd, event in events:
                if fd in self.pipes:
                    self._pipe(fd, event)
                elif fd == self.child_fd:
                    self._watch_child(ended=True)
            self._timers()
            self._report(False)
            self.answers.send()
        self.backstage.leave()
        return 0

    # -- time

    def _timeout(self) -> float:
        at = []
        now = time.monotonic()
        if self.dirty and not self.answers.waiting:
            at.append(self.next_report - now)
        if self.waiting:
            at.append(LOCK_EVERY)
        if self.sync_every and any(u.unsynced for u in self.opened.values()):
            at.append(self.next_sync - now)
        for unit in self.timed.values():
            end, age = unit.meter.ends() if unit.meter is not None else 0.0, unit.age()
            at += [end - now] if end else []
            at += [age / 1e6 - time.time()] if age else []
        return max(0.0, min(at)) if at else -1

    def _timers(self) -> None:
        if self.waiting:
            self._retry_waiting()
        now = time.monotonic()
        for unit in self.timed.values():
            if unit.meter is not None and 0 < unit.meter.ends() <= now and unit.fd >= 0:
                unit.tell_suppressed(unit.meter)
                self.dirty.add(unit.name)
            if 0 < unit.age() <= time.time_ns() // 1000:
                unit.rotate_if_due()
        if self.sync_every and now >= self.next_sync:
            self.next_sync = now + self.sync_every
            for unit in self.opened.values():
                if unit.unsynced and unit.fd >= 0:
                    unit.unsynced = False
                    for fd in (unit.fd, unit.idx):
                        self.backstage.sync(os.dup(fd))
        self._watch_child()

    def _watch_child(self, ended: bool = False) -> None:
        """Follow the compressor's pidfd."""
        if ended:
            self.epoll.unregister(self.child_fd)
            self.child_fd = -1
            self.backstage.ended()
        if self.child_fd < 0 <= self.backstage.pidfd:
            self.child_fd = self.backstage.pidfd
            self.epoll.register(self.child_fd, select.EPOLLIN)

    # -- pipes

    def _pause(self, fd: int) -> float:
        unit = self.pipes[fd]
        return rolling.pause(pending_bytes(fd), unit.capacity.get(fd, 65536), unit.last.get(fd, 0))

    def _pipe(self, fd: int, event: int) -> None:
        unit = self.pipes[fd]
        ends = event & (select.EPOLLHUP | select.EPOLLERR)
        if not ends or pending_bytes(fd):  # who never wrote needs no file
            self._drain(unit, fd, TURN)
        if ends and unit not in self.waiting and not pending_bytes(fd):
            self._drop_pipe(unit, fd)
            if not unit.pipes:
                self._forget(unit)

    def _drain(self, unit: UnitLog, fd: int, limit: int) -> int:
        """One turn of a pipe; 0 also while another logger has the files."""
        if unit in self.waiting:
            return 0
        try:
            count = unit.drain(fd, limit, self.peek)
        except Busy:
            self.waiting.append(unit)
            for other in unit.pipes:
                self.epoll.unregister(other)
            return 0
        if count:
            self.dirty.add(unit.name)
            if count * 2 >= unit.capacity[fd]:
                unit.capacity[fd] = grow(fd, unit.capacity[fd])
        self._used(unit)
        return count

    def _used(self, unit: UnitLog) -> None:
        self.opened.pop(unit.name, None)
        if unit.fd >= 0:
            self.opened[unit.name] = unit
            if len(self.opened) > self.max_open:
                oldest = next(iter(self.opened))
                self.opened.pop(oldest).close()

    def _drop_pipe(self, unit: UnitLog, fd: int) -> None:
        if unit not in self.waiting:
            self.epoll.unregister(fd)
        for table in (unit.pipes, unit.capacity, unit.last, self.pipes):
            table.pop(fd, None)
        os.close(fd)

    def _empty(self, unit: UnitLog) -> None:
        """Drain what is in the unit's pipes at this moment."""
        for fd in list(unit.pipes):
            self._take(unit, fd, pending_bytes(fd))

    def _take(self, unit: UnitLog, fd: int, count: int) -> int:
        """Drain `count` bytes of a pipe that has them; how many could be."""
        left = count
        while left > 0 and (got := self._drain(unit, fd, left)):
            left -= got
        return count - left

    def _begin(self, unit: UnitLog, at: int, identity: str, left: int) -> None:
        """Another invocation since `at` (µs), when `left` bytes of the one before were in the pipes: those are written first."""
        missing = left - unit.since(at)
        if left and missing >= 0:
            for fd in list(unit.pipes):
                missing -= self._take(unit, fd, min(missing, pending_bytes(fd)))
            at = max(at, time.time_ns() // 1000, unit.last_key + 1)
        unit.begin = at, identity
        if missing < 0:
            unit.write_invocation()  # it has printed already

    def _forget(self, unit: UnitLog) -> None:
        self._empty(unit)
        for fd in list(unit.pipes):
            self._drop_pipe(unit, fd)
        self._report(True)
        unit.close()
        self.units.pop(unit.name, None)
        self.opened.pop(unit.name, None)
        self.timed.pop(unit.name, None)
        self.dirty.discard(unit.name)
        if unit in self.waiting:
            self.waiting.remove(unit)
        self.answers.tell({"closed": unit.name})

    # -- commands

    def _socket(self, event: int) -> None:
        while event & ~select.EPOLLOUT:
            try:
                data, fds = receive(self.sock, _PACKET, MOST)
            except BlockingIOError:
                return
            except OSError:
                data, fds = b"", []
            if not data:
                self.leaving = True
                return
            self._commands(data, fds)

    def _commands(self, packet: bytes, fds: list[int]) -> None:
        """Each command of a packet with its descriptors; one that makes no sense is told of and left out. What none of them keeps is closed."""
        commands: list[tuple[Any, int]] = []
        try:
            commands = [(command, int(count)) for command, count in marshal.loads(packet)]
        except _GARBAGE as error:
            stderr.write(f"unitd: logger: cannot read commands: {error!r}\n".encode())
        for command, count in commands:
            own, fds = fds[:count], fds[count:]
            try:
                self._command(command, own)
            except _GARBAGE as error:
                stderr.write(f"unitd: logger: cannot read a command: {error!r}\n".encode())
            self._close_unused(own)  # now: the next command may close what this one keeps
        self._close_unused(fds)

    def _close_unused(self, fds: list[int]) -> None:
        for fd in fds:
            if fd not in self.pipes:
                os.close(fd)

    def _command(self, command: dict[str, Any], fds: list[int]) -> None:
        op = command["op"]
        if op == "open":
            self._open(command, fds)
        elif op == "close":
            if command["unit"] in self.units:
                self._forget(self.units[command["unit"]])
        elif op == "begin":
            unit = self.units.get(command["unit"])
            if unit is not None:
                self._begin(unit, int(command["at"]), str(command["id"]), int(command.get("left", 0)))
        elif op == "note":
            unit = self.units.get(command["unit"])
            if unit is not None:
                self._empty(unit)
                if unit not in self.waiting and unit.note(command["text"]):
                    self.dirty.add(unit.name)
                    self._used(unit)
        elif op == "rotate":
            self._rotate(command["unit"], command["dir"])
        elif op == "sync":
            self.sync_every, self.sync_rotated = float(command["every"]), bool(command["rotated"])
        elif op == "flush":
            self.flushes.append(command["seq"])
            self._flush()
        elif op == "exit":
            self.leaving = True

    def _open(self, command: dict[str, Any], fds: list[int]) -> None:
        name, directory = command["unit"], command["dir"]
        unit = self.units.get(name)
        if unit is not None and unit.directory != directory:
            self._forget(unit)
            unit = None
        if unit is None:
            unit = self.units[name] = UnitLog(name, os.fsdecode(directory), self.backstage, self.sync_rotated)
        limits = Limits(**command.get("limits", {}))
        limits.max_files = max(1, limits.max_files)
        if limits.rate_interval and limits.rate_burst:
            if unit.meter is None or (unit.meter.interval, unit.meter.burst) != (limits.rate_interval, limits.rate_burst):
                unit.meter = Meter(limits.rate_interval, limits.rate_burst)
            if self.peek is None:
                from unitd.manager.tee import Peek

                self.peek = Peek()
        else:
            unit.meter = None
        unit.limits = limits
        if unit.meter is not None or limits.max_age:
            self.timed[name] = unit
        else:
            self.timed.pop(name, None)
        unit.mode, unit.gid = int(command.get("mode") or 0o640), int(command.get("gid", -1))
        unit.identifier = str(command.get("identifier", ""))
        if fds:
            self._empty(unit)
            for fd in list(unit.pipes):
                self._drop_pipe(unit, fd)
        if command.get("begin"):
            unit.begin = int(command["begin"][0]), str(command["begin"][1])
        for stream, fd in enumerate(fds[:2]):
            os.set_blocking(fd, False)
            unit.pipes[fd], self.pipes[fd] = stream, unit
            unit.capacity[fd] = capacity(fd)
            if unit not in self.waiting:
                self.epoll.register(fd, select.EPOLLIN)

    def _rotate(self, name: str, directory: str) -> None:
        """By hand. A unit that has not written yet may have a file of an earlier life."""
        unit = self.units.get(name) or UnitLog(name, directory, self.backstage, self.sync_rotated)
        self._empty(unit)
        try:
            if unit not in self.waiting and os.path.exists(unit.path("current")) and unit.ready() and unit.size:
                unit.rotate()
        except Busy:
            pass
        if name in self.units:
            self._used(unit)
        else:
            unit.close()

    def _retry_waiting(self) -> None:
        for unit in list(self.waiting):
            try:
                unit.ready()
            except Busy:
                continue
            self.waiting.remove(unit)
            for fd in unit.pipes:
                self.epoll.register(fd, select.EPOLLIN)
        self._flush()

    def _flush(self) -> None:
        if not self.flushes:
            return
        for unit in list(self.units.values()):
            self._empty(unit)
        if not self.waiting:
            self._report(True)
            for seq in self.flushes:
                self.answers.tell({"flushed": seq})
            self.flushes.clear()

    # -- answers

    def _report(self, at_once: bool) -> None:
        now = time.monotonic()
        if not self.dirty or (not at_once and (now < self.next_report or self.answers.waiting)):
            return
        self.next_report = now + REPORT_EVERY
        names, self.dirty = sorted(self.dirty), set()
        for at in range(0, len(names), 200):
            units = [self.units[n] for n in names[at : at + 200] if n in self.units]
            self.answers.tell({"wrote": {u.name: u.size for u in units}})
            lost = {u.name: u.lost for u in units if u.lost}
            if lost:
                self.answers.tell({"lost": lost, "why": {n: self.units[n].why for n in lost}})
                for name in lost:
                    self.units[name].lost = 0


def main() -> int:
    """Run until the manager is gone. It is told to leave, not signalled: a signal to the whole group is meant for the services."""
    for number in _SIGNALS:
        _signal.signal(number, _signal.SIG_IGN)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if os.getpriority(os.PRIO_PROCESS, 0) < NICE:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    try:
        with open("/proc/self/comm", "wb", buffering=0) as file:
            file.write(b"unitd: logger")
    except OSError:
        pass
    fd = int(os.environ.pop("UNITD_LOGGER_FD"))
    os.set_inheritable(fd, False)
    return Logger(_socket.socket(fileno=fd), Backstage(), max(16, min(hard, 1 << 20) // 8)).run()


if __name__ == "__main__":
    sys.exit(main())

"""The logger process: moves services' output from pipes into files, keeps an index of time and stream, and rotates.

Runs as a script without the package (standard library only). Commands come as JSON packets with descriptors over the SEQPACKET
socket whose number is in UNITD_LOGGER_FD; `loglink` is the other side. The file is LOG/UNIT/current; LOG/UNIT/current.idx holds
records (realtime in µs, offset, stream). "Announce, then move": a record is written before the bytes are spliced, so that a killed
logger loses nothing and leaves no byte without its stream. Its length is the next record's offset, or the file's size.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import select
import signal
import socket
import stat
import struct
import sys
import termios
import time
from array import array
from collections import deque
from typing import Any

RECORD = struct.Struct("<QQQ")
OUT, ERR, MANAGER = 0, 1, 2
TURN = 1 << 20  # bytes of one pipe before the next one has its turn
COALESCE = 0.002
REPORT_EVERY = 0.1
RETRY_OPEN = 1.0
LOCK_EVERY, LOCK_PATIENCE = 0.02, 5.0


def rotated(directory: str) -> list[int]:
    """Start times (µs) of the rotated files in `directory`, oldest first."""
    found = []
    for name in os.listdir(directory):
        if name.startswith("@") and name.endswith(".log") and name[1:-4].isdigit():
            found.append(int(name[1:-4]))
    return sorted(found)


def recover_index(fd: int, size: int) -> int:
    """Cut an index to whole records that have data in a file of `size` bytes; where the next record goes."""
    end = os.fstat(fd).st_size
    end -= end % RECORD.size
    while end and RECORD.unpack(os.pread(fd, RECORD.size, end - RECORD.size))[1] >= size:
        end -= RECORD.size
    os.ftruncate(fd, end)
    return end


class Busy(Exception):
    """Another logger still has the directory."""


class UnitLog:
    """The files of one unit. No method but `open` raises: what cannot be written is taken from the pipe, counted and dropped."""

    def __init__(self, name: str, directory: str) -> None:
        self.name, self.directory = name, directory
        self.max_size, self.max_files, self.mode = 16 << 20, 5, 0o640
        self.pipes: dict[int, int] = {}  # fd -> stream
        self.lock = self.fd = self.idx = -1
        self.inode = self.size = self.idx_at = 0
        self.lost = self.gap = 0  # bytes: not yet reported; not yet noted in the file
        self.why = ""
        self.retry_at = 0.0
        self.busy_until = 0.0

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    # -- files

    def open(self, patient: bool = True) -> None:
        """Open or make the files, repairing what a killed logger left. Raises OSError; Busy if `patient` and another logger is there."""
        if self.lock < 0:
            os.makedirs(self.directory, 0o755, exist_ok=True)
            self.lock = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if patient:
                    self.close()
                    raise Busy from None
            except OSError:
                pass  # a file system without locks
        try:
            self._finish_rotation()
            flags = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self.fd = os.open(self.path("current"), flags | os.O_WRONLY, self.mode)
            found = os.fstat(self.fd)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", self.path("current"))
            self.idx = os.open(self.path("current.idx"), flags | os.O_RDWR, self.mode)
            self.inode, self.size = found.st_ino, found.st_size
            self.idx_at = recover_index(self.idx, self.size)
        except OSError:
            self.close()
            raise

    def _finish_rotation(self) -> None:
        """A logger killed between the two renames has moved the index only."""
        if not os.path.exists(self.path("current.idx")):
            for name in os.listdir(self.directory):
                if name.startswith("@") and name.endswith(".idx") and not os.path.exists(self.path(name[:-4] + ".log")):
                    if os.path.exists(self.path("current")):
                        os.rename(self.path("current"), self.path(name[:-4] + ".log"))

    def close(self) -> None:
        """Close the files, not the pipes."""
        for fd in (self.fd, self.idx, self.lock):
            if fd >= 0:
                os.close(fd)
        self.fd = self.idx = self.lock = -1

    def ready(self) -> bool:
        """Make sure that `current` is open and still is what readers find under that name."""
        try:
            if self.fd >= 0:
                try:
                    found = os.stat(self.path("current"), follow_symlinks=False)
                    same = found.st_ino == self.inode
                except FileNotFoundError:
                    same = False
                if same and found.st_size >= self.size and os.fstat(self.idx).st_nlink:
                    return True
                self.close()  # removed, replaced or cut by somebody else
            now = time.monotonic()
            if now < self.retry_at:
                return False
            self.retry_at = now + RETRY_OPEN
            self.open(patient=False)
            self.retry_at = 0.0
            return True
        except OSError as error:
            self.why = error.strerror or str(error)
            return False

    def rotate(self) -> None:
        """Give `current` its own name and begin anew; remove the oldest files."""
        try:
            first = os.pread(self.idx, RECORD.size, 0)
            begun = RECORD.unpack(first)[0] if len(first) == RECORD.size else time.time_ns() // 1000
            begun = max([begun, *(t + 1 for t in rotated(self.directory)[-1:])])
            # Index first: if we are killed in between, `open` knows what to do.
            try:
                os.rename(self.path("current.idx"), self.path(f"@{begun}.idx"))
            except FileNotFoundError:
                pass
            os.rename(self.path("current"), self.path(f"@{begun}.log"))
            for fd in (self.fd, self.idx):
                os.close(fd)
            self.fd = self.idx = -1
            for old in rotated(self.directory)[: -(self.max_files - 1) or None]:
                for suffix in ("log", "idx"):
                    try:
                        os.unlink(self.path(f"@{old}.{suffix}"))
                    except FileNotFoundError:
                        pass
        except OSError as error:
            self.why = error.strerror or str(error)
        self.ready()

    # -- bytes

    def announce(self, stream: int) -> None:
        """Say what comes next; if nothing comes, the next announcement takes its place."""
        try:
            os.pwrite(self.idx, RECORD.pack(time.time_ns() // 1000, self.size, stream), self.idx_at)
        except OSError:
            pass  # the bytes are worth more than their time

    def moved(self, size: int) -> None:
        if size:
            self.size += size
            self.idx_at += RECORD.size

    def note(self, text: str) -> bool:
        """Append a line of the manager's own."""
        line = text.replace("\n", " ").encode("utf-8", "replace") + b"\n"
        if not self.ready():
            return False
        self.announce(MANAGER)
        try:
            if os.pwrite(self.fd, line, self.size) == len(line):
                self.moved(len(line))
                return True
            os.ftruncate(self.fd, self.size)
        except OSError as error:
            self.why = error.strerror or str(error)
        return False

    def drain(self, pipe: int, limit: int) -> int:
        """Move up to about `limit` bytes that are in the pipe now; how many were taken out of it."""
        if self.busy_until:
            return 0
        if not self.ready():
            return self.discard(pipe, limit)
        if self.gap:
            if not self.note(f"unitd: {self.gap} bytes of output were lost here: {self.why}"):
                return self.discard(pipe, limit)
            self.gap = 0
        if self.max_size:
            limit = min(limit, max(4096, self.max_size))
        self.announce(self.pipes[pipe])
        total, failed = 0, False
        while total < limit:
            try:
                count = self._splice(pipe, limit - total, self.size + total)
            except BlockingIOError:
                break
            except OSError as error:
                self.why, failed = error.strerror or str(error), True
                break
            if count == 0:
                break
            total += count
        self.moved(total)
        if failed:
            return total + self.discard(pipe, limit)
        if self.max_size and self.size >= self.max_size:
            self.rotate()
        return total

    def _splice(self, pipe: int, count: int, offset: int) -> int:
        try:
            return os.splice(pipe, self.fd, count, offset_dst=offset, flags=os.SPLICE_F_NONBLOCK)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        # This file system has no splice.
        data = os.read(pipe, min(count, 65536))
        return os.pwrite(self.fd, data, offset) if data else 0

    def discard(self, pipe: int, limit: int) -> int:
        """Take bytes out of the pipe that cannot be kept, so that the service goes on."""
        total = 0
        while total < limit:
            try:
                data = os.read(pipe, 65536)
            except OSError:
                break
            if not data:
                break
            total += len(data)
        self.lost += total
        self.gap += total
        return total


def pending_bytes(pipe: int) -> int:
    """How much is in a pipe."""
    count = array("i", [0])
    try:
        fcntl.ioctl(pipe, termios.FIONREAD, count)
    except OSError:
        return 0
    return count[0]


class Logger:
    """The loop: one epoll, woken by output and by commands only."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.units: dict[str, UnitLog] = {}
        self.pipes: dict[int, UnitLog] = {}
        self.out: deque[bytes] = deque()
        self.dirty: set[str] = set()
        self.waiting: list[UnitLog] = []  # for another logger to end
        self.flushes: list[int] = []
        self.next_report = 0.0
        self.leaving = False
        self.epoll = select.epoll()
        sock.setblocking(False)
        self.sock_events = select.EPOLLIN
        self.epoll.register(sock.fileno(), self.sock_events)

    def run(self) -> int:
        """Until asked to leave, or until the manager is gone: its successor brings a new logger, and the pipes keep the bytes."""
        while not self.leaving:
            events = self.epoll.poll(self._timeout())
            if any(fd in self.pipes for fd, _ in events):
                time.sleep(COALESCE)  # a writer of single lines would wake us for each of them
                events = self.epoll.poll(0)
            # Commands last: they may close a pipe whose number a new one gets, and its events would be old ones.
            for fd, event in sorted(events, key=lambda e: e[0] == self.sock.fileno()):
                if fd == self.sock.fileno():
                    self._socket(event)
                elif fd in self.pipes:
                    self._pipe(fd, event)
            if self.waiting:
                self._retry_waiting()
            self._report(False)
            self._send()
        return 0

    def _timeout(self) -> float:
        at = []
        if self.dirty and not self.out:
            at.append(self.next_report - time.monotonic())
        if self.waiting:
            at.append(LOCK_EVERY)
        return max(0.0, min(at)) if at else -1

    # -- pipes

    def _pipe(self, fd: int, event: int) -> None:
        unit = self.pipes[fd]
        if unit.drain(fd, TURN):
            self.dirty.add(unit.name)
        if event & (select.EPOLLHUP | select.EPOLLERR) and not pending_bytes(fd):
            self._drop_pipe(unit, fd)
            if not unit.pipes:
                self._forget(unit)

    def _drop_pipe(self, unit: UnitLog, fd: int) -> None:
        if not unit.busy_until:
            self.epoll.unregister(fd)
        del unit.pipes[fd], self.pipes[fd]
        os.close(fd)

    def _empty(self, unit: UnitLog) -> None:
        """Drain what is in the unit's pipes at this moment."""
        for fd in list(unit.pipes):
            left = pending_bytes(fd)
            while left > 0:
                count = unit.drain(fd, left)
                if count == 0:
                    break
                self.dirty.add(unit.name)
                left -= count

    def _forget(self, unit: UnitLog) -> None:
        self._empty(unit)
        for fd in list(unit.pipes):
            self._drop_pipe(unit, fd)
        self._report(True)
        unit.close()
        self.units.pop(unit.name, None)
        self.dirty.discard(unit.name)
        if unit in self.waiting:
            self.waiting.remove(unit)
        self._tell({"closed": unit.name})

    # -- commands

    def _socket(self, event: int) -> None:
        while event & ~select.EPOLLOUT:
            try:
                data, controls, _flags, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(4 * 16), socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                data, controls = b"", []
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            fds = [fd for level, kind, body in controls if (level, kind) == rights for fd in array("i", body)]
            if not data:
                self.leaving = True
                return
            try:
                self._command(json.loads(data), fds)
            except (ValueError, KeyError, TypeError) as error:
                print(f"unitd logger: cannot read a command: {error!r}", file=sys.stderr)
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
        elif op == "note":
            unit = self.units.get(command["unit"])
            if unit is not None:
                self._empty(unit)
                if not unit.busy_until and unit.note(command["text"]):
                    self.dirty.add(unit.name)
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
            unit = self.units[name] = UnitLog(name, directory)
        unit.max_size = int(command.get("max_size") or 0)
        unit.max_files = max(1, int(command.get("max_files") or 5))
        unit.mode = int(command.get("mode") or 0o640)
        if fds:
            self._empty(unit)
            for fd in list(unit.pipes):
                self._drop_pipe(unit, fd)
        for stream, fd in enumerate(fds[:2]):
            os.set_blocking(fd, False)
            unit.pipes[fd], self.pipes[fd] = stream, unit
            if not unit.busy_until:
                self.epoll.register(fd, select.EPOLLIN)
        if unit.fd < 0 and not unit.busy_until:
            try:
                unit.open()
            except Busy:
                unit.busy_until = time.monotonic() + LOCK_PATIENCE
                self.waiting.append(unit)
                for fd in unit.pipes:
                    self.epoll.unregister(fd)
            except OSError as error:
                unit.why = error.strerror or str(error)

    def _retry_waiting(self) -> None:
        for unit in list(self.waiting):
            try:
                unit.open(patient=time.monotonic() < unit.busy_until)
            except Busy:
                continue
            except OSError as error:
                unit.why = error.strerror or str(error)
            self.waiting.remove(unit)
            unit.busy_until = 0.0
            for fd in unit.pipes:
                self.epoll.register(fd, select.EPOLLIN)
        self._flush()

    def _flush(self) -> None:
        if self.flushes and not self.waiting:
            for unit in list(self.units.values()):
                self._empty(unit)
            self._report(True)
            for seq in self.flushes:
                self._tell({"flushed": seq})
            self.flushes.clear()

    # -- answers

    def _report(self, at_once: bool) -> None:
        now = time.monotonic()
        if not self.dirty or (not at_once and (now < self.next_report or self.out)):
            return
        self.next_report = now + REPORT_EVERY
        names, self.dirty = sorted(self.dirty), set()
        for at in range(0, len(names), 200):
            units = [self.units[n] for n in names[at : at + 200] if n in self.units]
            self._tell({"wrote": {u.name: u.size for u in units}})
            lost = {u.name: u.lost for u in units if u.lost}
            if lost:
                self._tell({"lost": lost, "why": {n: self.units[n].why for n in lost}})
                for name in lost:
                    self.units[name].lost = 0

    def _tell(self, message: dict[str, Any]) -> None:
        self.out.append(json.dumps(message).encode())

    def _send(self) -> None:
        while self.out:
            try:
                self.sock.send(self.out[0], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                break
            except OSError:
                self.out.clear()
                break
            self.out.popleft()
        wanted = select.EPOLLIN | (select.EPOLLOUT if self.out else 0)
        if wanted != self.sock_events:
            self.sock_events = wanted
            self.epoll.modify(self.sock.fileno(), wanted)


def main() -> int:
    """Run until the manager is gone. It is told to leave, not signalled: a signal to the whole group is meant for the services."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if os.getpriority(os.PRIO_PROCESS, 0) < 10:
        os.setpriority(os.PRIO_PROCESS, 0, 10)
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as file:
            file.write("unitd: logger")
    except OSError:
        pass
    fd = int(os.environ.pop("UNITD_LOGGER_FD"))
    os.set_inheritable(fd, False)
    return Logger(socket.socket(fileno=fd)).run()


if __name__ == "__main__":
    sys.exit(main())

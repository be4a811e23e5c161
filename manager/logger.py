"""The logger process: moves output from pipes to files by splice(2), with an index for time; rotates by size. Standard library only.

Started by the warden with a SEQPACKET socket as UNITD_LOGGER_FD. Bytes are in the pipe or in the file, never in this process: killing
it loses nothing. The index record is written before the bytes move ("announce, then move"), so a kill in between leaves a record that the
next announcement overwrites.
"""

from __future__ import annotations

import array
import json
import os
import select
import socket
import struct
import sys
import time
from typing import Any

RECORD = struct.Struct("<QQQ")  # realtime in µs, offset in the file, stream
OUT, MANAGER = 0, 2
CHUNK = 1 << 20
COALESCE = 0.002  # seconds to let a burst gather before moving it


class Log:
    """One unit's pipe and files."""

    def __init__(self, unit: str, directory: str, pipe: int, max_size: int, max_files: int) -> None:
        self.unit, self.directory, self.pipe, self.max_size, self.max_files = unit, directory, pipe, max_size, max_files
        self.file = self.index = -1
        self.size = self.records = 0
        self.lost = 0
        self.open()

    def open(self) -> None:
        """Open `current` and its index, repairing what a kill left."""
        self.close()
        try:
            os.makedirs(self.directory, mode=0o755, exist_ok=True)
            # Not O_APPEND: splice refuses it.
            self.file = os.open(f"{self.directory}/current", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
            self.index = os.open(f"{self.directory}/current.idx", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            self.size = os.fstat(self.file).st_size
            self.records = os.fstat(self.index).st_size // RECORD.size
            while self.records and RECORD.unpack(os.pread(self.index, RECORD.size, (self.records - 1) * RECORD.size))[1] >= self.size:
                self.records -= 1
        except OSError:
            self.close()

    def close(self) -> None:
        for fd in (self.file, self.index):
            if fd >= 0:
                os.close(fd)
        self.file = self.index = -1

    def moved_away(self) -> bool:
        """Was `current` deleted or replaced by somebody else?"""
        try:
            on_disk = os.stat(f"{self.directory}/current")
            return (on_disk.st_ino, on_disk.st_dev) != (os.fstat(self.file).st_ino, os.fstat(self.file).st_dev)
        except OSError:
            return True

    def announce(self, stream: int) -> None:
        os.pwrite(self.index, RECORD.pack(time.time_ns() // 1000, self.size, stream), self.records * RECORD.size)

    def drain(self) -> int:
        """Move what is in the pipe; bytes moved or lost."""
        total = 0
        if self.file < 0 or self.moved_away():
            self.open()
        while total < CHUNK:
            try:
                moved = self.move()
            except BlockingIOError:
                break
            if moved <= 0:
                break
            total += moved
        if self.file >= 0 and self.size >= self.max_size:
            self.rotate()
        return total

    def move(self) -> int:
        if self.file >= 0:
            try:
                if not select.select([self.pipe], [], [], 0)[0]:
                    return 0
                self.announce(OUT)
                moved = os.splice(self.pipe, self.file, CHUNK, offset_dst=self.size, flags=2)  # SPLICE_F_NONBLOCK
                if moved > 0:
                    self.size += moved
                    self.records += 1
                return moved
            except BlockingIOError:
                raise
            except OSError:
                pass  # a full disk, say: services go on, the loss is counted
        data = os.read(self.pipe, 65536)
        self.lost += len(data)
        return len(data)

    def write(self, text: str) -> None:
        """A line of the manager's own."""
        if self.file < 0:
            return
        try:
            data = text.encode("utf-8", "backslashreplace") + b"\n"
            self.announce(MANAGER)
            os.pwrite(self.file, data, self.size)
            self.size += len(data)
            self.records += 1
        except OSError:
            self.lost += len(text)

    def rotate(self) -> None:
        """Rename `current` to @TIME.log and begin anew; the oldest beyond the limit go."""
        stamp = f"{self.directory}/@{time.time_ns() // 1000}.log"
        try:
            os.rename(f"{self.directory}/current.idx", stamp + ".idx")
            os.rename(f"{self.directory}/current", stamp)
            old = sorted(e for e in os.listdir(self.directory) if e.startswith("@") and e.endswith(".log"))
            for entry in old[: max(0, len(old) - self.max_files + 1)]:
                os.unlink(f"{self.directory}/{entry}")
                if os.path.exists(f"{self.directory}/{entry}.idx"):
                    os.unlink(f"{self.directory}/{entry}.idx")
        except OSError:
            pass
        self.open()


class Logger:
    """The loop."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.logs: dict[str, Log] = {}
        self.pipes: dict[int, Log] = {}
        self.poll = select.epoll()
        self.poll.register(sock.fileno(), select.EPOLLIN)

    def run(self) -> None:
        """Serve until the manager's end is closed."""
        while True:
            ready = self.poll.poll()
            if any(fd != self.sock.fileno() for fd, _ in ready):
                time.sleep(COALESCE)  # a burst becomes one move instead of one per line
                ready = self.poll.poll(0)
            wrote: dict[str, int] = {}
            for fd, events in ready:
                if fd == self.sock.fileno():
                    if not self.command():
                        return
                    continue
                log = self.pipes.get(fd)
                if log is None:
                    continue
                moved = log.drain()
                if moved:
                    wrote[log.unit] = log.size
                elif events & select.EPOLLHUP:
                    self.forget(log)
            self.report(wrote)

    def report(self, wrote: dict[str, int]) -> None:
        message: dict[str, Any] = {}
        if wrote:
            message["wrote"] = wrote
        lost = {log.unit: log.lost for log in self.logs.values() if log.lost}
        if lost:
            message["lost"] = lost
            for log in self.logs.values():
                log.lost = 0
        if message:
            self.tell(message)

    def tell(self, message: dict[str, Any]) -> None:
        try:
            self.sock.send(json.dumps(message).encode(), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            pass  # followers look at the file; a missed wake-up is made good by the next

    def command(self) -> bool:
        """One command of the manager; False at its end."""
        data, ancillary, _flags, _addr = self.sock.recvmsg(65536, socket.CMSG_SPACE(16), socket.MSG_CMSG_CLOEXEC)
        if not data:
            return False
        fds = array.array("i")
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(payload)
        message = json.loads(data)
        op, unit = message["op"], message.get("unit", "")
        if op == "open":
            if unit in self.logs:
                self.forget(self.logs[unit])
            log = Log(unit, message["dir"], fds[0], message["max_size"], message["max_files"])
            self.logs[unit] = self.pipes[fds[0]] = log
            self.poll.register(fds[0], select.EPOLLIN)
        elif op == "close" and unit in self.logs:
            self.logs[unit].drain()
            self.forget(self.logs[unit])
        elif op == "note" and unit in self.logs:
            self.logs[unit].write(message["text"])
        elif op == "flush":
            wrote = {}
            for log in self.logs.values():
                while log.drain():
                    wrote[log.unit] = log.size
            self.report(wrote)
            self.tell({"flushed": message["seq"]})
        return True

    def forget(self, log: Log) -> None:
        self.poll.unregister(log.pipe)
        os.close(log.pipe)
        del self.pipes[log.pipe], self.logs[log.unit]
        log.close()


def main() -> int:
    """Entry point."""
    Logger(socket.socket(fileno=int(os.environ["UNITD_LOGGER_FD"]))).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The manager's side of the logger's socket. Remembers which pipes are open, so that a new logger goes on where a killed one stopped."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import itertools
import marshal
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from unitd.manager.rights import MOST, attached, close_all
from unitd.manager.rolling import Limits

#: send(2) errors after which the same packet may be sent later.
_LATER = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS)
#: A packet is a list of (command, how many descriptors are its), so long at most.
_COMMANDS = 64


class LogLink:
    """Tells the logger what to read. Never blocks: what the socket does not take waits here.

    `on_event` gets what the logger reports: {"wrote": {unit: size}}, {"lost": {unit: bytes}, "why": {unit: text}}, {"closed": unit}. Of the
    last, that a unit's pipes have no writer any more and nothing in them, `on_closed` hears as well.
    Before the first `attach` and between two loggers everything may be called; it takes effect with the next logger.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_event: Callable[[dict[str, Any]], None]) -> None:
        self.loop, self.on_event = loop, on_event
        self.sock: socket.socket | None = None
        self.on_closed: Callable[[str], None] = lambda unit: None
        self.units: dict[str, tuple[dict[str, Any], list[int]]] = {}
        self._queue: deque[tuple[dict[str, Any], list[int], bool]] = deque()  # packet, descriptors, close them when sent
        self._flushes: dict[int, asyncio.Future[None]] = {}
        self._seq = 0
        self._sync: dict[str, Any] = {"op": "sync", "rotated": True, "every": 0.0}
        self._writing = False
        self._due: asyncio.Handle | None = None
        self._retry: asyncio.TimerHandle | None = None

    def attach(self, sock: socket.socket) -> None:
        """Talk to a new logger over `sock` (SEQPACKET; taken over) and hand it every open pipe and unanswered flush."""
        self.detach()
        sock.setblocking(False)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        except OSError:
            pass
        self.sock = sock
        self.loop.add_reader(sock.fileno(), self._read)
        notes = [item for item in self._queue if item[0]["op"] == "note"]
        self._drop_queue()
        self._put(self._sync)
        self.reopen_all()
        for message, _, _ in notes:
            self._put(message)
        for seq in self._flushes:
            self._put({"op": "flush", "seq": seq})

    def detach(self) -> None:
        """Close the socket: the logger at its other end leaves."""
        if self.sock is not None:
            self.loop.remove_reader(self.sock.fileno())
            self._stop_writing()
            self.sock.close()
            self.sock = None

    def close_all(self) -> None:
        """Give up everything: the socket, the pipes, the flushes."""
        self.send()
        self.detach()
        self._drop_queue()
        for _, fds in self.units.values():
            for fd in fds:
                os.close(fd)
        self.units.clear()
        for future in self._flushes.values():
            future.cancel()
        self._flushes.clear()

    # -- commands

    def open(
        self,
        unit: str,
        directory: str,
        read_fd: int,
        *,
        err_fd: int | None = None,
        limits: Limits | None = None,
        mode: int = 0o640,
        gid: int = -1,
        identifier: str = "",
        begin: tuple[int, str] | None = None,
    ) -> None:
        """Have `read_fd` written to directory/current; `err_fd` is a second pipe for stderr. Both stay the caller's: they are duplicated.

        `mode` is the files', `gid` their group (-1: ours). `begin` says what `begin` would say next: (µs of realtime, invocation).
        A second open replaces pipe and settings.
        """
        fds = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in (read_fd, err_fd) if fd is not None]
        old = self.units.get(unit)
        message = {"op": "open", "unit": unit, "dir": directory, **_settings(limits or Limits(), mode, gid, identifier)}
        if begin is not None:
            message["begin"] = list(begin)
        elif old is not None and "begin" in old[0]:
            message["begin"] = old[0]["begin"]
        self.units[unit] = (message, fds)
        self._put(message, fds)
        if old is not None:
            self._release(old[1])

    def close(self, unit: str) -> None:
        """Write out what is in the unit's pipe and forget it."""
        entry = self.units.pop(unit, None)
        if entry is not None:
            self._put({"op": "close", "unit": unit})
            self._release(entry[1])

    def change(self, unit: str, limits: Limits, mode: int = 0o640, gid: int = -1, identifier: str = "") -> None:
        """Other settings for an open unit; unchanged ones cost nothing."""
        entry = self.units.get(unit)
        wanted = _settings(limits, mode, gid, identifier)
        if entry is not None and any(entry[0].get(key) != value for key, value in wanted.items()):
            entry[0].update(wanted)
            self._put(entry[0])

    def begin(self, unit: str, invocation: str, at: int, left: int = 0) -> None:
        """What comes now is another invocation of an open unit, since `at` (µs of realtime); `left` bytes of the one before are still in the pipes."""
        entry = self.units.get(unit)
        if entry is not None:
            entry[0]["begin"] = [at, invocation]
            self._put({"op": "begin", "unit": unit, "id": invocation, "at": at, "left": left})

    def rotate(self, unit: str, directory: str) -> None:
        """Rotate a unit's log now, if there is anything in it. `flush` tells when it is done."""
        self._put({"op": "rotate", "unit": unit, "dir": directory})

    def sync(self, rotated: bool, every: float) -> None:
        """When bytes are brought to the disk: at rotation, and every so many seconds (0: never). To be said before `attach`."""
        self._sync = {"op": "sync", "rotated": rotated, "every": every}
        self._put(self._sync)

    def note(self, unit: str, text: str) -> None:
        """Add a line of the manager's own to an open unit's log, behind all output so far."""
        self._put({"op": "note", "unit": unit, "text": text})

    def flush(self) -> asyncio.Future[None]:
        """Done when everything that is in any pipe now is in its file. Waits for a logger if there is none: use a timeout."""
        self._seq += 1
        future: asyncio.Future[None] = self.loop.create_future()
        self._flushes[self._seq] = future
        seq = self._seq
        future.add_done_callback(lambda _: self._flushes.pop(seq, None))
        if self.sock is not None:
            self._put({"op": "flush", "seq": seq})
        return future

    def reopen_all(self) -> None:
        """Send every open pipe again. `attach` does it."""
        for message, fds in self.units.values():
            self._put(message, fds)

    # -- sending

    def _release(self, fds: list[int]) -> None:
        """Close descriptors, after packets that are still to carry them."""
        if self._queue:
            self._queue.append(({"op": ""}, fds, True))
        else:
            for fd in fds:
                os.close(fd)

    def _drop_queue(self) -> None:
        for _, fds, release in self._queue:
            if release:
                close_all(fds)
        self._queue.clear()

    def _put(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        if self.sock is None and message["op"] != "note":
            return  # `attach` sends what matters then
        self._queue.append((message, fds or [], False))
        while self.sock is None and len(self._queue) > 1000:
            self._queue.popleft()
        if not self._writing and self._due is None:
            self._due = self.loop.call_soon(self._write)  # or before, by `send`, with all else of this turn: each packet wakes the logger up

    def send(self) -> None:
        """What was said so far goes out now, unless the socket is full."""
        if not self._writing:
            self._write()

    def _write(self) -> None:
        self._retry = None
        if self._due is not None:
            self._due.cancel()
            self._due = None
        while self._queue and self.sock is not None:
            if self._queue[0][2]:
                close_all(self._queue.popleft()[1])
                continue
            commands, fds = self._packet()
            try:
                self.sock.sendmsg([marshal.dumps(commands)], attached(fds), socket.MSG_NOSIGNAL)
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    self._start_writing()
                    return
                if error.errno in _LATER:
                    self._writing = True
                    self._retry = self._retry or self.loop.call_later(0.01, self._write)
                    return
                self.detach()  # the logger is gone; its successor gets everything
                return
            for _ in commands:
                self._queue.popleft()
        self._stop_writing()

    def _packet(self) -> tuple[list[tuple[dict[str, Any], int]], list[int]]:
        """The first commands of the queue, as many as go together, and their descriptors."""
        commands: list[tuple[dict[str, Any], int]] = []
        every: list[int] = []
        for command, fds, release in itertools.islice(self._queue, _COMMANDS):
            # a note may be long
            if release or len(every) + len(fds) > MOST or (commands and command["op"] == "note"):
                break
            commands.append((command, len(fds)))
            every += fds
            if command["op"] == "note":
                break
        return commands, every

    def _start_writing(self) -> None:
        if not self._writing and self.sock is not None:
            self.loop.add_writer(self.sock.fileno(), self._write)
            self._writing = True

    def _stop_writing(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._writing and self.sock is not None:
            self.loop.remove_writer(self.sock.fileno())
        self._writing = False

    # -- receiving

    def _read(self) -> None:
        for _ in range(64):
            if self.sock is None:
                return
            try:
                data = self.sock.recv(1 << 18)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.detach()
                return
            try:
                event = marshal.loads(data)
            except (ValueError, EOFError, TypeError):
                continue
            if "flushed" in event:
                future = self._flushes.pop(event["flushed"], None)
                if future is not None and not future.done():
                    future.set_result(None)
            else:
                if "closed" in event:
                    self.on_closed(event["closed"])
                self.on_event(event)


def _settings(limits: Limits, mode: int, gid: int, identifier: str) -> dict[str, Any]:
    return {"limits": {name: getattr(limits, name) for name in Limits.__slots__}, "mode": mode, "gid": gid, "identifier": identifier}

"""The manager's end of the conversation with the logger: what is open is opened again at every new logger."""

from __future__ import annotations

import array
import asyncio
import json
import socket
from collections import deque
from collections.abc import Callable
from typing import Any


class LogLink:
    """Sends without waiting; `on_event` gets what the logger tells."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_event: Callable[[dict[str, Any]], None]) -> None:
        self.loop, self.on_event = loop, on_event
        self.sock: socket.socket | None = None
        self._open: dict[str, tuple[dict[str, Any], int]] = {}
        self._out: deque[tuple[bytes, list[int]]] = deque()
        self._flushes: dict[int, asyncio.Future[None]] = {}
        self._sequence = 0

    def attach(self, sock: socket.socket) -> None:
        """A new logger is there: hand it every open pipe."""
        if self.sock is not None:
            self.loop.remove_reader(self.sock.fileno())
            self.loop.remove_writer(self.sock.fileno())
            self.sock.close()
        self.sock = sock
        sock.setblocking(False)
        self.loop.add_reader(sock.fileno(), self._read)
        self._out.clear()
        for message, fd in self._open.values():
            self._send(message, [fd])
        for sequence in list(self._flushes):
            self._send({"op": "flush", "seq": sequence}, [])

    def open(self, unit: str, directory: str, read_fd: int, max_size: int, max_files: int) -> None:
        """Have the logger read a unit's pipe. `read_fd` stays the caller's and must stay open."""
        message = {"op": "open", "unit": unit, "dir": directory, "max_size": max_size, "max_files": max_files}
        self._open[unit] = (message, read_fd)
        self._send(message, [read_fd])

    def close(self, unit: str) -> None:
        """Have the rest moved and the files closed."""
        if self._open.pop(unit, None) is not None:
            self._send({"op": "close", "unit": unit}, [])

    def note(self, unit: str, text: str) -> None:
        """A line of the manager's in the unit's log."""
        self._send({"op": "note", "unit": unit, "text": text}, [])

    def flush(self) -> asyncio.Future[None]:
        """Done when everything written until now is in the files."""
        self._sequence += 1
        future = self._flushes[self._sequence] = self.loop.create_future()
        self._send({"op": "flush", "seq": self._sequence}, [])
        return future

    def _send(self, message: dict[str, Any], fds: list[int]) -> None:
        self._out.append((json.dumps(message).encode(), fds))
        self._write()

    def _write(self) -> None:
        while self._out and self.sock is not None:
            data, fds = self._out[0]
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds).tobytes())] if fds else []
            try:
                self.sock.sendmsg([data], ancillary, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                self.loop.add_writer(self.sock.fileno(), self._write)
                return
            except OSError:
                return  # it is gone: the next logger gets everything anew
            self._out.popleft()
        if self.sock is not None:
            self.loop.remove_writer(self.sock.fileno())

    def _read(self) -> None:
        for _ in range(32):
            assert self.sock is not None
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.loop.remove_reader(self.sock.fileno())
                return
            event = json.loads(data)
            future = self._flushes.pop(event.get("flushed", 0), None)
            if future is not None and not future.done():
                future.set_result(None)
            self.on_event(event)

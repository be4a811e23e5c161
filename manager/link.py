"""The manager's end of the conversation with the warden."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections import deque
from typing import Any, Protocol

from unitd.manager import wire
from unitd.manager.spec import SpawnSpec


class LinkHandler(Protocol):
    """What the warden tells. A child's error always comes before its exit, its spawn before both."""

    def kids(self, kids: list[tuple[int, str, int]]) -> None:
        """(pid, id, pidfd) of children of an earlier manager."""

    def spawned(self, spawned: list[tuple[str, int, int, int]]) -> None:
        """(id, pid, errno, pidfd); pid 0 with an errno if there is no process."""

    def exited(self, exits: list[tuple[int, int, str, int]]) -> None:
        """(sequence, pid, id, wait status); id is empty for orphans."""

    def child_error(self, id: str, code: int, errno: int, step: str) -> None:
        """The set-up step of a child that failed."""

    def stored(self, name: str, fds: list[int]) -> None:
        """Descriptors that an earlier manager stored."""

    def go(self) -> None:
        """That was all; from now on things come as they happen."""

    def lost(self) -> None:
        """The warden is gone."""


class WardenLink:
    """Sends without waiting, keeps order, never drops."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop, handler: LinkHandler) -> None:
        self.sock, self.loop, self.handler = sock, loop, handler
        sock.setblocking(False)
        wire.widen(sock)
        self._out: deque[tuple[bytes, list[int]]] = deque()
        loop.add_reader(sock.fileno(), self._read)

    # -- saying

    def hello(self) -> None:
        """Ready to read: the warden answers with everything it knows."""
        self._send(wire.HELLO, 1)

    def spawn(self, spawns: list[tuple[SpawnSpec, list[int]]]) -> None:
        """Ask for children. Descriptor indexes in a spec are into its own list; the descriptors stay the caller's."""
        batch: list[dict[str, Any]] = []
        fds: list[int] = []
        size = 0
        for spec, own in spawns:
            weight = sum(len(e) for e in spec["env"]) + sum(len(a) for a in spec["argv"]) + 500
            if batch and (len(batch) >= wire.MAX_SPECS or len(fds) + len(own) > wire.MAX_FDS or size + weight > wire.MAX_BYTES):
                self._send(wire.SPAWN, {"env": [], "specs": batch}, fds)
                batch, fds, size = [], [], 0
            renumbered: dict[str, Any] = dict(spec)
            places = []
            for fd in own:
                if fd not in fds:
                    fds.append(fd)
                places.append(fds.index(fd))
            for key in ("stdin", "stdout", "stderr", "execfd"):
                if key in renumbered:
                    renumbered[key] = places[renumbered[key]]
            if "listen" in renumbered:
                renumbered["listen"] = [places[i] for i in renumbered["listen"]]
            batch.append(renumbered)
            size += weight
        if batch:
            self._send(wire.SPAWN, {"env": [], "specs": batch}, fds)

    def ack(self, seq: int) -> None:
        """Exits up to `seq` are committed."""
        self._send(wire.ACK, seq)

    def store(self, name: str, fds: list[int]) -> None:
        """Have the warden keep copies of descriptors under a name."""
        self._send(wire.STORE, name, fds)

    def drop(self, name: str) -> None:
        """Have them closed."""
        self._send(wire.DROP, name)

    def quit(self, code: int) -> None:
        """The manager's end is meant: the warden leaves with `code` after it."""
        self._send(wire.QUIT, code)

    def _send(self, kind: str, body: Any, fds: list[int] | None = None) -> None:
        data = kind.encode() + json.dumps(body, separators=(",", ":")).encode()
        if self._out or not self._try(data, fds or []):
            # The caller may close its descriptors as soon as we return.
            self._out.append((data, [os.dup(fd) for fd in fds or []]))
            self.loop.add_writer(self.sock.fileno(), self._flush)

    def _try(self, data: bytes, fds: list[int]) -> bool:
        try:
            return wire.send(self.sock, data, fds)
        except OSError:
            return True  # the warden is gone; _read says so

    def _flush(self) -> None:
        while self._out:
            data, fds = self._out[0]
            if not self._try(data, fds):
                return
            self._out.popleft()
            for fd in fds:
                os.close(fd)
        self.loop.remove_writer(self.sock.fileno())

    # -- hearing

    def _read(self) -> None:
        for _ in range(100):
            message = wire.receive(self.sock)
            if message is None:
                return
            data, fds = message
            if not data:
                self.loop.remove_reader(self.sock.fileno())
                self.handler.lost()
                return
            kind, body = wire.decode(data)
            self._handle(kind, body, fds)

    def _handle(self, kind: str, body: Any, fds: list[int]) -> None:
        if kind == wire.EXIT:
            self.handler.exited([(s, p, i, w) for s, p, i, w in body])
        elif kind == wire.SPAWNED:
            left = iter(fds)
            self.handler.spawned([(i, p, e, next(left, -1) if p else -1) for i, p, e in body])
        elif kind == wire.CHILD_ERROR:
            self.handler.child_error(*body)
        elif kind == wire.KIDS:
            self.handler.kids([(p, i, fd) for (p, i), fd in zip(body, fds, strict=True)])
        elif kind == wire.STORED:
            self.handler.stored(body, fds)
        elif kind == wire.GO:
            self.handler.go()

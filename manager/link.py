"""The manager's end of the conversation with the warden (`wire` has the messages)."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from unitd.manager import wire
from unitd.manager.spec import SpawnSpec


class LinkHandler(Protocol):
    """Who is told what the warden says. Descriptors handed over are the handler's to close."""

    def kids(self, kids: list[tuple[int, str, int]]) -> None:
        """Living children at HELLO: (pid, id, pidfd)."""

    def spawned(self, spawned: list[tuple[str, int, int, int]]) -> None:
        """Answers to `spawn`: (id, pid, errno, pidfd); pid 0 and pidfd -1 where there is none. Before any exit of these."""

    def exited(self, exits: list[tuple[int, int, str, int]]) -> None:
        """(sequence number, pid, id, wait status); id "" for an orphan. Repeated at HELLO until acknowledged."""

    def child_error(self, id: str, code: int, errno: int, step: str) -> None:
        """A child failed before exec; its exit follows."""

    def stored(self, name: str, fds: list[int]) -> None:
        """Descriptors kept under `name`, at HELLO; copies."""

    def go(self) -> None:
        """The snapshot is complete, what follows is news."""

    def pong(self) -> None:
        """The warden answers a `ping`."""

    def lost(self) -> None:
        """The warden is gone."""


class WardenLink:
    """Sends requests, hands answers to the handler. Never blocks: what the socket does not take is queued."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop, handler: LinkHandler) -> None:
        """Takes `sock` over and starts reading; nothing comes before `hello`."""
        self._channel = wire.Channel(sock)
        self._loop, self._handler = loop, handler
        self._writing = False
        self._closed = False
        self.held: dict[str, list[int]] = {}  # copies of what the warden keeps: if it dies they are all there is
        self.sequence = 0  # of the last exit that came
        self._stores: deque[tuple[str, list[int]]] = deque()
        self.on_store: Callable[[str, Sequence[int]], None] = lambda name, fds: None
        self.on_drop: Callable[[str], None] = lambda name: None
        loop.add_reader(sock.fileno(), self._readable)

    # -- requests

    def hello(self) -> None:
        """Ready: ask for the snapshot."""
        self._send(wire.HELLO, wire.VERSION)

    def spawn(self, specs: Sequence[tuple[SpawnSpec, list[int]]]) -> None:
        """Ask for processes. The indexes in each spec are into its own list; the caller keeps the descriptors and may close them at once.

        Raises ValueError for a spec with more descriptors than a message can carry.
        """
        batch: list[SpawnSpec] = []
        fds: list[int] = []
        for spec, own in specs:
            if len(set(own)) > wire.MAX_FDS:
                raise ValueError(f"cannot pass {len(own)} descriptors to one process; {wire.MAX_FDS} is the most")
            if len(batch) == wire.MAX_ITEMS or len(set(fds) | set(own)) > wire.MAX_FDS:
                self._send(wire.SPAWN, batch, fds)
                batch, fds = [], []
            place: list[int] = []
            for fd in own:
                if fd not in fds:
                    fds.append(fd)
                place.append(fds.index(fd))
            batch.append(_renumbered(spec, place))
        if batch:
            self._send(wire.SPAWN, batch, fds)

    def ack(self, seq: int) -> None:
        """The exits up to `seq` are dealt with and need not be repeated."""
        self._send(wire.ACK, seq)

    def store(self, name: str, fds: Sequence[int]) -> None:
        """Have the warden keep copies of `fds` under `name`, added to what is there."""
        copies = self._hold(name, fds)
        if not self._stores:
            self._loop.call_soon(self._flush_stores)
        for i in range(0, len(copies), wire.MAX_FDS):
            self._stores.append((name, copies[i : i + wire.MAX_FDS]))
        self.on_store(name, fds)

    def _hold(self, name: str, fds: Sequence[int]) -> list[int]:
        copies = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in fds]
        self.held.setdefault(name, []).extend(copies)
        return copies

    def _flush_stores(self) -> None:
        """What is to be kept, in as few messages as it fits into; before anything else that is said."""
        while self._stores:
            names: list[list[object]] = []
            fds: list[int] = []
            while self._stores and len(fds) + len(self._stores[0][1]) <= wire.MAX_FDS:
                name, part = self._stores.popleft()
                names.append([name, len(part)])
                fds += part
            self._say(wire.STORE, names, fds)

    def drop(self, name: str) -> None:
        """Have the warden close what it keeps under `name`."""
        self._send(wire.DROP, name)
        for fd in self.held.pop(name, ()):
            os.close(fd)
        self.on_drop(name)

    def watch(self, limit: float | None, timer: int) -> None:
        """Ready. Have the warden replace this process when `timer` goes off, or when it is stopped for `limit` seconds; None: never."""
        self._send(wire.WATCH, limit, [] if limit is None else [timer])

    def ping(self) -> None:
        """Ask whether the warden is there."""
        self._send(wire.PING, None)

    def reexec(self) -> None:
        """Have the warden end this process, and then replace itself and it by the programs on disk."""
        self._send(wire.REEXEC, None)

    def quit(self, code: int) -> None:
        """Have the warden leave with `code` when this process has ended. Waits until the message is out."""
        self._channel.sock.setblocking(True)
        self._send(wire.QUIT, code)

    def close(self) -> None:
        """Stop reading and close the socket."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._channel.sock.fileno())
            self._loop.remove_writer(self._channel.sock.fileno())
            self._channel.close()

    def release(self) -> None:
        """Close the copies of what the warden keeps."""
        for fds in self.held.values():
            for fd in fds:
                os.close(fd)
        self.held.clear()

    def _send(self, kind: str, body: object, fds: Sequence[int] = ()) -> None:
        self._flush_stores()
        self._say(kind, body, fds)

    def _say(self, kind: str, body: object, fds: Sequence[int]) -> None:
        if self._closed:
            return
        self._channel.send(kind, body, fds)
        self._flush()

    def _flush(self) -> None:
        if self._channel.pending and self._channel.flush() == self._writing:
            self._writing = not self._writing
            if self._writing:
                self._loop.add_writer(self._channel.sock.fileno(), self._writable)
            else:
                self._loop.remove_writer(self._channel.sock.fileno())

    def _writable(self) -> None:
        self._flush()

    # -- answers

    def _readable(self) -> None:
        for _ in range(wire.MAX_ITEMS):
            if self._closed:
                return
            try:
                message = self._channel.receive()
            except EOFError:
                self.close()
                self._handler.lost()
                return
            if message is None:
                return
            self._dispatch(*message)

    def _dispatch(self, kind: str, body: Any, fds: list[int]) -> None:
        handler = self._handler
        if kind == wire.EXIT:
            self.sequence = max([self.sequence, *(int(seq) for seq, _, _, _ in body)])
            handler.exited([(seq, pid, id, status) for seq, pid, id, status in body])
        elif kind == wire.CHILDERR:
            handler.child_error(*body)
        elif kind == wire.SPAWNED:
            handler.spawned([(id, pid, errno, fds.pop(0) if has and fds else -1) for id, pid, errno, has in body])
        elif kind == wire.KIDS:
            handler.kids([(pid, id, fds.pop(0) if fds else -1) for pid, id in body])
        elif kind == wire.STORE:
            for name, count in body:
                part = [fds.pop(0) for _ in range(min(count, len(fds)))]
                self._hold(name, part)
                handler.stored(name, part)
        elif kind == wire.GO:
            handler.go()
        elif kind == wire.PONG:
            handler.pong()
        for fd in fds:
            os.close(fd)


def _renumbered(spec: SpawnSpec, place: list[int]) -> SpawnSpec:
    copy = spec.copy()
    if "stdin" in copy:
        copy["stdin"] = place[copy["stdin"]]
    if "stdout" in copy:
        copy["stdout"] = place[copy["stdout"]]
    if "stderr" in copy:
        copy["stderr"] = place[copy["stderr"]]
    if "execfd" in copy:
        copy["execfd"] = place[copy["execfd"]]
    if "idle" in copy:
        copy["idle"] = place[copy["idle"]]
    if "listen" in copy:
        copy["listen"] = [place[i] for i in copy["listen"]]
    return copy

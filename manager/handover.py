"""Takes descriptors from clients on the same machine, by SCM_RIGHTS: the bus carries none (unix(7)). `unitctl run --pipe` gives its own stdio that way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import struct
from typing import TYPE_CHECKING, Any

from unitd.manager.rights import close_all, receive
from unitd.manager.spec import SpawnSpec
from unitd.units.model import Unit

if TYPE_CHECKING:
    from unitd.manager.executor import Executor

MAX_FDS = 3
MAX_WAITING = 64
_TOKEN = re.compile(rb"[0-9a-f]{32}")


class Handover:
    """A socket that clients connect to. What they give is kept under a token until it is taken, or until they hang up."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop, executor: Executor) -> None:
        self.path, self.loop = path, loop
        self._given: dict[str, list[int]] = {}
        executor.amenders.append(self.amend)
        executor.observers.append(self.observe)
        self._waiting: dict[str, list[int]] = {}
        self._clients: dict[socket.socket, str] = {}
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        try:
            self._socket.bind(path)
        finally:
            os.umask(before)
        self._socket.listen(16)
        loop.add_reader(self._socket, self._accept)

    def give(self, unit: str, token: str) -> bool:
        """Let what was given under `token` be the standard input, output and error of the unit's main process, until the unit is down."""
        fds = self._waiting.pop(token, None)
        if fds is not None:
            self._let_go(unit)
            self._given[unit] = fds
        return fds is not None

    def amend(self, unit: Unit, role: str, spec: SpawnSpec, fds: list[int]) -> None:
        """The last word on what a process gets."""
        given = self._given.get(unit.name) if role == "ExecStart" else None
        if given is None:
            return
        for key in ("stdin_path", "stdout_path", "stdout_mode", "stderr_path", "stderr_mode", "tty"):
            spec.pop(key, None)  # type: ignore[misc]
        spec["stdin"], spec["stdout"], spec["stderr"] = range(len(fds), len(fds) + MAX_FDS)
        fds += given

    def observe(self, topic: str, data: dict[str, Any]) -> None:
        """A unit that is down has no more use for them."""
        if topic.startswith("unit.") and data.get("active") in ("inactive", "failed"):
            self._let_go(topic.removeprefix("unit."))

    def _let_go(self, unit: str) -> None:
        for fd in self._given.pop(unit, []):
            os.close(fd)

    def close(self) -> None:
        """Take no more."""
        self.loop.remove_reader(self._socket)
        self._socket.close()
        for client in list(self._clients):
            self._drop(client)
        for unit in list(self._given):
            self._let_go(unit)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def _accept(self) -> None:
        try:
            client, _ = self._socket.accept()
        except OSError:
            return
        client.setblocking(False)
        _, uid, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in (0, os.getuid()) or len(self._clients) >= MAX_WAITING:
            client.close()
            return
        self._clients[client] = ""
        self.loop.add_reader(client, self._read, client)

    def _read(self, client: socket.socket) -> None:
        try:
            data, fds = receive(client, 64, MAX_FDS)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        token = data.decode("ascii", "replace")
        if not _TOKEN.fullmatch(data) or len(fds) != MAX_FDS or self._clients[client] or token in self._waiting:
            close_all(fds)
            self._drop(client)
            return
        self._clients[client], self._waiting[token] = token, fds
        with contextlib.suppress(OSError):
            client.send(b"ok")

    def _drop(self, client: socket.socket) -> None:
        self.loop.remove_reader(client)
        for fd in self._waiting.pop(self._clients.pop(client), []):
            os.close(fd)
        client.close()

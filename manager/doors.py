"""The unix sockets at which unitd itself is spoken to. The warden keeps them, so that nobody is refused while managers change."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unitd.manager.link import WardenLink

BACKLOG = 1024


class Doors:
    """Listening sockets by path: taken over from an earlier manager or from systemd, or made."""

    def __init__(self, link: WardenLink) -> None:
        self.link = link
        self.kept: dict[str, int] = {}
        self.paths: list[str] = []

    def restore(self, name: str, fds: list[int]) -> None:
        """A socket that was kept under `name`. Of several the last counts."""
        for fd in fds:
            if name in self.kept:
                os.close(self.kept[name])
            self.kept[name] = fd

    def listener(self, name: str, path: str) -> int:
        """The SOCK_STREAM listener at `path`; the caller's. Raises OSError."""
        self.paths.append(path)
        fd = self.kept.pop(name, -1)
        if fd >= 0 and _is_at(fd, path):
            return fd
        if fd >= 0:
            os.close(fd)
            self.link.drop(name)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _bind(sock, path)
            sock.listen(BACKLOG)
        except OSError:
            sock.close()
            raise
        self.link.store(name, [sock.fileno()])
        return sock.detach()

    def notify(self, name: str, path: str) -> int | None:
        """The notification socket of an earlier manager, with what was sent to it meanwhile; None if there is none at `path`."""
        fd = self.kept.pop(name, -1)
        if fd >= 0 and not _is_at(fd, path):
            os.close(fd)
            self.link.drop(name)
            fd = -1
        return fd if fd >= 0 else None

    def close(self) -> None:
        """Remove the listeners' paths: nobody will come any more."""
        for path in self.paths:
            try:
                os.unlink(path)
            except OSError:
                continue


def _is_at(fd: int, path: str) -> bool:
    """Is the socket bound to `path`, and does that lead to a socket? (Somebody may have removed or replaced it.)"""
    with socket.socket(fileno=os.dup(fd)) as sock:
        return sock.family == socket.AF_UNIX and sock.getsockname() == path and os.path.exists(path)


def _bind(sock: socket.socket, path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    before = os.umask(0o117)
    try:
        sock.bind(path)
    finally:
        os.umask(before)

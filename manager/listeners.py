"""The sockets of .socket units while they are open: made, watched, handed in by systemd, and kept in the warden's store over the manager's death."""

from __future__ import annotations

import asyncio
import errno
import grp
import logging
import os
import pwd
import socket
import stat
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from unitd.manager import listening, room
from unitd.manager.listening import ListenError
from unitd.units.model import Unit
from unitd.units.socket import Listener, descriptor_name

if TYPE_CHECKING:
    from unitd.manager.link import WardenLink

log = logging.getLogger("unitd")
STORE = "socket"
ACCEPTS = 64  # connections taken in one turn of the loop
_FLUSHED = 1024


class Listeners:
    """Descriptors by socket unit, in the order of the unit's Listen*= lines."""

    def __init__(self, loop: asyncio.AbstractEventLoop, link: WardenLink) -> None:
        self.loop, self.link = loop, link
        self.fds: dict[str, list[int]] = {}
        self.given: dict[str, list[int]] = defaultdict(list)  # by FileDescriptorName, from whoever started us; nobody has claimed them yet
        self._watched: dict[str, list[int]] = {}

    # -- having them

    def give(self, name: str, fds: Sequence[int]) -> None:
        """Take sockets over that somebody else opened under this FileDescriptorName: the unit that has the name and the address gets them when it starts."""
        for fd in fds:
            os.set_blocking(fd, False)
            os.set_inheritable(fd, False)
            self.given[name].append(fd)

    def restore(self, unit: str, fds: list[int]) -> None:
        """Take back what an earlier manager had open."""
        self.fds[unit] = fds

    def open(self, unit: Unit) -> None:
        """Make every socket of the unit, or none. Raises ListenError."""
        if unit.name in self.fds:
            return
        made: list[int] = []
        try:
            for listener in unit.socket.listeners:
                fd = self._claim(unit, listener)
                if fd < 0:
                    fd, warnings = listening.make(listener, unit.socket)
                    for warning in warnings:
                        log.warning("%s: %s", unit.name, warning)
                made.append(fd)
            self._symlinks(unit)
        except ListenError:
            for fd in made:
                os.close(fd)
            raise
        self.fds[unit.name] = made
        self.link.store(f"{STORE}:{unit.name}", made)

    def _claim(self, unit: Unit, listener: Listener) -> int:
        """A given socket with the unit's name and this address; -1 if there is none."""
        for name in (descriptor_name(unit), unit.name, unit.name.removesuffix(".socket")):
            for fd in self.given.get(name, ()):
                if _is_at(fd, listener):
                    self.given[name].remove(fd)
                    return fd
        return -1

    def unclaimed(self) -> list[str]:
        """Names of given sockets that no unit has taken."""
        return [name for name, fds in self.given.items() if fds]

    def _symlinks(self, unit: Unit) -> None:
        node = next((lis for lis in unit.socket.listeners if lis.path and lis.kind != "special"), None)
        for link in unit.socket.symlinks if node else ():
            assert node is not None
            try:
                listening.make_parents(link, unit.socket.directory_mode)
                if os.path.islink(link):
                    os.unlink(link)
                os.symlink(node.path, link)
            except OSError as error:
                log.warning("%s: cannot make the symlink %s, because %s", unit.name, link, error.strerror)

    def chown(self, unit: Unit) -> None:
        """SocketUser= and SocketGroup=. Raises ListenError."""
        s = unit.socket
        for listener in s.listeners:
            if not listener.path or listener.kind == "special":
                continue
            try:
                user = pwd.getpwuid(int(s.user)) if s.user.isdigit() else pwd.getpwnam(s.user) if s.user else None
                gid = -1 if user is None else user.pw_gid
                if s.group:
                    gid = int(s.group) if s.group.isdigit() else grp.getgrnam(s.group).gr_gid
                os.chown(listener.path, -1 if user is None else user.pw_uid, gid)
            except KeyError as error:
                raise ListenError(listener, f"there is no such user or group: {error}") from error
            except OSError as error:
                raise ListenError(listener, f"its owner cannot be set: {error.strerror}", error.errno or 0) from error

    def close(self, unit: Unit) -> None:
        """Close them; RemoveOnStop= takes the nodes and symlinks away."""
        self.unwatch(unit.name)
        fds = self.fds.pop(unit.name, None)
        if fds is None:
            return
        self.link.drop(f"{STORE}:{unit.name}")
        for fd in fds:
            os.close(fd)
        if unit.socket.remove_on_stop:
            nodes = [lis.path for lis in unit.socket.listeners if lis.path and lis.kind != "special"]
            for path in (*nodes, *unit.socket.symlinks):
                try:
                    os.unlink(path)
                except OSError as error:
                    if error.errno != errno.ENOENT:
                        log.warning("%s: cannot remove %s, because %s", unit.name, path, error.strerror)

    # -- watching them

    def watch(self, unit: str, ready: Callable[[int], None]) -> None:
        """Call `ready(fd)` in each turn of the loop in which a descriptor has something to take."""
        self.unwatch(unit)
        watched = self._watched[unit] = []
        for fd in self.fds.get(unit, ()):
            try:
                self.loop.add_reader(fd, ready, fd)
            except PermissionError:  # a regular file (ListenSpecial=) is always ready, which is of no use
                continue
            watched.append(fd)

    def unwatch(self, unit: str) -> None:
        """Stop that; the kernel keeps what comes in."""
        for fd in self._watched.pop(unit, ()):
            self.loop.remove_reader(fd)

    def flush(self, unit: str) -> None:
        """Throw away what waits: connections are closed, datagrams and bytes read."""
        for fd in self.fds.get(unit, ()):
            for _ in range(_FLUSHED):
                if not _flush_one(fd):
                    break

    @staticmethod
    def accept(fd: int) -> socket.socket | None:
        """One waiting connection, non-blocking; None if there is none (any more). Raises OSError for a lack of descriptors or memory."""
        room.check()  # whoever is not accepted now waits in the backlog
        with socket.socket(fileno=os.dup(fd)) as listener:
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return None
            except OSError as error:
                if error.errno in (errno.ENETDOWN, errno.EPROTO, errno.ENOPROTOOPT, errno.EHOSTDOWN, errno.ENONET, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EOPNOTSUPP):
                    return None  # the connection's own trouble, accept(2)
                raise
        connection.setblocking(False)
        return connection


def _flush_one(fd: int) -> bool:
    """Take one connection, datagram or piece; False when there is none. The service may have made the descriptor a blocking one: the flag is shared."""
    blocking = os.get_blocking(fd)
    try:
        os.set_blocking(fd, False)
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return bool(os.read(fd, 65536))
        with socket.socket(fileno=os.dup(fd)) as sock:
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                sock.accept()[0].close()
            else:
                sock.recv(65536)
    except OSError:
        return False
    finally:
        os.set_blocking(fd, blocking)
    return True


def _is_at(fd: int, listener: Listener) -> bool:
    """Is this descriptor what the Listen*= line asks for?"""
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        return listener.kind == "fifo" and stat.S_ISFIFO(os.fstat(fd).st_mode) and os.path.realpath(f"/proc/self/fd/{fd}") == os.path.realpath(listener.path)
    kinds = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM, "seqpacket": socket.SOCK_SEQPACKET}
    with socket.socket(fileno=os.dup(fd)) as sock:
        if sock.type != kinds.get(listener.kind):
            return False
        name = sock.getsockname()
        if sock.family == socket.AF_UNIX:
            text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
            return listener.family in ("unix", "abstract") and text.replace("\0", "@", 1) == ("@" if listener.family == "abstract" else "") + listener.host
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return False
        wild = name[0] in ("::", "0.0.0.0")  # noqa: S104 - compared, not bound
        return name[1] == listener.port and (wild if listener.family == "any" else name[0] == listener.host)

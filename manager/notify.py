"""The sd_notify socket: one for all units, the sender is known by its credentials (sd_notify(3), systemd.service(5))."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable

from unitd.manager.rights import MOST, close_all, received

LARGEST = 64 * 1024
#: What a service says of its own state; one message says one of them.
STATES = ("READY", "RELOADING", "STOPPING")
BUDGET = 64  # datagrams per turn of the loop
_UCRED = struct.Struct("iII")


Callback = Callable[[int, int, int, dict[str, str], list[int]], None]


def parse(datagram: bytes) -> dict[str, str] | None:
    """The assignments of one datagram; None if it is to be dropped (empty, or with NUL bytes as in systemd).

    Lines that are no assignment, that have no name, or that are not UTF-8 are skipped. Of several with one name the first counts;
    of READY=1, RELOADING=1 and STOPPING=1 the last one is all there is, as in systemd.
    """
    if not datagram or b"\0" in datagram:
        return None
    fields: dict[str, str] = {}
    state = ""
    for line in datagram.split(b"\n"):
        name, equals, value = line.partition(b"=")
        if not equals or not name:
            continue
        try:
            word, text = name.decode("ascii"), value.decode("utf-8")
        except UnicodeDecodeError:
            continue
        if word not in STATES:
            fields.setdefault(word, text)
        elif text == "1":
            state = word
    if state:
        fields[state] = "1"
    return fields


class NotifySocket:
    """Receives notifications and hands each to `callback(pid, uid, gid, fields, fds)`.

    The descriptors in `fds` are close-on-exec and the callback's to close: for BARRIER=1 that is the answer. Those of a datagram that is
    dropped (malformed, without a sender, or with more descriptors than fit) are closed here.
    `fd` takes over a socket that an earlier manager bound at `path`: nothing sent in between is lost.
    Raises OSError if `path` cannot be bound.
    """

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop, callback: Callback, fd: int | None = None) -> None:
        self.path, self.loop, self.callback = path, loop, callback
        if fd is not None:
            self.sock = socket.socket(fileno=fd)
        else:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                try:
                    os.unlink(path)
                except FileNotFoundError:
                    pass
                self.sock.bind(path)
                os.chmod(path, 0o777)  # services of other users write here; who they are the kernel says
            except OSError:
                self.sock.close()
                raise
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        for option in (33, socket.SO_RCVBUF):  # SO_RCVBUFFORCE is for root only
            try:
                self.sock.setsockopt(socket.SOL_SOCKET, option, 8 << 20)
                break
            except OSError:
                continue
        self.loop.add_reader(self.sock.fileno(), self.drain)

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self) -> None:
        """Stop listening and remove the socket file."""
        if self.sock.fileno() >= 0:
            self.loop.remove_reader(self.sock.fileno())
            self.sock.close()
            try:
                os.unlink(self.path)
            except OSError:
                pass

    def drain(self) -> None:
        """Take what is there, up to a budget; the rest after others had their turn."""
        for _ in range(BUDGET):
            if self.sock.fileno() < 0 or not self._one():
                return
        self.loop.call_soon(self.drain)

    def _one(self) -> bool:
        try:
            data, controls, flags, _ = self.sock.recvmsg(
                LARGEST, socket.CMSG_SPACE(_UCRED.size) + socket.CMSG_SPACE(4 * MOST), socket.MSG_CMSG_CLOEXEC
            )
        except OSError:
            return False
        pid = uid = gid = 0
        fds = received(controls)
        for level, kind, body in controls:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(body) >= _UCRED.size:
                pid, uid, gid = _UCRED.unpack(body[: _UCRED.size])
        fields = None if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC) else parse(data)
        if fields is None or pid <= 0:
            close_all(fds)
        else:
            self.callback(pid, uid, gid, fields, fds)
        return True

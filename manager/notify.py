"""The socket that services send sd_notify messages to (sd_notify(3))."""

from __future__ import annotations

import array
import asyncio
import os
import socket
import struct
from collections.abc import Callable

Received = Callable[[int, int, int, dict[str, str], list[int]], None]


def parse(datagram: bytes) -> dict[str, str] | None:
    """Assignments of a message, later ones win; None for an empty or binary one."""
    if not datagram.strip() or b"\0" in datagram.rstrip(b"\0\n"):
        return None
    fields: dict[str, str] = {}
    for line in datagram.rstrip(b"\0").decode("utf-8", "replace").split("\n"):
        key, equals, value = line.partition("=")
        if equals and key:
            fields[key] = value
    return fields


class NotifySocket:
    """One socket for all units; the sender is known by its credentials."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop, received: Received) -> None:
        """`received(pid, uid, gid, fields, fds)` owns the descriptors."""
        self.path, self.loop, self.received = path, loop, received
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        if os.path.lexists(path):
            os.unlink(path)
        self.sock.bind(path)
        os.chmod(path, 0o777)  # noqa: S103 - services run as anybody; who sent what is checked by credentials
        loop.add_reader(self.sock.fileno(), self._read)

    def _read(self) -> None:
        for _ in range(64):
            try:
                data, ancillary, _flags, _addr = self.sock.recvmsg(65536, socket.CMSG_SPACE(253 * 4) + socket.CMSG_SPACE(12), socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            fds, creds = array.array("i"), (0, -1, -1)
            for level, kind, payload in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
                elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    creds = struct.unpack("3i", payload[:12])
            fields = parse(data)
            if fields is None:
                for fd in fds:
                    os.close(fd)
            else:
                self.received(*creds, fields, list(fds))

    def close(self) -> None:
        """Stop listening."""
        self.loop.remove_reader(self.sock.fileno())
        self.sock.close()
        if os.path.lexists(self.path):
            os.unlink(self.path)

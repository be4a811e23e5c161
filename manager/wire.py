"""Messages between manager and warden: one letter and a JSON body over SEQPACKET, descriptors by SCM_RIGHTS. Standard library only."""

from __future__ import annotations

import array
import json
import socket
from typing import Any

HELLO, KIDS, EXIT, STORED, GO = "H", "K", "E", "T", "G"
SPAWN, SPAWNED, ACK, CHILD_ERROR, STORE, DROP, QUIT = "S", "P", "A", "C", "O", "D", "Q"
MAX_FDS = 250
MAX_SPECS = 100
MAX_BYTES = 180_000


def encode(kind: str, body: Any) -> bytes:
    """A message as bytes."""
    return kind.encode() + json.dumps(body, separators=(",", ":")).encode("utf-8", "surrogateescape")


def decode(data: bytes) -> tuple[str, Any]:
    """(kind, body) of a message."""
    return chr(data[0]), json.loads(data[1:])


def send(sock: socket.socket, data: bytes, fds: list[int]) -> bool:
    """Send one message without waiting; False if the socket is full. Raises OSError when the peer is gone."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds).tobytes())] if fds else []
    try:
        sock.sendmsg([data], ancillary, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    except BlockingIOError:
        return False
    return True


def receive(sock: socket.socket) -> tuple[bytes, list[int]] | None:
    """One message with its descriptors (close-on-exec), None if there is none yet, empty bytes at the end."""
    try:
        data, ancillary, _flags, _addr = sock.recvmsg(1 << 20, socket.CMSG_SPACE(253 * 4), socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC)
    except BlockingIOError:
        return None
    except ConnectionResetError:
        return b"", []
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    return data, list(fds)


def widen(sock: socket.socket) -> None:
    """Ask for large buffers; without the privilege the kernel gives what it may."""
    for option in (32, socket.SO_SNDBUF):  # SO_SNDBUFFORCE has no name in the socket module
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
            return
        except OSError:
            continue

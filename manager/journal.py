"""The real journal's stream socket (sd-journal's stdout protocol, as systemd's exec_context speaks it)."""

from __future__ import annotations

import os
import socket

SOCKET = "/run/systemd/journal/stdout"
_INFO = 6


def open_stream(unit: str, identifier: str, path: str = SOCKET) -> int:
    """A descriptor whose lines go to the journal as `identifier` of `unit`. Raises OSError when there is no journal that listens."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setblocking(False)  # a journal that does not accept must not stop the manager
        sock.connect(path)
        sock.shutdown(socket.SHUT_RD)
        head = f"{_one_line(identifier)}\n{_one_line(unit)}\n{_INFO}\n1\n0\n0\n0\n".encode("utf-8", "surrogateescape")
        sock.sendall(head)
        sock.setblocking(True)
        return sock.detach()
    finally:
        sock.close()


def stream_name(fd: int) -> str:
    """What $JOURNAL_STREAM says about a stream (systemd.exec(5))."""
    found = os.fstat(fd)
    return f"{found.st_dev}:{found.st_ino}"


def _one_line(text: str) -> str:
    return text.replace("\n", " ")

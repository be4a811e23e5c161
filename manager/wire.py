"""Messages between manager and warden: one letter and a JSON body in a SEQPACKET message, file descriptors by SCM_RIGHTS.

Standard library only: the warden imports this without site-packages.
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import json
import os

from unitd.manager.rights import attached, close_all, receive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Sequence
    from typing import Any
else:
    from _collections import deque

VERSION = 1

# from the manager
HELLO = "H"  # version
SPAWN = "S"  # [spec...], fds
ACK = "A"  # sequence number: this exit and all before it
STORE = "T"  # [[name, count]...], fds; in both directions
DROP = "D"  # name
QUIT = "Q"  # exit code
WATCH = "W"  # ready; seconds that a turn of the loop may take, and the timer that measures it, or null
PING = "?"  # anything
REEXEC = "R"  # replace yourself and the manager by what is on disk
# from the warden
KIDS = "K"  # [[pid, id]...], a pidfd each
GO = "G"  # the snapshot is complete
SPAWNED = "P"  # [[id, pid, errno, has_pidfd]...], pidfds
EXIT = "X"  # [[seq, pid, id, wait status]...]
CHILDERR = "C"  # [id, exit code, errno, step]
WAKE = "U"  # to one in reserve: it is needed now; how many before it failed at their start
PONG = "!"  # what came with PING

MAX_FDS = 250  # the kernel takes 253
MAX_ITEMS = 100
_INLINE = 60_000  # longer bodies travel in a memfd: a message may not be longer than the send buffer
_RECEIVE = 65_536
_LATER = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS)
_SO_SNDBUFFORCE = 32


class Channel:
    """One end of the conversation: non-blocking, with an out-queue, so that a peer that does not read stops nobody."""

    def __init__(self, sock: _socket.socket) -> None:
        """Takes the socket over."""
        self.sock = sock
        sock.setblocking(False)
        os.set_inheritable(sock.fileno(), False)
        try:
            sock.setsockopt(_socket.SOL_SOCKET, _SO_SNDBUFFORCE, 1 << 22)
        except OSError:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, 1 << 20)
        self._queue: deque[tuple[bytes, list[int]]] = deque()

    @property
    def pending(self) -> bool:
        """Is there something that could not be sent yet?"""
        return bool(self._queue)

    def send(self, kind: str, body: object, fds: Sequence[int] = (), *, consume: bool = False) -> None:
        """Send or queue a message. The caller keeps its fds unless `consume`. A peer that is gone is not an error here."""
        data = json.dumps(body, separators=(",", ":")).encode()
        own = list(fds) if consume else []
        passed = list(fds)
        if len(data) > _INLINE:
            memfd = os.memfd_create("unitd-message", os.MFD_CLOEXEC)
            view = memoryview(data)
            while view:
                view = view[os.write(memfd, view) :]
            data = b""
            passed.append(memfd)
            own.append(memfd)
            kind = kind + "*"
        packet = kind.encode() + data
        if not self._queue and self._send_now(packet, passed):
            close_all(own)
        else:
            self._queue.append((packet, [fd if fd in own else fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in passed]))

    def _send_now(self, packet: bytes, fds: list[int]) -> bool:
        try:
            self.sock.sendmsg([packet], attached(fds), _socket.MSG_NOSIGNAL)
        except OSError as error:
            if error.errno in _LATER:
                return False
            if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                raise
        return True

    def flush(self) -> bool:
        """Send what is queued. True when nothing is left."""
        while self._queue:
            packet, fds = self._queue[0]
            if not self._send_now(packet, fds):
                return False
            self._queue.popleft()
            close_all(fds)
        return True

    def receive(self) -> tuple[str, Any, list[int]] | None:
        """The next message as (kind, body, fds), or None when there is none yet. Raises EOFError when the peer is gone.

        The fds are close-on-exec and the caller's to close. A body that is no JSON comes back as kind "".
        """
        try:
            data, fds = receive(self.sock, _RECEIVE)
        except BlockingIOError:
            return None
        except ConnectionError:
            raise EOFError from None
        if not data:
            close_all(fds)
            raise EOFError
        letter, text = data[:1].decode("latin-1"), data[1:]
        try:
            if text[:1] == b"*":
                memfd = fds.pop()
                with open(memfd, "rb") as file:
                    file.seek(0)
                    text = file.read()
            return letter, json.loads(text), fds
        except (ValueError, IndexError, OSError):
            return "", None, fds

    def close(self) -> None:
        """Close the socket and forget the queue."""
        for _packet, fds in self._queue:
            close_all(fds)
        self._queue.clear()
        self.sock.close()

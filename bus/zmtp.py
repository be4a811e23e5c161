"""Just enough ZMTP 3.0 (RFC 23) over a Unix socket for a client: loading all of libzmq takes longer than most commands run.

The greeting and READY may go out together; the first message has to wait for the peer's READY.

The C modules below `socket` and `os` do all that is needed here, and importing them takes 0.3 ms instead of 5. A program that has `socket` anyway
gets sockets from there: in one that gevent has patched they let others run while they wait.
"""

import errno
import sys
import time
from _socket import AF_UNIX, SHUT_RDWR, SO_PEERCRED, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET, socket
from posix import getuid

_GREETING = b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" * 32
_MORE, _LONG, _COMMAND = 1, 2, 4
MAX_FRAME = 1 << 28


class Closed(ConnectionError):
    """The other side is gone, or speaks something else."""


class Connection:
    """A connected DEALER or SUB. Not for several threads."""

    def __init__(self, path: str, kind: str, timeout: float = 5.0) -> None:
        """Connect and shake hands. Raises OSError (Closed, TimeoutError, FileNotFoundError, ConnectionRefusedError, PermissionError)."""
        self._buffer = bytearray()
        self._frames: list[bytes] = []
        loaded = sys.modules.get("socket")
        make: type[socket] = loaded.socket if loaded is not None else socket
        self._socket = make(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
        deadline = time.monotonic() + timeout
        try:
            self._connect(path, deadline)
            self._check_owner()
            ready = b"\x05READY" + _property(b"Socket-Type", kind.encode()) + (_property(b"Identity", b"") if kind == "DEALER" else b"")
            self._socket.sendall(_GREETING + bytes((_COMMAND, len(ready))) + ready)
            greeting = self._take(64, deadline)
            if greeting[0] != 0xFF or greeting[10] < 3 or greeting[12:16] != b"NULL":
                raise Closed(errno.EPROTO, "it does not speak ZMTP 3")
            flags, body = self._frame(deadline)
            if not flags & _COMMAND or not body.startswith(b"\x05READY"):
                raise Closed(errno.EPROTO, "it refused the connection")
        except BaseException:
            self._socket.close()
            raise

    def _connect(self, path: str, deadline: float) -> None:
        while True:
            self._socket.settimeout(_left(deadline))
            try:
                return self._socket.connect(path)
            except BlockingIOError:
                # the listen backlog is full; a Unix socket does not wait by itself
                if time.monotonic() > deadline:
                    raise TimeoutError(errno.ETIMEDOUT, "too many are connecting") from None
                time.sleep(0.01)

    def _check_owner(self) -> None:
        """A bus in a shared directory could be anybody's: only root's and one's own are trusted."""
        raw = self._socket.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)  # struct ucred: pid, uid, gid
        uid = int.from_bytes(raw[4:8], sys.byteorder)
        if getuid() not in (0, uid) and uid != 0:
            raise PermissionError(errno.EPERM, f"it belongs to user {uid}")

    def send(self, *frames: bytes, timeout: float = 5.0) -> None:
        """Send one message. Raises OSError."""
        raw = bytearray()
        for i, frame in enumerate(frames):
            more = _MORE if i + 1 < len(frames) else 0
            raw += bytes((more, len(frame))) if len(frame) < 256 else bytes((more | _LONG,)) + len(frame).to_bytes(8, "big")
            raw += frame
        self._socket.settimeout(timeout)
        self._socket.sendall(raw)

    def receive(self, timeout: float | None) -> list[bytes] | None:
        """The next message, None when none came in time. Raises OSError, Closed at the end."""
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while True:
                flags, body = self._frame(deadline)
                if flags & _COMMAND:
                    if body.startswith(b"\x04PING"):
                        pong = b"\x04PONG" + body[7:]
                        self._socket.sendall(bytes((_COMMAND, len(pong))) + pong)
                    continue
                self._frames.append(body)
                if not flags & _MORE:
                    message, self._frames = self._frames, []
                    return message
        except TimeoutError:
            return None

    def _frame(self, deadline: float | None) -> tuple[int, bytes]:
        """One frame; nothing is lost when it times out in the middle."""
        self._fill(2, deadline)
        flags = self._buffer[0]
        head = 9 if flags & _LONG else 2
        self._fill(head, deadline)
        size = int.from_bytes(self._buffer[1:head], "big")
        if flags > 7 or size > MAX_FRAME:
            raise Closed(errno.EPROTO, "it sent garbage")
        return flags, self._take(head + size, deadline)[head:]

    def _take(self, count: int, deadline: float | None) -> bytes:
        self._fill(count, deadline)
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _fill(self, count: int, deadline: float | None) -> None:
        while len(self._buffer) < count:
            self._socket.settimeout(None if deadline is None else _left(deadline))
            got = self._socket.recv(65536)
            if not got:
                raise Closed(errno.ECONNRESET, "it closed the connection")
            self._buffer += got

    def fileno(self) -> int:
        """The socket's descriptor, for select and the like."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close; harmless when closed already. Another thread that waits to receive gets the end of the connection."""
        try:
            self._socket.shutdown(SHUT_RDWR)
        except OSError:
            pass  # closed, or the other side is gone
        self._socket.close()


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def _property(name: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + len(value).to_bytes(4, "big") + value

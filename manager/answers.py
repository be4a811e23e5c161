"""What the logger has to say to the manager, sent as the manager takes it. Imports next to nothing: see `logger`."""

from __future__ import annotations

import _socket
import marshal
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from typing import Any
else:
    from _collections import deque


class Answers:
    """A queue before a socket. A manager that does not read costs memory, and no time."""

    def __init__(self, sock: _socket.socket, epoll: select.epoll) -> None:
        """`sock` (SEQPACKET) is registered in `epoll` for reading; for writing it is while something waits."""
        self.sock, self.epoll = sock, epoll
        self.waiting: deque[bytes] = deque()
        self.events = select.EPOLLIN

    def tell(self, message: dict[str, Any]) -> None:
        """One message, with the next `send`."""
        self.waiting.append(marshal.dumps(message))

    def send(self) -> None:
        """As much as the socket takes. Nothing is kept for a manager that is gone: its successor brings a new logger."""
        while self.waiting:
            try:
                self.sock.send(self.waiting[0], _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
            except BlockingIOError:
                break
            except OSError:
                self.waiting.clear()
                break
            self.waiting.popleft()
        wanted = select.EPOLLIN | (select.EPOLLOUT if self.waiting else 0)
        if wanted != self.events:
            self.events = wanted
            self.epoll.modify(self.sock.fileno(), wanted)

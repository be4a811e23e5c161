"""Descriptors that travel with a message (SCM_RIGHTS, unix(7)).

Imports next to nothing: warden and logger use it, and have to be there quickly.
"""

from __future__ import annotations

import _socket
import os
from struct import pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: The kernel's SCM_MAX_FD.
MOST = 253
_KIND = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)


def attached(fds: Sequence[int]) -> list[tuple[int, int, bytes]]:
    """What sendmsg takes along, so that the other side gets copies of `fds`."""
    return [(*_KIND, pack(f"{len(fds)}i", *fds))] if fds else []


def received(controls: Iterable[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors in what recvmsg found beside the data: the caller's to close."""
    return [fd for level, kind, body in controls if (level, kind) == _KIND for fd in unpack(f"{len(body) // 4}i", body[: len(body) // 4 * 4])]


def receive(sock: _socket.socket, size: int, most: int = MOST) -> tuple[bytes, list[int]]:
    """One message of up to `size` bytes with up to `most` descriptors, which are close-on-exec and the caller's to close.

    Raises OSError as recvmsg does: BlockingIOError when there is none.
    """
    data, controls, _flags, _address = sock.recvmsg(size, _socket.CMSG_SPACE(4 * most), _socket.MSG_CMSG_CLOEXEC)
    return data, received(controls)


def close_all(fds: Iterable[int]) -> None:
    """Close them."""
    for fd in fds:
        os.close(fd)

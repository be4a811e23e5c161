"""Keeps copies of what the warden keeps in systemd's fd store, so that not even the warden's death loses it (FDSTORE= in sd_notify(3)).

FDPOLL=0 throughout: without it systemd drops a pipe or a pidfd at the moment its other side is gone, with what is still in it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections import deque
from collections.abc import Sequence

from unitd.manager import salvage, takeover
from unitd.manager.rights import attached, close_all

log = logging.getLogger("unitd")
MAX_FDS = 250
#: systemd passes all names in one environment string, of 128 KiB at most: with more it could never start unitd again.
MAX_NAMES = 100_000


class Forwarder:
    """Sends without ever blocking; what systemd does not take at once is queued. Beyond the limits nothing is kept, and that is said once."""

    def __init__(self, address: str, loop: asyncio.AbstractEventLoop, max_fds: int) -> None:
        """`address` is $NOTIFY_SOCKET. systemd cannot start unitd again with more descriptors than RLIMIT_NOFILE: `max_fds` is well below."""
        self.loop, self.max_fds = loop, max_fds
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.connect("\0" + address[1:] if address.startswith("@") else address)
        self.kept: dict[str, int] = {}  # name in systemd's store -> descriptors
        self._queue: deque[tuple[bytes, list[int]]] = deque()
        self._full = False
        self._writing = False

    def push(self, name: str, fds: Sequence[int]) -> None:
        """Have systemd keep copies under `name` as well. systemd knows what it has: the same again does no harm."""
        count = sum(self.kept.values()) + len(fds)
        names = sum(len(n) * held + held for n, held in self.kept.items()) + (len(name) + 1) * len(fds)
        if count > self.max_fds or names > MAX_NAMES:
            if not self._full:
                log.warning("systemd's store takes no more than %d descriptors: should the warden be killed, output of some services is lost", self.max_fds)
            self._full = True
            return
        self.kept[name] = self.kept.get(name, 0) + len(fds)
        for i in range(0, len(fds), MAX_FDS):
            self._send(f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0".encode(), list(fds[i : i + MAX_FDS]))

    def drop(self, name: str) -> None:
        """Have systemd close what it keeps under `name`."""
        if self.kept.pop(name, 0):
            self._send(f"FDSTOREREMOVE=1\nFDNAME={name}".encode(), [])

    def forget(self, name: str) -> None:
        """As `drop`, for what an earlier unitd had it keep."""
        self.kept.setdefault(name, 1)
        self.drop(name)

    def stored(self, name: str, fds: Sequence[int]) -> None:
        """The warden keeps something new."""
        # What systemd opened it has anyway; and it must not hold the lock for us while we are gone.
        if not name.startswith(salvage.GIVEN) and name != takeover.LOCK:
            self.push(salvage.outer_name(name), fds)

    def dropped(self, name: str) -> None:
        """The warden keeps it no longer."""
        self.drop(salvage.outer_name(name))

    def _send(self, text: bytes, fds: list[int]) -> None:
        if self._queue or not self._send_now(text, fds):
            self._queue.append((text, [os.dup(fd) for fd in fds]))
            if not self._writing:
                self._writing = True
                self.loop.add_writer(self.sock.fileno(), self._flush)

    def _send_now(self, text: bytes, fds: Sequence[int]) -> bool:
        try:
            self.sock.sendmsg([text], attached(fds), socket.MSG_NOSIGNAL)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ENOBUFS, errno.ETOOMANYREFS):
                return False
            log.error("cannot reach systemd's notification socket: %s", error.strerror)
        return True

    def _flush(self) -> None:
        while self._queue:
            text, fds = self._queue[0]
            if not self._send_now(text, fds):
                return
            self._queue.popleft()
            close_all(fds)
        self._writing = False
        self.loop.remove_writer(self.sock.fileno())

    def close(self) -> None:
        """Forget what was not sent."""
        if self._writing:
            self.loop.remove_writer(self.sock.fileno())
        for _, fds in self._queue:
            close_all(fds)
        self._queue.clear()
        self.sock.close()

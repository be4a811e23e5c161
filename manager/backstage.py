"""What the logger must not wait for: removing big files and fsync in a thread of its own, compression in a child process."""

from __future__ import annotations

import _thread
import os
import sys
from _queue import SimpleQueue

from unitd.manager import stderr

_PRESS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "logpress.py")
_BACKLOG = 8


class Backstage:
    """One idle-priority worker thread (made when there is work) and at most one compressor."""

    def __init__(self, press: bool = True) -> None:
        """Without `press` nothing is ever compressed."""
        self._queue: SimpleQueue[tuple[str, list[str], int]] | None = None
        self._press = press
        self._waiting: list[tuple[str, str]] = []
        self.child = 0
        self.pidfd = -1  # readable when the compressor has ended: then call `ended`

    def _put(self, kind: str, paths: list[str], fd: int) -> None:
        if self._queue is None:
            self._queue = SimpleQueue()
            _thread.start_new_thread(_work, (self._queue,))
        self._queue.put((kind, paths, fd))

    def remove(self, paths: list[str]) -> None:
        """Unlink; what is not there is no error."""
        self._put("remove", paths, -1)

    def sync(self, fd: int) -> None:
        """fdatasync `fd` and close it. When the disk is far behind, only close it: files must not pile up that are gone already."""
        behind = self._queue is not None and self._queue.qsize() > _BACKLOG
        self._put("close" if behind else "sync", [], fd)

    def close(self, fd: int) -> None:
        """Close the last descriptor of a file that may be big and gone."""
        self._put("close", [], fd)

    def press(self, directory: str, how: str) -> None:
        """Compress the rotated files in `directory`: `how` is zstd, gzip, or yes for the better one that is there."""
        if self._press and (directory, how) not in self._waiting:
            self._waiting.append((directory, how))
            self._next()

    def _next(self) -> None:
        if self.child or not self._waiting:
            return
        directory, how = self._waiting.pop(0)
        try:
            null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1)]
            self.child = os.posix_spawn(sys.executable, [sys.executable, "-I", _PRESS, directory, how], {"PATH": "/usr/bin:/bin"}, file_actions=null)
            self.pidfd = os.pidfd_open(self.child)
        except OSError as error:
            stderr.write(f"unitd: cannot compress {directory}, because {error.strerror}\n".encode())

    def ended(self) -> None:
        """The compressor has ended; start the next."""
        if self.child:
            os.waitpid(self.child, 0)
            os.close(self.pidfd)
            self.child, self.pidfd = 0, -1
        self._next()

    def leave(self) -> None:
        """Stop the compressor: its work is begun anew by the next logger."""
        if self.child:
            os.kill(self.child, 15)
            os.waitpid(self.child, 0)


def _work(queue: SimpleQueue[tuple[str, list[str], int]]) -> None:
    os.setpriority(os.PRIO_PROCESS, _thread.get_native_id(), 19)
    while True:
        kind, paths, fd = queue.get()
        for path in paths:
            try:
                os.unlink(path)
            except OSError:
                continue
        if fd >= 0:
            if kind == "sync":
                try:
                    os.fdatasync(fd)
                except OSError:
                    pass  # a file system that cannot; the bytes are as safe as it makes them
            os.close(fd)

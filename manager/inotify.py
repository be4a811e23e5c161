"""inotify(7) for one directory, through libc; the standard library has no door to it."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable

IN_CLOSE_WRITE, IN_MOVED_TO, IN_CREATE, IN_ATTRIB, IN_MODIFY = 0x8, 0x80, 0x100, 0x4, 0x2
_libc = ctypes.CDLL(None, use_errno=True)


def watch(loop: asyncio.AbstractEventLoop, directory: str, changed: Callable[[], None]) -> Callable[[], None]:
    """Call `changed()` after every change in `directory`; the result ends the watch. A missing directory is never reported."""
    fd = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        return lambda: None
    _libc.inotify_add_watch(fd, os.fsencode(directory), IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_MODIFY)

    def ready() -> None:
        try:
            os.read(fd, 65536)
        except BlockingIOError:
            return
        changed()

    def stop() -> None:
        loop.remove_reader(fd)
        os.close(fd)

    loop.add_reader(fd, ready)
    return stop

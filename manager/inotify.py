"""inotify(7) through libc; the standard library has no door to it."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable

IN_CLOSE_WRITE, IN_MOVED_TO, IN_CREATE, IN_ATTRIB, IN_MODIFY = 0x8, 0x80, 0x100, 0x4, 0x2
IN_MOVED_FROM, IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF = 0x40, 0x200, 0x400, 0x800
IN_IGNORED, IN_DONT_FOLLOW, IN_MASK_ADD = 0x8000, 0x2000000, 0x20000000
_libc = ctypes.CDLL(None, use_errno=True)


def create() -> int:
    """A descriptor to read events from. Raises OSError when the user has no more instances (fs.inotify.max_user_instances)."""
    fd: int = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "inotify")
    return fd


def add_watch(fd: int, path: str, mask: int, also: bool = False) -> int:
    """Watch `path`; its watch descriptor. With `also`, what the path was watched for before stays. Raises OSError."""
    wd: int = _libc.inotify_add_watch(fd, os.fsencode(path), mask | (IN_MASK_ADD if also else 0))
    if wd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    return wd


def watch(loop: asyncio.AbstractEventLoop, directory: str, changed: Callable[[], None], name: str = "") -> Callable[[], None]:
    """Call `changed()` after every change in `directory` (to the entry `name` only, if given); the result ends the watch.

    A missing directory is never reported.
    """
    fd = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        return lambda: None
    _libc.inotify_add_watch(fd, os.fsencode(directory), IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_MODIFY)
    wanted = os.fsencode(name)

    def ready() -> None:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return
        if not wanted or wanted + b"\0" in data:
            changed()

    def stop() -> None:
        loop.remove_reader(fd)
        os.close(fd)

    loop.add_reader(fd, ready)
    return stop

"""Watches paths through inotify(7), whether they exist or not: on the path itself, and on the directories that lead to it (as systemd's path.c does)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import Callable, Iterable

from unitd.manager.inotify import (
    IN_ATTRIB,
    IN_CLOSE_WRITE,
    IN_CREATE,
    IN_DELETE,
    IN_DELETE_SELF,
    IN_DONT_FOLLOW,
    IN_IGNORED,
    IN_MODIFY,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    add_watch,
    create,
)
from unitd.units.path import PathSpec

_GONE = IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB
_CHANGED = _GONE | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO
_ARRIVAL = IN_CREATE | IN_MOVED_TO | _GONE
#: What is to be heard of the path itself.
_MASKS = {
    "PathExists": _GONE,
    "PathExistsGlob": _GONE,
    "PathChanged": _CHANGED,
    "PathModified": _CHANGED | IN_MODIFY,
    "DirectoryNotEmpty": _ARRIVAL,
}
#: Directories that lead to a path that is there: they matter when they go away.
_LEADING = IN_DELETE_SELF | IN_MOVE_SELF
_EVENT = struct.Struct("iIII")


class PathWatch:
    """Calls `happened(index, changed)` once for what is read at once: `changed` if line `index` itself changed in the way it asks for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, specs: Iterable[PathSpec], happened: Callable[[int, bool], None]) -> None:
        """Raises OSError when a path cannot be watched, or the user has no inotify instances left."""
        self.loop, self.happened = loop, happened
        self.specs = list(specs)
        self._masks: dict[int, int] = {}
        self._names: dict[int, tuple[str, int]] = {}
        self._primary: dict[int, list[int]] = {}
        self.fd = create()
        try:
            for index, spec in enumerate(self.specs):
                self._add(index, spec)
            for wd, (name, flags) in self._names.items():
                # While the watches were made every directory was watched for arrivals; now only those where one is awaited.
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # gone since: that event waits to be read
                    add_watch(self.fd, name, self._masks[wd] | flags)
        except OSError:
            os.close(self.fd)
            raise
        loop.add_reader(self.fd, self._ready)

    def close(self) -> None:
        """End the watch."""
        self.loop.remove_reader(self.fd)
        os.close(self.fd)

    def _add(self, index: int, spec: PathSpec) -> None:
        parts = [part for part in spec.path.split("/") if part]
        at, last = "/", self._watch("/", _ARRIVAL)
        for number, part in enumerate(parts):
            at = os.path.join(at, part)
            final = number == len(parts) - 1
            if os.path.islink(at):
                self._watch(at, _GONE, IN_DONT_FOLLOW)
                self._need(last, _ARRIVAL)
            here = self._watch(at, _MASKS[spec.kind] if final else _ARRIVAL)
            if here is None:  # not there: the directory before it tells when it comes
                break
            self._need(last, _LEADING)
            last = here
            if final:
                self._need(here, _MASKS[spec.kind])
                self._primary.setdefault(here, []).append(index)
                return
        self._need(last, _ARRIVAL)

    def _watch(self, path: str, mask: int, flags: int = 0) -> int | None:
        """Its watch descriptor, None where there is nothing."""
        try:
            # Another line may watch the same directory for more.
            wd = add_watch(self.fd, path, mask | flags, also=True)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        self._names.setdefault(wd, (path, flags))
        if flags:
            self._need(wd, mask)
        return wd

    def _need(self, wd: int | None, mask: int) -> None:
        if wd is not None:
            self._masks[wd] = self._masks.get(wd, 0) | mask

    def _ready(self) -> None:
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return
        at, found = 0, -1
        while at < len(data):
            wd, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            for index in self._primary.get(wd, ()):
                if found < 0 and not mask & IN_IGNORED and self.specs[index].kind in ("PathChanged", "PathModified"):
                    found = index
        self.happened(found, found >= 0)

"""The units as they are loaded, kept over the manager's death: to read a thousand files again would take longer than all else at a start.

A new manager goes on with the definitions that the last one had, as if it had lived on; `daemon-reload` and `daemon-reexec` read files.
"""

from __future__ import annotations

import os
import pickle
import sys
import zlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import unitd
from unitd.units import names

if TYPE_CHECKING:
    import asyncio

    from unitd.units.model import Unit

SAVE_AFTER = 2.0


def _key() -> bytes:
    """What has to be the same for the content to fit: unitd, Python, and the classes, wherever in the package they are."""
    with os.scandir(os.path.dirname(names.__file__)) as entries:
        files = sorted((entry.name, entry.stat().st_mtime_ns, entry.stat().st_size) for entry in entries if entry.name.endswith(".py"))
    return f"unitd units {unitd.__version__} {sys.hexversion:x} {zlib.crc32(repr(files).encode())}\n".encode()


def save(path: str, units: Iterable[Unit]) -> None:
    """Write them. Raises OSError."""
    body = pickle.dumps(list(units), 5)
    new = path + ".new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(_key() + zlib.crc32(body).to_bytes(4, "big") + body)
    os.replace(new, path)


def load(path: str) -> list[Unit]:
    """What was written, or nothing if it does not fit, is not whole, or belongs to somebody else: then the files are read."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_uid != os.getuid() or file.readline(300) != _key():
                return []
            check, body = file.read(4), file.read()
    except OSError:
        return []
    if zlib.crc32(body).to_bytes(4, "big") != check:
        return []
    units = pickle.loads(body)  # noqa: S301 - ours, whole, and as private as the state beside it
    return list(units)


def forget(path: str) -> None:
    """Have the next manager read the files."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


class KeptUnits:
    """Where the engine gets units from: first those that the last manager had, then the files. Implements `engine.UnitSource`."""

    def __init__(self, path: str, load_files: Callable[[str], Unit], loop: asyncio.AbstractEventLoop, known: Callable[[], Iterable[Unit]]) -> None:
        """`load_files` reads a unit from disk, `known` are the units to keep."""
        self.path, self.load_files, self.loop, self.known = path, load_files, loop, known
        self.kept = {unit.name: unit for unit in load(path)}
        self._saving: asyncio.TimerHandle | None = None

    def load(self, name: str) -> Unit:
        """The unit of that name; one that comes from disk is written down a little later."""
        unit = self.kept.pop(name, None)
        if unit is not None:
            return unit
        if self._saving is None:
            self._saving = self.loop.call_later(SAVE_AFTER, self._save)
        return self.load_files(name)

    def reread(self) -> None:
        """From now on the files count: for this manager, and if it dies, for the next."""
        self.kept.clear()
        forget(self.path)

    def drop(self, name: str) -> None:
        """The unit is gone, or has another definition: the next manager is not to have the old one."""
        self.kept.pop(name, None)
        forget(self.path)
        if self._saving is None:
            self._saving = self.loop.call_later(SAVE_AFTER, self._save)

    def _save(self) -> None:
        self._saving = None
        try:
            save(self.path, [unit for unit in self.known() if unit.load_state != "not-found"])
        except OSError as error:
            import logging  # which `unitd` at its start does without

            logging.getLogger("unitd").warning("cannot write %s, because %s; the next manager will read all unit files", self.path, error)

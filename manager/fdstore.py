"""The file descriptors that services have the manager keep (sd_notify(3): FDSTORE=, FDNAME=, FDSTOREREMOVE=, FDPOLL=). Copies are in the warden's store."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import select
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unitd.manager.room import MOST_PASSED
from unitd.manager.states import Record
from unitd.units.model import Unit
from unitd.units.socket import is_fd_name

if TYPE_CHECKING:
    from unitd.manager.link import WardenLink

log = logging.getLogger("unitd")
STORE = "fdstore"
_KCMP = {"x86_64": 312, "aarch64": 272}.get(os.uname().machine)
_KCMP_FILE = 0
_libc = ctypes.CDLL(None, use_errno=True)
#: Of one unit: beside its sockets and its output they have to fit into one message.
MOST = MOST_PASSED - 20


@dataclass(frozen=True)
class Entry:
    """One kept descriptor. `poll`: it goes when its other end does."""

    name: str
    fd: int
    poll: bool = True


class FdStore:
    """Kept descriptors by unit, oldest first."""

    def __init__(self, loop: asyncio.AbstractEventLoop, link: WardenLink) -> None:
        self.loop, self.link = loop, link
        self.entries: dict[str, list[Entry]] = {}
        self._hung_up = select.epoll()
        self._owner: dict[int, str] = {}  # polled fd -> unit
        loop.add_reader(self._hung_up.fileno(), self._ends)

    def add(self, unit: Unit, name: str, fds: Sequence[int], poll: bool) -> None:
        """Keep copies of `fds` under `name`, as far as FileDescriptorStoreMax= goes; one that is kept already is not kept twice."""
        label = name if name and is_fd_name(name) else "stored"
        have = self.entries.setdefault(unit.name, [])
        for fd in fds:
            if any(same_file(entry.fd, fd) for entry in have):
                continue
            if len(have) >= min(unit.service.file_descriptor_store_max, MOST):
                most = f"FileDescriptorStoreMax={unit.service.file_descriptor_store_max}" if len(have) < MOST else f"{MOST} is the most that can be passed on"
                log.warning("%s: a descriptor is not kept, because %s", unit.name, most)
                continue
            entry = Entry(label, os.dup(fd), poll)
            have.append(entry)
            self._poll(unit.name, entry)
            self.link.store(_key(unit.name, entry), [entry.fd])

    def remove(self, unit: str, name: str) -> None:
        """Forget all of that name."""
        self._drop(unit, [e for e in self.entries.get(unit, ()) if e.name == name])

    def release(self, unit: Unit, record: Record, restarting: bool) -> None:
        """The unit is down: FileDescriptorStorePreserve= decides whether they are kept."""
        preserve = unit.service.file_descriptor_store_preserve
        if preserve == "no" or (preserve == "restart" and not restarting):
            self._drop(unit.name, list(self.entries.get(unit.name, ())))

    def passed(self, unit: str) -> list[tuple[str, int]]:
        """(name, descriptor), the newest first as systemd has it (case notify-030)."""
        return [(entry.name, entry.fd) for entry in reversed(self.entries.get(unit, ()))]

    def count(self, unit: str) -> int:
        """How many are kept."""
        return len(self.entries.get(unit, ()))

    def restore(self, key: str, fds: Sequence[int]) -> None:
        """Take back what an earlier manager kept; `key` is the name in the warden's store, without its kind."""
        poll, _, rest = key.partition(":")
        unit, _, name = rest.partition(":")
        for fd in fds:
            entry = Entry(name, fd, poll == "poll")
            self.entries.setdefault(unit, []).append(entry)
            self._poll(unit, entry)

    # -- inside

    def _drop(self, unit: str, gone: Sequence[Entry]) -> None:
        if not gone:
            return
        left = [e for e in self.entries.get(unit, ()) if e not in gone]
        for key in dict.fromkeys(_key(unit, e) for e in gone):
            self.link.drop(key)
            same = [e.fd for e in left if _key(unit, e) == key]
            if same:
                self.link.store(key, same)
        for entry in gone:
            if self._owner.pop(entry.fd, None) is not None:
                self._hung_up.unregister(entry.fd)
            os.close(entry.fd)
        if left:
            self.entries[unit] = left
        else:
            self.entries.pop(unit, None)

    def _poll(self, unit: str, entry: Entry) -> None:
        if not entry.poll:
            return
        try:
            self._hung_up.register(entry.fd, 0)  # hang-up and error come unasked
        except OSError:  # a file: it has no other end
            return
        self._owner[entry.fd] = unit

    def _ends(self) -> None:
        for fd, _events in self._hung_up.poll(0):
            unit = self._owner.get(fd)
            if unit is not None:
                self._drop(unit, [e for e in self.entries.get(unit, ()) if e.fd == fd])


def _key(unit: str, entry: Entry) -> str:
    return f"{STORE}:{'poll' if entry.poll else 'keep'}:{unit}:{entry.name}"


def same_file(a: int, b: int) -> bool:
    """Do two descriptors stand for one open file (kcmp(2))? Where that cannot be asked, for one inode."""
    if _KCMP is not None:
        result = int(_libc.syscall(_KCMP, os.getpid(), os.getpid(), _KCMP_FILE, ctypes.c_ulong(a), ctypes.c_ulong(b)))
        if result >= 0:
            return result == 0
    one, other = os.fstat(a), os.fstat(b)
    return (one.st_dev, one.st_ino, one.st_mode) == (other.st_dev, other.st_ino, other.st_mode)

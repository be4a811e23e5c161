"""Which processes belong to which unit, for the sampler: by cgroup, or by descent from one listing of /proc per sweep."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from unitd.manager.procstat import GroupReader, ProcReader
from unitd.manager.stats import Reading

if TYPE_CHECKING:
    from unitd.manager.cgroup import CgroupTree
    from unitd.manager.engine import Engine
    from unitd.manager.processes import Processes

#: Sweeps after which foreign processes are looked at again: their pids may have been used anew.
_DISTRUST = 60


class Members:
    """Call `refresh` at the start of a sweep, then `of` for each unit."""

    def __init__(self, engine: Engine, processes: Processes, reader: ProcReader) -> None:
        self.engine, self.processes, self.reader = engine, processes, reader
        self.groups = GroupReader()
        self._unit_of: dict[int, tuple[int, str]] = {}  # pid -> start time and unit
        self._pids: dict[str, set[int]] = {}
        self._foreign: set[int] = set()
        self._read: set[int] = set()
        self._invocations: dict[str, str] = {}
        self._sweeps = 0

    def refresh(self) -> None:
        """Without cgroups: one listing of /proc, and a look at processes that are new. Foreign ones are remembered as such."""
        self._read.clear()
        if self.processes.cgroups:
            return
        self._sweeps += 1
        if self._sweeps % _DISTRUST == 0:
            self._foreign.clear()
        listed = {int(name) for name in os.listdir("/proc") if name[0] in "123456789"}
        self._foreign &= listed
        self._unit_of = {pid: known for pid, known in self._unit_of.items() if pid in listed}
        new: dict[int, Reading] = {}
        for pid in listed - self._foreign - self._unit_of.keys():
            reading = self.reader.read(pid, details=False)
            if reading is not None:
                new[pid] = reading
        sessions = {leader: unit for unit, leaders in self.processes.sessions.items() for leader in leaders}
        roots = {record.main_pid: record.name for record in self.engine.records.values() if record.main_pid > 1}
        self._invocations = {record.invocation: record.name for record in self.engine.records.values() if record.invocation}
        for pid in new:
            self._classify(pid, new, sessions, roots)
        self.reader.keep_only(set(self._unit_of))
        self._pids = {}
        for pid, (_start, unit) in self._unit_of.items():
            self._pids.setdefault(unit, set()).add(pid)

    def _classify(self, pid: int, new: dict[int, Reading], sessions: dict[int, str], roots: dict[int, str]) -> str:
        """The unit of a new process: that of its session, its INVOCATION_ID where it is an orphan, or that of its parent."""
        trail: list[int] = []
        unit, at = "", pid
        own = {os.getpid(), self.processes.warden_pid}
        while at > 1 and at not in own and at not in trail:
            known = self._unit_of.get(at)
            if known is not None:
                unit = known[1]
                break
            trail.append(at)
            reading = new.get(at)
            if reading is None:
                break
            unit = roots.get(at, "") or sessions.get(at, "") or sessions.get(reading.session, "")
            if not unit and reading.ppid == self.processes.warden_pid:
                # an orphan in a session of its own: a daemon
                unit = self._invocations.get(_invocation(at), "")
            if unit:
                break
            at = reading.ppid
        for seen in trail:
            if unit and seen in new:
                self._unit_of[seen] = (new[seen].start, unit)
            elif not unit:
                self._foreign.add(seen)
        return unit

    def of(self, unit: str, details: bool = True) -> tuple[list[Reading], float | None]:
        """(readings of all processes of the unit, CPU seconds of its cgroup if it has one).

        `details`: IO and descriptors too; without them a cgroup whose processes are all still there is taken to have no others.
        """
        if self.processes.cgroups:
            return self._of_group(unit, self.processes.cgroups, details)
        readings = []
        for pid in sorted(self._pids.get(unit, ())):
            reading = self.reader.read(pid, details)
            if reading is None:
                continue
            if self._unit_of.get(pid, (0, ""))[0] != reading.start:
                self._unit_of.pop(pid, None)  # the pid is another process now
                continue
            readings.append(reading)
        return readings, None

    def _of_group(self, unit: str, tree: CgroupTree, details: bool) -> tuple[list[Reading], float | None]:
        path = tree.path(unit)
        pids = self._pids.get(unit)
        if not details and pids:
            readings = [reading for pid in pids if (reading := self.reader.read(pid, False)) is not None]
            if len(readings) == len(pids):
                self._read |= pids
                return readings, None
        found = self.groups.pids(path)
        if found is None:
            self._pids.pop(unit, None)
            return [], None
        if self.groups.nested(path):
            found = tree.pids(path)
        pids = self._pids[unit] = set(found)
        self._read |= pids
        return [reading for pid in found if (reading := self.reader.read(pid, details)) is not None], self.groups.seconds(path)

    def tidy(self, units: set[str]) -> None:
        """After a sweep over `units`: close what belongs to others."""
        tree = self.processes.cgroups
        if tree:
            self.groups.keep_only({tree.path(unit) for unit in units})
            for unit in self._pids.keys() - units:
                del self._pids[unit]
            self.reader.keep_only(self._read)

    def close(self) -> None:
        """Close every descriptor."""
        self.groups.keep_only(set())
        self.reader.keep_only(set())
        self._unit_of.clear()
        self._pids.clear()
        self._foreign.clear()


def _invocation(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return ""
    return next((word[14:].decode("ascii", "replace") for word in words if word.startswith(b"INVOCATION_ID=")), "")

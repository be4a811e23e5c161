"""What `unitctl top` knows and shows: snapshots and events in, rows in order out. Pure."""

from __future__ import annotations

import fnmatch
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unitd.bus import events as bus

POINTS = 60  # of a sparkline
_RANK = {"failed": 0, "activating": 1, "deactivating": 2, "reloading": 3, "active": 4, "inactive": 5}


@dataclass
class Row:
    """One unit."""

    unit: str
    load: str = "loaded"
    active: str = "inactive"
    sub: str = "dead"
    result: str = ""
    job: str = ""
    since: float = 0.0
    active_enter: float = 0.0
    main_pid: int = 0
    restarts: int = 0
    plan_at: float = 0.0  # CLOCK_REALTIME of a planned restart
    status_text: str = ""
    last_failure: str = ""
    cpu: float = 0.0
    memory: int = 0
    tasks: int = 0
    fds: int = 0
    io: float = 0.0
    processes: list[bus.ProcessSample] = field(default_factory=list)
    cpu_points: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))
    memory_points: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))

    @property
    def up(self) -> bool:
        """Active or reloading."""
        return self.active in ("active", "reloading")

    def age(self, now: float) -> float:
        """Seconds in this ActiveState, 0 if unknown."""
        begun = self.active_enter if self.up else self.since
        return max(0.0, now - begun) if begun else 0.0


@dataclass
class Line:
    """One line of the list: a unit, or with `process` one of its processes, `depth` deep."""

    row: Row
    process: bus.ProcessSample | None = None
    depth: int = 0


#: key -> (title, sort key, is descending the natural order?)
SORTS: dict[str, tuple[str, Callable[[Row, float], Any], bool]] = {
    "cpu": ("CPU", lambda r, now: r.cpu, True),
    "memory": ("memory", lambda r, now: r.memory, True),
    "name": ("name", lambda r, now: r.unit, False),
    "state": ("state", lambda r, now: _RANK.get(r.active, 6), False),
    "restarts": ("restarts", lambda r, now: r.restarts, True),
    "age": ("age", lambda r, now: r.age(now), False),
}


class Model:
    """The list and what of it is shown. `now` is CLOCK_REALTIME everywhere."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self.patterns = list(patterns)
        self.rows: dict[str, Row] = {}
        self.position = 0
        self.connected, self.trouble = False, "connecting"
        self.sort, self.reverse = "cpu", False
        self.filter = ""
        self.tree = self.everything = False
        self.selected = ""
        self.stale = True  # a snapshot is wanted

    # -- input

    def snapshot(self, position: int, units: Sequence[Mapping[str, Any]]) -> None:
        """Take a snapshot over; graphs go on."""
        old, self.rows = self.rows, {}
        for data in units:
            if not self._wanted(str(data["unit"])):
                continue
            row = old.get(data["unit"]) or Row(data["unit"])
            for name in ("load", "active", "sub", "result", "job", "since", "active_enter", "main_pid", "restarts", "status_text", "last_failure"):
                if name in data:
                    setattr(row, name, data[name])
            row.plan_at = float((data.get("restart") or {}).get("at", 0.0))
            if not row.up:
                self._down(row)
            self.rows[row.unit] = row
        self.position, self.connected, self.trouble, self.stale = position, True, "", False

    def _wanted(self, unit: str) -> bool:
        return not self.patterns or any(fnmatch.fnmatchcase(unit, p) for p in self.patterns)

    def event(self, event: bus.Event) -> None:
        """Take an event over; those that the snapshot has already change nothing."""
        if isinstance(event, bus.Gap | bus.ManagerEvent) or (isinstance(event, bus.Reloaded) and not event.unit):
            self.stale = True
            return
        if not event.unit or not self._wanted(event.unit):
            return
        if isinstance(event, bus.StatsSample):
            self._sample(event)
            return
        if event.position <= self.position:
            return
        row = self.rows.get(event.unit)
        if row is None:
            row = self.rows[event.unit] = Row(event.unit)
            self.stale = True
        match event:
            case bus.UnitChanged():
                if event.active != row.active:
                    row.since = event.time
                    if event.active == "active" and row.active != "reloading":
                        row.active_enter = event.time
                row.active, row.sub, row.result, row.main_pid, row.restarts = event.active, event.sub, event.result, event.main_pid, event.restarts
                if event.sub != "auto-restart":
                    row.plan_at = 0.0
                if not row.up:
                    self._down(row)
            case bus.JobChanged():
                row.job = event.type if event.state == "waiting" else ""
            case bus.RestartPlanned():
                row.plan_at, row.last_failure = event.at, event.reason
            case bus.StatusText():
                row.status_text = event.text
            case _:
                return

    def _sample(self, event: bus.StatsSample) -> None:
        row = self.rows.get(event.unit)
        if row is None:
            return
        row.cpu, row.memory, row.tasks, row.fds, row.restarts = event.cpu, event.memory, event.tasks, event.fds, event.restarts
        row.io, row.processes = event.read_rate + event.write_rate, event.processes
        row.cpu_points.append(event.cpu)
        row.memory_points.append(float(event.memory))

    @staticmethod
    def _down(row: Row) -> None:
        row.cpu, row.memory, row.tasks, row.fds, row.io, row.processes = 0.0, 0, 0, 0, 0.0, []

    def lost(self, why: str) -> None:
        """No manager answers."""
        self.connected, self.trouble, self.stale = False, why, True

    # -- what is shown

    def shown(self, now: float) -> list[Row]:
        """Rows that pass the filter, in order. Units that are no services show only while they are up or failed, or with `everything`."""
        needle = self.filter.lower()
        rows = [
            row
            for row in self.rows.values()
            if (self.everything or row.unit.endswith(".service") or row.active == "failed")
            and (self.everything or row.load != "not-found" or row.active != "inactive")
            and (not needle or needle in row.unit.lower() or needle == row.active or needle == row.sub)
        ]
        _title, key, descending = SORTS[self.sort]
        rows.sort(key=lambda row: row.unit)
        rows.sort(key=lambda row: key(row, now), reverse=descending != self.reverse)
        return rows

    def lines(self, now: float) -> list[Line]:
        """The list: units, with their processes below them in tree mode."""
        found: list[Line] = []
        for row in self.shown(now):
            found.append(Line(row))
            if self.tree:
                found += [Line(row, process, depth) for process, depth in forest(row.processes)]
        return found

    def choose(self, now: float, step: int) -> None:
        """Move the selection by `step` units; with 0 only make it one that is shown."""
        names = [row.unit for row in self.shown(now)]
        if not names:
            self.selected = ""
        elif self.selected not in names:
            self.selected = names[0]
        elif step:
            self.selected = names[max(0, min(len(names) - 1, names.index(self.selected) + step))]

    def totals(self) -> tuple[dict[str, int], float, int]:
        """(units by ActiveState, CPU, memory) of all that is known."""
        states: dict[str, int] = {}
        for row in self.rows.values():
            states[row.active] = states.get(row.active, 0) + 1
        return states, sum(row.cpu for row in self.rows.values()), sum(row.memory for row in self.rows.values())


def forest(processes: Sequence[bus.ProcessSample]) -> list[tuple[bus.ProcessSample, int]]:
    """Processes with children behind their parents, and how deep they are."""
    known = {process.pid: process for process in processes}
    children: dict[int, list[bus.ProcessSample]] = {}
    for process in sorted(processes, key=lambda p: p.pid, reverse=True):
        children.setdefault(process.ppid if process.ppid in known and process.ppid != process.pid else 0, []).append(process)
    found: list[tuple[bus.ProcessSample, int]] = []
    stack = [(process, 1) for process in children.get(0, [])]
    while stack:
        process, depth = stack.pop()
        found.append((process, depth))
        stack += [(child, depth + 1) for child in children.pop(process.pid, [])]
    return found


def scroll(count: int, height: int, chosen: int, top: int) -> int:
    """The first line to show of `count`, so that `chosen` is among the `height` that fit."""
    if chosen < top:
        top = chosen
    elif chosen >= top + height:
        top = chosen - height + 1
    return max(0, min(top, count - height))

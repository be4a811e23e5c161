"""All units the manager knows: their definitions, records and relations; loading, reloading and forgetting them. No system calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

import msgspec

from unitd.manager import machines
from unitd.manager.graph import Graph
from unitd.manager.jobs import UP_STATES, Job
from unitd.manager.platform import Platform
from unitd.manager.states import Record
from unitd.units import names, transient
from unitd.units.model import Unit

#: So many instances of templates that are down are remembered, for `status` and `show`.
KEPT_INSTANCES = 64


class UnitSource(Protocol):
    """Where units come from: `unitd.units.loader.Loader`."""

    def load(self, name: str) -> Unit:
        """The unit as it is on disk now; bad input shows in `load_state`. The same object as long as nothing has changed."""


class UnitTable:
    """Units and records by name. Aliases are looked through everywhere."""

    def __init__(self, source: UnitSource, platform: Platform) -> None:
        self.source, self.platform = source, platform
        self.graph = Graph()
        self.aliases = self.graph.aliases
        self.records: dict[str, Record] = {}
        self.jobs: dict[str, Job] = {}
        self.changed: set[str] = set()  # records to be written at the end of this turn
        self.forgotten: set[str] = set()  # records to be deleted then
        self.kept: dict[str, str] = {}  # units whose new text is bad: why; the old definition stays in force
        self.change_waiters: dict[str, list[Callable[[], None]]] = defaultdict(list)
        self.watchers: list[Callable[[str], None]] = []  # told the name of every unit whose state changed, or whose job is over
        self.held: list[str] = []  # units that somebody waits for, and that are not forgotten yet
        self._idle: dict[str, None] = {}  # units that may be no longer needed, oldest first

    def unit(self, name: str) -> Unit:
        """The unit called `name` (or known by that alias), loaded if need be. A unit that was not found is looked for again."""
        name = self.aliases.get(name, name)
        unit = self.graph.units.get(name)
        if unit is None:
            return self.adopt(self.source.load(name), name)
        if unit.load_state == "not-found" and self.active(name) in ("inactive", "failed"):
            found = self.source.load(name)
            return self.adopt(found, name) if found.load_state != "not-found" else unit
        return unit

    def adopt(self, unit: Unit, asked: str = "") -> Unit:
        """Take a freshly loaded unit in."""
        self.graph.add(unit)
        if asked and asked != unit.name:
            self.graph.alias(asked, unit.name)
        record = self.record(unit.name)
        if unit.name in machines.PERPETUAL:
            record.sub = "active"
        self.look_at(unit.name)
        return unit

    def record(self, name: str) -> Record:
        """The record of `name`. That of a unit nobody has loaded is a fresh one, and not kept."""
        name = self.aliases.get(name, name)
        record = self.records.get(name)
        if record is None:
            record = Record(name)
            if name in self.graph.units:
                self.records[name] = record
        return record

    def active(self, name: str) -> str:
        """ActiveState."""
        record = self.records.get(self.aliases.get(name, name))
        return record.active if record is not None else "inactive"

    def is_up(self, name: str) -> bool:
        """Active, activating or reloading."""
        return self.active(name) in UP_STATES

    def job(self, name: str) -> Job | None:
        """The job that the unit has."""
        return self.jobs.get(self.aliases.get(name, name))

    def applicable(self, unit: Unit, type: str) -> bool:
        """Can the unit take a job of this type at all?"""
        if type == "stop":
            return unit.name not in machines.PERPETUAL
        if type == "restart":
            return unit.name not in machines.PERPETUAL and unit.type in machines.MACHINES
        return type != "reload" or self.can_reload(unit)

    def can_reload(self, unit: Unit) -> bool:
        """Has the unit a way to reload?"""
        return machines.can_reload(unit, bool(self.graph.related(unit.name, "PropagatesReloadTo")))

    def in_use(self) -> set[str]:
        """Units that systemd would have in memory: not down, failed, with a job, or named by one of these."""
        todo = [name for name in self.graph.units if self.active(name) != "inactive" or name in self.jobs]
        found: set[str] = set()
        while todo:
            name = todo.pop()
            name = self.aliases.get(name, name)
            unit = self.graph.units.get(name)
            if unit is not None and name not in found:
                found.add(name)
                todo += [other for names in unit.unit.dependencies.values() for other in names]
        return found

    # -- reloading

    def reload_units(self) -> list[str]:
        """Read every known unit again. A unit whose new text is bad keeps its old definition. Returns what to tell."""
        told: list[str] = []
        for name in list(self.graph.units):
            old = self.graph.units.get(name)
            if old is None:  # it became another one's alias meanwhile
                continue
            new = self.source.load(name)
            if new is old:
                continue
            self.kept.pop(name, None)
            if old.load_state == "loaded" and new.load_state in ("error", "bad-setting"):
                self.kept[name] = first_error(new)
                told.append(f"{name}: its new text is bad, the old definition stays in force: {first_error(new)}")
                continue
            if new.load_state == "not-found":
                if self.active(name) == "inactive" and name not in self.jobs:
                    self.forget(name)
                    continue
                if self.active(name) not in ("inactive", "failed"):
                    # The service runs on under what it was started with; only LoadState tells that the file is gone.
                    new = msgspec.structs.replace(old, load_state="not-found", fragment_path="")
            self.adopt(new, name)
        return told

    # -- forgetting

    def look_at(self, name: str) -> None:
        """See at the end of this turn whether the unit is still needed."""
        self._idle.pop(name, None)
        self._idle[name] = None
        self.platform.later()

    def forget(self, name: str) -> None:
        """Drop a unit and its record."""
        for other in self.graph.related(name, "Triggers"):  # it may have been there for this one only
            self.look_at(other)
        self.graph.remove(name)
        self.kept.pop(name, None)
        self.changed.discard(name)
        if self.records.pop(name, None) is not None:
            self.forgotten.add(name)

    def collect(self) -> None:
        """Forget units that are down and that nobody names: what was not found, bare templates, instances (CollectMode=; the last few are remembered)."""
        idle = []
        for name in list(self._idle):
            unit, record = self.graph.units.get(name), self.records.get(name)
            if unit is None or record is None or not self._collectable(unit, record):
                del self._idle[name]
            elif unit.load_state == "not-found" or names.split(name)[1] == "" or unit.unit.collect_mode == "inactive-or-failed" or transient.is_transient(unit.fragment_path):
                del self._idle[name]
                self.forget(name)
            else:
                idle.append(name)
        for name in idle[: max(0, len(idle) - KEPT_INSTANCES)]:
            del self._idle[name]
            self.forget(name)

    def _collectable(self, unit: Unit, record: Record) -> bool:
        states = ("inactive", "failed") if unit.unit.collect_mode == "inactive-or-failed" else ("inactive",)
        if record.active not in states or unit.name in self.jobs or unit.name in self.held or self.change_waiters.get(unit.name) or self.graph.referenced(unit.name):
            return False
        if unit.load_state == "not-found" or names.split(unit.name)[1] is not None:
            return True
        return transient.is_transient(unit.fragment_path) or (unit.unit.collect_mode == "inactive-or-failed" and not unit.fragment_path)


def first_error(unit: Unit) -> str:
    """The first error of a unit that did not load, or its load state."""
    return next((str(p) for p in unit.problems if p.severity == "error"), unit.load_state)

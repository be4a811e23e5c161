"""Carries out what timer and path units ask for: looks at clocks, stamp files, paths and the units they activate, and starts those."""

from __future__ import annotations

import asyncio
import glob
import logging
import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from unitd.manager.jobs import Refused
from unitd.manager.pathwatch import PathWatch
from unitd.manager.realclock import RealClock
from unitd.manager.states import Record
from unitd.manager.triggerstates import (
    Activate,
    Activated,
    AskPath,
    AskTimer,
    ClockChanged,
    PathEvent,
    PathFacts,
    RealtimeElapsed,
    Resumed,
    TimerFacts,
    TriggerChanged,
    TriggerState,
    UnwatchPath,
    UnwatchTime,
    WatchTime,
    ZoneChanged,
)
from unitd.units.localzone import local_zone
from unitd.units.model import Unit
from unitd.units.path import PathSpec
from unitd.units.timer import triggered_unit

if TYPE_CHECKING:
    from unitd.manager.engine import Engine
    from unitd.manager.executor import Executor

log = logging.getLogger("unitd")
TYPES = (".timer", ".path")


class Triggers:
    """The platform's part for timer and path units."""

    def __init__(self, loop: asyncio.AbstractEventLoop, engine: Engine, executor: Executor, state_dir: str, began: float) -> None:
        """`state_dir`: below it are the stamp files of Persistent=; `began`: when unitd came up, by the monotonic clock."""
        self.loop, self.engine, self.executor = loop, engine, executor
        self.stamps = os.path.join(state_dir, "timers")
        self.zone = local_zone()
        self.started_at = began
        self.boot_at = self.started_at if in_container() else 0.0
        self.clock = RealClock(loop, self.elapsed, self.clock_set, self.zone_set)
        self.paths: dict[str, PathWatch] = {}
        executor.performers.update({
            AskTimer: self.ask_timer,
            WatchTime: lambda unit, record, e: self.clock.set(unit.name, e.at, e.generation),
            UnwatchTime: lambda unit, record, e: self.clock.drop(unit.name),
            AskPath: self.ask_path,
            UnwatchPath: lambda unit, record, e: self.unwatch(unit.name),
            Activate: self.activate,
        })
        executor.observers.append(self.observe)

    # -- the unit that is activated

    def target(self, unit: Unit) -> str:
        """The unit that a timer or path unit activates."""
        return triggered_unit(unit.name, unit.timer.unit if unit.type == "timer" else unit.path.unit)

    def state_of(self, name: str) -> TriggerState:
        """What that unit is like now."""
        unit = self.engine.unit(name)
        record = self.engine.record(name)
        problem = "" if unit.load_state == "loaded" else f"the unit it activates, {name}, is {unit.load_state}"
        if unit.load_state != "loaded" and record.active not in ("inactive", "failed"):
            problem = ""  # its file is gone, but it runs
        stamps = record.stamps
        return TriggerState(
            record.active, problem, record.result == "start-limit-hit", stamps.get("InactiveExitMonotonic", 0.0), stamps.get("InactiveEnterMonotonic", 0.0)
        )

    def observe(self, topic: str, data: dict[str, Any]) -> None:
        """Something is published: units of which timers and paths want to hear have changed, or a job of theirs is over."""
        kind, _, name = topic.partition(".")
        if kind not in ("unit", "job"):
            return
        by = self.engine.graph.rdeps(name, "Triggers")
        own = name.endswith(TYPES)
        if not by and not own:
            return
        matters = "old_active" in data if kind == "unit" else data.get("state") == "finished"
        if not matters:
            return
        for other in sorted(by):
            if other.endswith(TYPES):
                self.engine.dispatch(other, TriggerChanged(self.state_of(name)))

    def activate(self, unit: Unit, record: Record, effect: Activate) -> None:
        """Start the unit, and note when."""
        name = self.target(unit)
        now = time.time_ns() // 1000
        if effect.stamp:
            self.write_stamp(unit.name, now)
        problem = ""
        self.engine.monitors[name] = dict(effect.environment)
        try:
            self.engine.submit([name], "start")
        except Refused as error:
            problem = str(error)
        self.engine.dispatch(unit.name, Activated(now, problem))

    # -- timers

    def ask_timer(self, unit: Unit, record: Record, effect: AskTimer) -> None:
        stamp = None
        if effect.starting and unit.timer.persistent:
            stamp = self.read_stamp(unit.name)
        facts = TimerFacts(
            realtime=time.time_ns() // 1000,
            trigger=self.state_of(self.target(unit)),
            started_at=self.started_at,
            boot_at=self.boot_at,
            activated_at=record.stamps.get("InactiveExitMonotonic", 0.0),
            activated=round(record.stamps.get("InactiveExit", 0.0) * 1e6),
            zone=self.zone,
            seed=f"{self.executor.host.machine_id}:{self.executor.host.uid}",
            stamp=stamp,
            starting=effect.starting,
            clock_changed=effect.clock_changed,
        )
        self.engine.dispatch(unit.name, facts)

    def elapsed(self, name: str, generation: int) -> None:
        self.engine.dispatch(name, RealtimeElapsed(generation))

    def active_triggers(self) -> list[str]:
        return [name for name, record in self.engine.records.items() if name.endswith(TYPES) and record.active == "active"]

    def clock_set(self) -> None:
        log.info("the clock was set")
        now = time.time_ns() // 1000
        for name in self.active_triggers():
            self.engine.dispatch(name, ClockChanged(now))

    def zone_set(self) -> None:
        zone = local_zone()
        if (zone.key, zone.standard, zone.summer) == (self.zone.key, self.zone.standard, self.zone.summer):
            return
        log.info("the time zone is now %s", zone.key or zone.standard)
        self.zone = zone
        for name in self.active_triggers():
            self.engine.dispatch(name, ZoneChanged())

    def read_stamp(self, name: str) -> int | None:
        """When the timer elapsed last, by its stamp file; None if it never did: then the file is made, and time counts from now."""
        path = os.path.join(self.stamps, f"stamp-{name}")
        try:
            return os.stat(path).st_mtime_ns // 1000
        except FileNotFoundError:
            self.write_stamp(name, time.time_ns() // 1000)
        except OSError as error:
            log.warning("%s: cannot read the stamp file %s, because: %s", name, path, error.strerror)
        return None

    def write_stamp(self, name: str, at: int) -> None:
        path = os.path.join(self.stamps, f"stamp-{name}")
        try:
            os.makedirs(self.stamps, mode=0o755, exist_ok=True)
            with open(path, "ab"):
                os.utime(path, ns=(at * 1000, at * 1000))
        except OSError as error:
            log.warning("%s: cannot write the stamp file %s, because: %s; a restart of the machine will not make up for what was missed", name, path, error.strerror)

    # -- paths

    def ask_path(self, unit: Unit, record: Record, effect: AskPath) -> None:
        problem = ""
        specs = unit.path.specs
        if effect.make and unit.path.make_directory:
            problem = make_directories(specs, unit.path.directory_mode)
        if effect.watch and not problem:
            self.unwatch(unit.name)
            try:
                self.paths[unit.name] = PathWatch(self.loop, specs, lambda index, changed: self.engine.dispatch(unit.name, PathEvent(index, changed)))
            except OSError as error:
                problem = f"{error.filename} cannot be watched: {error.strerror}"
        found = [look(spec) for spec in specs]
        facts = PathFacts(
            exists=tuple(name is not None for name in found),
            trigger=self.state_of(self.target(unit)),
            found=tuple(name or spec.path for name, spec in zip(found, specs, strict=True)),
            starting=effect.starting,
            by_trigger=effect.by_trigger,
            problem=problem,
        )
        self.engine.dispatch(unit.name, facts)

    def unwatch(self, name: str) -> None:
        watch = self.paths.pop(name, None)
        if watch is not None:
            watch.close()

    # -- life

    def resume(self) -> None:
        """A new manager goes on where the old one stopped."""
        for name in self.active_triggers():
            self.engine.dispatch(name, Resumed())

    def reloaded(self, names: Iterable[str] | None = None) -> None:
        """Definitions were read again: those of these units, or all."""
        for name in self.active_triggers() if names is None else [n for n in names if n.endswith(TYPES)]:
            self.engine.dispatch(name, Resumed(reloaded=True))


def look(spec: PathSpec) -> str | None:
    """The path that is there, or None."""
    if spec.kind == "PathExistsGlob":
        return next(iter(sorted(glob.glob(spec.path))), None)
    if spec.kind == "DirectoryNotEmpty":
        try:
            with os.scandir(spec.path) as entries:
                some = any(not entry.name.startswith(".") and not entry.name.endswith("~") for entry in entries)
        except OSError:
            some = False
        return spec.path if some else None
    return spec.path if os.path.exists(spec.path) else None


def make_directories(specs: tuple[PathSpec, ...], mode: int) -> str:
    """MakeDirectory=: make what is to be watched. What went wrong, or nothing."""
    for spec in specs:
        if spec.kind in ("PathExists", "PathExistsGlob") or os.path.exists(spec.path):
            continue
        at = "/"
        try:
            for part in spec.path.split("/"):
                at = os.path.join(at, part)
                if not os.path.isdir(at):
                    os.mkdir(at)
                    os.chmod(at, mode)
        except OSError as error:
            return f"{at} cannot be made (MakeDirectory=): {error.strerror}"
    return ""


def in_container() -> bool:
    """Does this run in a container, where the machine's boot is none of its business?"""
    if os.environ.get("container") or any(os.path.exists(p) for p in ("/run/systemd/container", "/.dockerenv", "/run/.containerenv")):
        return True
    try:
        with open("/proc/1/environ", "rb") as file:
            return any(entry.startswith(b"container=") for entry in file.read().split(b"\0"))
    except OSError:
        return False


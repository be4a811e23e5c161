"""Owns every unit's record and job: feeds events to the machines, hands their effects to the platform. No system calls.

The layers below: `unittable` (definitions, records), `jobqueue` (jobs), `reactions` (what other units make of a change).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from unitd.manager import events
from unitd.manager.jobs import Refused
from unitd.manager.machines import MACHINES
from unitd.manager.platform import Platform
from unitd.manager.reactions import Reactions
from unitd.manager.states import (
    ACTIVE_OF,
    ArmTimer,
    Changed,
    Cleanup,
    Deadline,
    DisarmTimer,
    Effect,
    Event,
    Finished,
    Log,
    QueueRestart,
    ReadPidFile,
    Record,
    ResetFailed,
    Restarting,
    Signal,
    Spawn,
    Start,
    Stop,
    WatchEmpty,
)
from unitd.manager.unittable import UnitSource, first_error
from unitd.units.model import Unit

__all__ = ["Engine", "first_error"]

Handler = Callable[[Unit, Record, Any], None]


class Engine(Reactions):
    """All units. Every public method leaves the queue in order; answers about jobs come through waiters."""

    def __init__(self, source: UnitSource, platform: Platform) -> None:
        super().__init__(source, platform)
        self._events: deque[tuple[str, Event]] = deque()
        self._dispatching = False
        p = platform
        #: Effect -> who carries it out; others are the platform's own (`perform`).
        self.effects: dict[type[Any], Handler] = {
            Spawn: p.spawn,
            Signal: p.signal,
            ReadPidFile: p.read_pid_file,
            Cleanup: p.cleanup,
            ArmTimer: lambda unit, record, effect: p.arm(unit.name, effect),
            DisarmTimer: lambda unit, record, effect: p.disarm(unit.name, effect.name),
            WatchEmpty: lambda unit, record, effect: p.watch_empty(unit, record),
            Log: lambda unit, record, effect: p.log(effect.level, effect.message),
            Finished: lambda unit, record, effect: self.finished(unit.name, effect),
            Changed: self.note_change,
            QueueRestart: lambda unit, record, effect: self.automatic_restart(unit),
        }

    # -- events

    def dispatch(self, name: str, event: Event) -> None:
        """One event for one unit, and everything that follows from it."""
        self._events.append((self.aliases.get(name, name), event))
        if self._dispatching:
            return
        self._dispatching = True
        try:
            while self._events:
                target, next_event = self._events.popleft()
                self.step(target, next_event)
        finally:
            self._dispatching = False

    def step(self, name: str, event: Event) -> None:
        """Run the machine once and carry out its effects."""
        if isinstance(event, Deadline) and event.name == "job":
            self.job_timeout(name, event.generation)
            return
        unit = self.graph.units.get(name)
        if unit is None:
            unit = self.unit(name)
        machine = MACHINES.get(unit.type)
        if machine is None:
            return
        before, now = self.record(name), self.platform.now()
        record, effects = machine(before, unit, event, now, self.platform.jitter())
        self.records[name] = record
        if isinstance(event, Start):
            self.stamp(record, "Condition", "Assert")
        if record.exec_main_pid != before.exec_main_pid and record.exec_main_pid:
            self.stamp(record, "ExecMainStart")
        if record.exec_main_code and not before.exec_main_code:
            self.stamp(record, "ExecMainExit")
        self.changed.add(name)
        self.platform.later()
        for message in events.of_step(before, record, event, effects, now, self.platform.realtime()):
            self.platform.publish(*message)
        for effect in effects:
            self.carry_out(unit, effect)

    def carry_out(self, unit: Unit, effect: Effect) -> None:
        """One effect of the unit's machine."""
        handler = self.effects.get(type(effect), self.platform.perform)
        try:
            handler(unit, self.record(unit.name), effect)
        except OSError as error:  # what comes after it is carried out all the same: timers get a unit out of every state
            about = f"{error.filename}: " if error.filename else ""
            self.platform.log("error", f"{unit.name}: cannot carry out {type(effect).__name__}, because {about}{error.strerror or error}")

    def finished(self, name: str, effect: Finished) -> None:
        """The machine says a start, stop or reload is over; a restart goes on with its second half."""
        record, unit = self.record(name), self.graph.units.get(name)
        if effect.result == "failed" and record.result == "start-limit-hit" and unit is not None and unit.unit.start_limit_action != "none":
            self.platform.act(name, unit.unit.start_limit_action, 1)
        job = self.jobs.get(name)
        if job is None or not job.running:
            return
        if job.type == effect.job or (job.type == "restart" and effect.job == "stop"):
            self.finish(job, effect.result)

    def automatic_restart(self, unit: Unit) -> None:
        """RestartSec= is over. A stop job that came meanwhile has ended that state already; a manual start has waited for this moment."""
        job = self.jobs.get(unit.name)
        if job is not None and job.type == "stop":
            return
        self.dispatch(unit.name, Restarting())
        try:
            self.submit([unit.name], "restart", automatic=True)
        except Refused as error:
            self.platform.log("error", f"cannot restart {unit.name}: {error}")
            self.dispatch(unit.name, Stop())

    def stamp(self, record: Record, *names: str) -> None:
        """Note in the record that this happens now, by both clocks."""
        at, now = self.platform.realtime(), self.platform.now()
        record.stamps = {**record.stamps, **dict.fromkeys(names, at), **{name + "Monotonic": now for name in names}}

    def note_change(self, unit: Unit, record: Record, change: Changed) -> None:
        """Timestamps, subscribers, and what other units make of it."""
        old, new, at = ACTIVE_OF[change.old_sub], ACTIVE_OF[change.new_sub], self.platform.realtime()
        up, was_up = new in ("active", "reloading"), old in ("active", "reloading")
        down, was_down = new in ("inactive", "failed"), old in ("inactive", "failed")
        happened = {"ActiveEnter": up and not was_up, "ActiveExit": was_up and not up, "InactiveEnter": down and not was_down, "InactiveExit": was_down and not down}
        self.stamp(record, "StateChange", *(name for name, so in happened.items() if so))
        self.changed.add(unit.name)
        self.platform.publish(*events.changed(record, change, at))
        for waiter in self.change_waiters.pop(unit.name, []):
            waiter()
        if new == "failed" and old != "failed":
            self.platform.log("warning", f"{unit.name}: failed ({record.result}): {record.last_failure}")
        self.react(unit, record, old, new)
        for watcher in self.watchers:
            watcher(unit.name)

    def reset_failed(self, name: str) -> None:
        """reset-failed on one unit."""
        self.dispatch(name, ResetFailed())

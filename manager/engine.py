"""Owns every unit's record and job: feeds events to the machine, hands its effects to the platform. No system calls."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Protocol

from unitd.manager import events, jobs
from unitd.manager.jobs import Graph, Job, Refused
from unitd.manager.machines import MACHINES, PASSIVE
from unitd.manager.platform import Platform
from unitd.manager.states import (
    ACTIVE_OF,
    ArmTimer,
    Changed,
    Cleanup,
    DisarmTimer,
    Effect,
    Event,
    Finished,
    Log,
    QueueRestart,
    ReadPidFile,
    Record,
    Reload,
    ResetFailed,
    Restarting,
    Signal,
    Spawn,
    Start,
    Stop,
    WatchEmpty,
)
from unitd.manager.transitions import DOWN
from unitd.units.model import Unit

#: Verbs that act on what is up already and leave the rest alone.
UP_STATES = ("active", "activating", "reloading")

Waiter = Callable[[Job, str], None]


class UnitSource(Protocol):
    """Where units come from: `unitd.units.loader.Loader`."""

    def load(self, name: str) -> Unit:
        """The unit as it is on disk now; bad input shows in `load_state`."""


class Engine:
    """All units. Every public method leaves the queue in order; answers about jobs come through waiters."""

    def __init__(self, source: UnitSource, platform: Platform) -> None:
        self.source, self.platform = source, platform
        self.graph = Graph()
        self.records: dict[str, Record] = {}
        self.aliases: dict[str, str] = {}
        self.jobs: dict[str, Job] = {}
        self.waiters: dict[int, list[Waiter]] = defaultdict(list)
        self.changed: set[str] = set()  # records to be written at the end of this turn
        self.jobs_changed = False
        self.monitors: dict[str, dict[str, str]] = {}  # MONITOR_* of units started by OnFailure=, OnSuccess=
        self.change_waiters: dict[str, list[Callable[[], None]]] = defaultdict(list)
        self._next_job = 1
        self._queue: deque[str] = deque()
        self._events: deque[tuple[str, Event]] = deque()
        self._dispatching = False

    # -- units

    def unit(self, name: str) -> Unit:
        """The unit called `name` (or known by that alias), loaded if need be. A unit that was not found is looked for again."""
        name = self.aliases.get(name, name)
        unit = self.graph.units.get(name)
        if unit is None or (unit.load_state == "not-found" and self.record(name).sub in DOWN):
            unit = self.adopt(self.source.load(name), name)
        return unit

    def adopt(self, unit: Unit, asked: str = "") -> Unit:
        """Take a freshly loaded unit in."""
        self.graph.add(unit)
        for alias in (*unit.names, asked):
            if alias and alias != unit.name:
                self.aliases[alias] = unit.name
                self.graph.remove(alias)
        self.record(unit.name)
        return unit

    def record(self, name: str) -> Record:
        """The record of `name`, made on first sight."""
        name = self.aliases.get(name, name)
        record = self.records.get(name)
        if record is None:
            record = self.records[name] = Record(name)
        return record

    def is_up(self, name: str) -> bool:
        """Active, activating or reloading."""
        record = self.records.get(self.aliases.get(name, name))
        return record is not None and record.active in UP_STATES

    def reload_units(self) -> list[str]:
        """Read every known unit again. Bad new text leaves the old definition of what runs in force. Returns what to tell."""
        told: list[str] = []
        self.aliases.clear()
        for name in list(self.graph.units):
            old = self.graph.units.get(name)
            new = self.source.load(name)
            record = self.record(name)
            if old is not None and record.sub not in DOWN and new.load_state in ("error", "bad-setting"):
                told.append(f"{name}: its new text is bad, the running definition stays: {first_error(new)}")
                continue
            if new.load_state == "not-found" and old is not None and record.sub not in DOWN:
                # The service runs on under what it was started with; only LoadState tells that the file is gone.
                new = Unit(**{**vars(old), "load_state": "not-found", "fragment_path": ""})
            if new.load_state == "not-found" and record.sub in DOWN and name not in self.jobs:
                self.graph.remove(name)
                continue
            self.adopt(new, name)
        return told

    # -- requests

    def submit(self, names: Iterable[str], verb: str, mode: str = "replace", automatic: bool = False) -> list[tuple[str, Job | None]]:
        """Make a transaction of `verb` on `names`: (unit, job), None where nothing is to be done.

        verb: start stop restart try-restart reload reload-or-restart try-reload-or-restart. Raises `Refused`; nothing happened then.
        """
        anchors: list[tuple[str, str]] = []
        idle: list[str] = []
        for name in names:
            unit = self.unit(name)
            kind = self.job_type(unit, verb)
            if kind:
                anchors.append((unit.name, kind))
            else:
                idle.append(unit.name)
        planned = jobs.plan(self.graph, self.unit, self.is_up, anchors, mode)
        if mode == "fail":
            for p in planned:
                have = self.jobs.get(p.unit)
                if have is not None and jobs.merge(have.type, p.type) is None:
                    raise Refused("destructive", f"Transaction for {p.unit}/{p.type} is destructive ({have.unit} has '{have.type}' job queued).", 4)
        for p in planned:
            have = self.jobs.get(p.unit)
            if have is not None and have.irreversible and jobs.merge(have.type, p.type) is None:
                raise Refused("destructive", f"Transaction for {p.unit}/{p.type} is destructive ({have.unit} has '{have.type}' job queued).", 4)
        wanted = {name for name, _ in anchors}
        made: dict[str, Job | None] = dict.fromkeys(idle)
        for p in planned:
            if p.unit not in wanted and self.redundant(p.unit, p.type):
                continue
            job = self.install(p.unit, p.type, mode == "replace-irreversibly", automatic and p.unit in wanted)
            if p.unit in wanted:
                made[p.unit] = job
        self.platform.later()
        return [(self.aliases.get(name, name), made.get(self.aliases.get(name, name))) for name in names]

    def job_type(self, unit: Unit, verb: str) -> str:
        """The job a verb means for a unit in its present state; empty: none (case ctl-*: try-restart of what is down)."""
        up = self.is_up(unit.name)
        if verb == "try-restart":
            return "restart" if up else ""
        if verb in ("reload-or-restart", "try-reload-or-restart"):
            if not up:
                return "start" if verb == "reload-or-restart" else ""
            return "reload" if can_reload(unit) else "restart"
        if verb == "reload":
            jobs.check_loaded(unit, unit.name, "")
            if not can_reload(unit):
                raise Refused("not-applicable", f"Job type reload is not applicable for unit {unit.name}.", 1)
            if self.record(unit.name).active not in ("active", "reloading", "activating"):
                refused = Refused("not-active", f"{unit.name} is not active, cannot reload.", 1)
                refused.whole = True
                raise refused
            return "reload"
        if verb == "stop" and unit.load_state == "not-found" and self.record(unit.name).sub in DOWN:
            raise Refused("no-such-unit", f"Unit {unit.name} not loaded.", 5)
        if verb in ("start", "restart"):
            jobs.check_loaded(unit, unit.name, "")
            if unit.type not in MACHINES and unit.type not in PASSIVE:
                raise Refused("unsupported", f"Unit {unit.name} cannot be started: unitd does not run .{unit.type} units yet.", 1)
        return verb

    def redundant(self, name: str, type: str) -> bool:
        """A pulled-in job that would change nothing."""
        active, pending = self.record(name).active, name in self.jobs
        if type == "start":
            return active in ("active", "reloading") and not pending
        if type == "stop":
            return self.record(name).sub in ("dead", "failed") and not pending
        if type == "verify-active":
            return False
        return False

    def install(self, name: str, type: str, irreversible: bool, automatic: bool) -> Job:
        """Make the job, joining or replacing the one the unit has."""
        if type == "reload-or-start":
            type = "reload" if self.record(name).active in ("active", "reloading") else "start"
        have = self.jobs.get(name)
        if have is not None:
            merged = jobs.merge(have.type, type)
            if merged is not None and (not have.running or merged == have.type):
                have.type = merged
                return have
            self.finish(have, "canceled")
        job = Job(self._next_job, name, type, irreversible=irreversible, automatic=automatic)
        self._next_job += 1
        self.jobs[name] = job
        self.jobs_changed = True
        self._queue.append(name)
        self.platform.publish(*events.job(job, "waiting", self.platform.realtime()))
        return job

    def wait(self, job: Job, waiter: Waiter) -> None:
        """Call `waiter(job, result)` when the job is over."""
        self.waiters[job.id].append(waiter)

    def cancel(self, job: Job) -> None:
        """Drop a job."""
        if self.jobs.get(job.unit) is job:
            self.finish(job, "canceled")
            self.platform.later()

    def reset_failed(self, name: str) -> None:
        """reset-failed on one unit."""
        self.dispatch(name, ResetFailed())

    # -- the run queue

    def run_queue(self) -> None:
        """Begin every waiting job whose turn has come."""
        progress = True
        while progress:
            progress = False
            waiting, self._queue = self._queue, deque()
            for name in waiting:
                job = self.jobs.get(name)
                if job is None or job.running:
                    continue
                if jobs.may_run(self.graph, job, self.jobs):
                    self.begin(job)
                    progress = True
                else:
                    self._queue.append(name)

    def begin(self, job: Job) -> None:
        """Run one job. It ends by `Finished` effects, or here if nothing is to be done."""
        job.running = True
        unit, record = self.graph.units[job.unit], self.record(job.unit)
        if job.type == "verify-active":
            self.finish(job, "done" if record.active in ("active", "reloading") else "dependency")
        elif job.type == "restart" and (record.sub in ("dead", "failed") or (record.sub == "auto-restart" and job.automatic)):
            job.type = "start"
            self.begin_start(job, unit, record)
        elif job.type in ("stop", "restart"):
            if unit.type in PASSIVE:
                self.passive(unit, record, "dead")
                self.finished(unit.name, Finished("stop", "done"))
            else:
                self.dispatch(unit.name, Stop(restart=job.type == "restart"))
        elif job.type == "reload":
            if record.active not in ("active", "reloading"):
                self.finish(job, "failed")
            else:
                self.dispatch(unit.name, Reload())
        else:
            self.begin_start(job, unit, record)

    def begin_start(self, job: Job, unit: Unit, record: Record) -> None:
        missing = [n for n in unit.deps("BindsTo") if n in self.graph.after(unit.name) and not self.is_up(n)]
        if missing:
            self.finish(job, "dependency")
            return
        if unit.type not in MACHINES and unit.type not in PASSIVE:
            self.finish(job, "unsupported")
            return
        condition, assertion = self.platform.check(unit)
        if unit.type in PASSIVE:
            record.condition_result, record.assert_result = condition, condition and assertion
            if condition and assertion:
                self.passive(unit, record, "active")
            self.finished(unit.name, Finished("start", "assert" if condition and not assertion else "done"))
            return
        self.dispatch(unit.name, Start(self.platform.new_invocation(), job.automatic, condition, assertion))

    def passive(self, unit: Unit, record: Record, sub: str) -> None:
        if record.sub != sub:
            old, record.sub = record.sub, sub
            self.note_change(unit, record, Changed(old, sub))

    def finish(self, job: Job, result: str) -> None:
        """The job is over: tell waiters, fail what depended on it."""
        if self.jobs.get(job.unit) is job:
            del self.jobs[job.unit]
            self.jobs_changed = True
        self.platform.publish(*events.job(job, "finished", self.platform.realtime(), result))
        for waiter in self.waiters.pop(job.id, []):
            waiter(job, result)
        if result not in ("done", "skipped") and job.type in ("start", "restart", "verify-active"):
            for kind in jobs.FAILS_WITH:
                for other in self.graph.rdeps(job.unit, kind):
                    dependant = self.jobs.get(other)
                    if dependant is not None and dependant.type in ("start", "verify-active"):
                        self.finish(dependant, "dependency")
        self.platform.later()

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
        unit = self.graph.units.get(name)
        if unit is None:
            unit = self.unit(name)
        before, now = self.record(name), self.platform.now()
        record, effects = MACHINES[unit.type](before, unit, event, now, self.platform.jitter())
        self.records[name] = record
        self.changed.add(name)
        self.platform.later()
        for message in events.of_step(before, record, event, effects, now, self.platform.realtime()):
            self.platform.publish(*message)
        for effect in effects:
            self.carry_out(unit, effect)

    def carry_out(self, unit: Unit, effect: Effect) -> None:
        record, p = self.record(unit.name), self.platform
        match effect:
            case Spawn():
                p.spawn(unit, record, effect)
            case Signal():
                p.signal(unit, record, effect)
            case ArmTimer():
                p.arm(unit.name, effect)
            case DisarmTimer():
                p.disarm(unit.name, effect.name)
            case WatchEmpty():
                p.watch_empty(unit, record)
            case ReadPidFile():
                p.read_pid_file(unit, record, effect)
            case Cleanup():
                p.cleanup(unit, record, effect)
            case Finished():
                self.finished(unit.name, effect)
            case Changed():
                self.note_change(unit, record, effect)
            case QueueRestart():
                self.automatic_restart(unit)
            case Log():
                p.log(effect.level, effect.message)
            case _:
                p.perform(unit, record, effect)

    def finished(self, name: str, effect: Finished) -> None:
        """The machine says a start, stop or reload is over; a restart goes on with its second half."""
        job = self.jobs.get(name)
        if job is None or not job.running:
            return
        if job.type == "restart" and effect.job == "stop":
            job.type, job.running = "start", False
            self._queue.append(name)
        elif job.type == effect.job:
            self.finish(job, effect.result)

    def automatic_restart(self, unit: Unit) -> None:
        """RestartSec= is over. A stop job that came meanwhile has ended that state already."""
        if unit.name in self.jobs and self.jobs[unit.name].type == "stop":
            return
        self.dispatch(unit.name, Restarting())
        try:
            have = self.jobs.get(unit.name)
            if have is not None:  # a manual start has waited for this moment
                have.automatic, have.running = True, False
                self._queue.append(unit.name)
            else:
                self.submit([unit.name], "restart", automatic=True)
        except Refused as error:
            self.platform.log("error", f"cannot restart {unit.name}: {error}")
            self.dispatch(unit.name, Stop())

    def note_change(self, unit: Unit, record: Record, change: Changed) -> None:
        """Timestamps, subscribers, and what other units make of it."""
        old, new, at = ACTIVE_OF[change.old_sub], ACTIVE_OF[change.new_sub], self.platform.realtime()
        record.stamps = {**record.stamps, "StateChange": at}
        up, was_up = new in ("active", "reloading"), old in ("active", "reloading")
        down, was_down = new in ("inactive", "failed"), old in ("inactive", "failed")
        if up and not was_up:
            record.stamps["ActiveEnter"] = at
        if was_up and not up:
            record.stamps["ActiveExit"] = at
        if down and not was_down:
            record.stamps["InactiveEnter"] = at
        if was_down and not down:
            record.stamps["InactiveExit"] = at
        self.changed.add(unit.name)
        self.platform.publish(*events.changed(record, change, at))
        for waiter in self.change_waiters.pop(unit.name, []):
            waiter()
        if new == "failed" and old != "failed":
            self.platform.log("warning", f"{unit.name}: failed ({record.result}): {record.last_failure}")
        if down and not was_down:
            self.went_down(unit, record, new)

    def went_down(self, unit: Unit, record: Record, new: str) -> None:
        """BindsTo=, OnFailure=, OnSuccess= of a unit that is no longer up."""
        job = self.jobs.get(unit.name)
        if job is None or job.type not in ("stop", "restart"):
            for other in self.graph.rdeps(unit.name, "BindsTo"):
                if self.is_up(other):
                    self.request([other], "stop", "replace")
        again = "restart" in record.deadlines or record.sub == "auto-restart"
        kind = "OnFailure" if new == "failed" else "OnSuccess"
        if unit.deps(kind) and not again and (kind == "OnFailure" or record.invocation):
            for name in unit.deps(kind):
                self.monitors[name] = {
                    "MONITOR_SERVICE_RESULT": record.result,
                    "MONITOR_EXIT_CODE": record.main_exit_result,
                    "MONITOR_EXIT_STATUS": str(record.exec_main_status),
                    "MONITOR_INVOCATION_ID": record.invocation,
                    "MONITOR_UNIT": unit.name,
                }
            mode = unit.unit.on_failure_job_mode if kind == "OnFailure" else unit.unit.on_success_job_mode
            self.request(list(unit.deps(kind)), "start", mode)

    def request(self, names: list[str], verb: str, mode: str) -> None:
        """A transaction nobody waits for: a refusal is logged."""
        try:
            self.submit(names, verb, mode)
        except Refused as error:
            self.platform.log("error", f"cannot {verb} {' '.join(names)}: {error}")


def can_reload(unit: Unit) -> bool:
    """Has the unit a way to reload?"""
    return bool(unit.service.exec_reload) or unit.service.type == "notify-reload"


def first_error(unit: Unit) -> str:
    """The first error of a unit that did not load, or its load state."""
    return next((str(p) for p in unit.problems if p.severity == "error"), unit.load_state)

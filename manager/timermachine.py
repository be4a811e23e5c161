"""The machine of timer units: when they elapse, and what then (systemd.timer(5); states and rules are those of systemd's timer.c). Pure.

dead -> waiting (armed) -> running (the unit was activated and is up) -> waiting ... ; elapsed: nothing is left to wait for.
"""

from __future__ import annotations

import copy
import math
import random

from unitd.manager.states import ArmTimer, Deadline, DisarmTimer, Effect, Event, Finished, Log, Record
from unitd.manager.triggering import DOWN, Step, is_down
from unitd.manager.triggerstates import (
    Activate,
    Activated,
    AskTimer,
    ClockChanged,
    RealtimeElapsed,
    Resumed,
    TimerFacts,
    TimerState,
    TriggerChanged,
    UnwatchTime,
    WatchTime,
    ZoneChanged,
)
from unitd.units.calendarnext import next_elapse
from unitd.units.model import Unit
from unitd.units.timer import TimerValue
from unitd.units.zone import SECOND

_TIMER = "elapse"
#: Values that count from something that happens once; when that time is over they are spent.
_ONCE = ("OnActiveSec", "OnBootSec", "OnStartupSec")
_BY_UNIT = ("OnUnitActiveSec", "OnUnitInactiveSec")


def step(record: Record, unit: Unit, event: Event, now: float, jitter: float = 0.0) -> tuple[Record, list[Effect]]:
    """The record after `event`, and what to do."""
    s = _TimerStep(record, unit, now, jitter)
    if s.job(event):
        return s.r, s.effects
    sub = record.sub
    match event:
        case TimerFacts():
            s.facts(event)
        case Deadline() if sub == "waiting" and s.r.deadlines.get(event.name, (0, -1))[1] == event.generation:
            s.elapse()
        case RealtimeElapsed() if sub == "waiting" and event.generation == s.t.generation and s.t.next:
            s.elapse()
        case Activated() if sub == "running":
            s.activated(event)
        case TriggerChanged() if sub in ("waiting", "elapsed") or (sub == "running" and is_down(event.state)):
            s.t.spent = [i for i in s.t.spent if unit.timer.values[i].base not in _BY_UNIT] if unit.timer.values else []
            s.do(AskTimer())
        case ClockChanged() if sub == "waiting":
            s.clock_changed(event)
        case ZoneChanged() if sub == "waiting":
            if unit.timer.on_timezone_change:
                s.elapse()
            else:
                s.do(AskTimer())
        case Resumed() if sub in ("waiting", "running", "elapsed"):
            s.resume(event.reloaded)
        case _:
            return record, []
    return s.r, s.effects


def random_delay(unit: Unit, seed: str, jitter: float) -> float:
    """Seconds of RandomizedDelaySec=: by `jitter`, or the same each time for this unit where `seed` is the same (FixedRandomDelay=)."""
    timer = unit.timer
    if timer.randomized_delay <= 0 or math.isinf(timer.randomized_delay):
        return 0.0
    if timer.fixed_random_delay:
        jitter = random.Random(f"{seed}:{unit.name}".encode("utf-8", "surrogateescape")).random()
    return jitter * timer.randomized_delay


class _TimerStep(Step):
    def __init__(self, record: Record, unit: Unit, now: float, jitter: float) -> None:
        super().__init__(record, unit, now, jitter)
        self.t = self.r.timer = copy.deepcopy(record.timer) if record.timer is not None else TimerState()
        # After a reload of the definition there may be fewer values than before.
        self.t.spent = [i for i in self.t.spent if i < len(unit.timer.values)]

    def question(self, invocation: str) -> Effect:
        return AskTimer(starting=invocation)

    def rest(self) -> None:
        self.t.next, self.t.next_at = 0, 0.0
        if self.r.deadlines.pop(_TIMER, None) is not None:
            self.do(DisarmTimer(_TIMER))
        self.do(UnwatchTime())

    # -- when

    def facts(self, f: TimerFacts) -> None:
        if f.starting:
            self.begin(f)
        elif self.r.sub in ("waiting", "elapsed") or (self.r.sub == "running" and is_down(f.trigger)):
            self.wait(f)

    def begin(self, f: TimerFacts) -> None:
        if self.r.sub not in DOWN or not self.may_start(f.starting, f.trigger):
            return
        self.t.last, self.t.last_at, self.t.spent = 0, 0.0, []
        if f.stamp is not None:
            if f.stamp < f.realtime:
                self.t.last = f.stamp
            else:
                self.do(Log("warning", f"{self.unit.name}: its stamp file is from the future and not used; is the clock right?"))
        self.wait(f)
        self.do(Finished("start", "done"))

    def wait(self, f: TimerFacts) -> None:
        """Compute when the timer elapses next, and wait for that (timer_enter_waiting in systemd)."""
        if f.trigger.problem:
            self.rest()
            self.fail("resources", f.trigger.problem)
            return
        timer, t = self.unit.timer, self.t
        realtimes: list[int] = []
        times: list[float] = []
        remains = timer.remain_after_elapse
        before, t.due = t.due, [0.0] * len(timer.values)
        for index, value in enumerate(timer.values):
            remains = remains or value.base in _BY_UNIT
            if index in t.spent:
                t.due[index] = before[index] if index < len(before) else 0.0
                continue
            if value.calendar is not None:
                due = next_elapse(value.calendar, t.last or (f.activated if self.r.sub not in DOWN else 0) or f.realtime, f.zone)
                if due is not None:
                    # What was due before the manager came up counts from then, so that a random delay holds for it too.
                    realtimes.append(max(due, f.realtime - round((self.now - f.started_at) * SECOND)))
                    t.due[index] = realtimes[-1]
                continue
            at = self.due(value, f)
            if at is None or math.isinf(at):
                continue
            if at < self.now and t.last and not f.clock_changed and value.base in _ONCE:
                t.spent.append(index)
                t.due[index] = at
                continue
            times.append(at)
            t.due[index] = at
        if not times and not realtimes and not timer.on_clock_change and not timer.on_timezone_change:
            self.rest()
            self.r.result = "success"
            self.enter("elapsed" if remains else "dead")
            return
        t.next_at = min(times) + random_delay(self.unit, f.seed, self.jitter) if times else 0.0
        t.next = min(realtimes) + round(random_delay(self.unit, f.seed, self.jitter) * SECOND) if realtimes else 0
        self.arm()
        self.enter("waiting")

    def due(self, value: TimerValue, f: TimerFacts) -> float | None:
        """When a value that counts by the monotonic clock is due."""
        match value.base:
            case "OnActiveSec":
                base = f.activated_at if self.r.sub not in DOWN else self.now
            case "OnBootSec":
                base = f.boot_at
            case "OnStartupSec":
                base = f.started_at
            case "OnUnitActiveSec":
                base = max(f.trigger.activated_at, self.t.last_at)
            case _:
                base = max(f.trigger.deactivated_at, self.t.last_at)
        if value.base in _BY_UNIT and base <= 0:
            return None  # the unit was never up: nothing to count from
        return base + value.seconds

    def arm(self) -> None:
        """Wait for `next_at` and `next`."""
        t, r = self.t, self.r
        r.timer_generation += 1
        t.generation = r.timer_generation
        if t.next_at:
            r.deadlines[_TIMER] = (t.next_at, r.timer_generation)
            self.do(ArmTimer(_TIMER, t.next_at, r.timer_generation))
        elif r.deadlines.pop(_TIMER, None) is not None:
            self.do(DisarmTimer(_TIMER))
        self.watch()

    def watch(self) -> None:
        timer = self.unit.timer
        if self.t.next or timer.on_clock_change or timer.on_timezone_change:
            self.do(WatchTime(self.t.next, self.t.generation))
        else:
            self.do(UnwatchTime())

    # -- what then

    def elapse(self) -> None:
        """The time has come: activate the unit (timer_enter_running)."""
        t = self.t
        told = [("TRIGGER_UNIT", self.unit.name)]
        if t.next:
            told.append(("TRIGGER_TIMER_REALTIME_USEC", str(t.next)))
        if t.next_at:
            told.append(("TRIGGER_TIMER_MONOTONIC_USEC", str(round(t.next_at * SECOND))))
        self.rest()
        self.enter("running")
        self.do(Activate(tuple(told), stamp=self.unit.timer.persistent))

    def activated(self, event: Activated) -> None:
        self.t.last, self.t.last_at = event.realtime, self.now
        if event.problem:
            self.not_activated(event.problem)

    def clock_changed(self, event: ClockChanged) -> None:
        if self.t.last > event.realtime:  # the clock was set back: what lies in its future now shall happen again
            self.t.last = event.realtime
        if self.unit.timer.on_clock_change:
            self.elapse()
        else:
            self.do(AskTimer(clock_changed=True))

    def resume(self, reloaded: bool) -> None:
        """A new manager: the executor has armed the monotonic deadline again by itself. Or new definitions: all is computed anew."""
        if reloaded:
            self.do(AskTimer())
        elif self.r.sub == "waiting":
            self.watch()
        elif self.r.sub == "running":
            self.do(AskTimer())  # the unit may have come down while nobody looked

"""Machines of timer and path units with a clock that the test sets."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.manager import pathmachine, timermachine
from unitd.manager.states import ArmTimer, Changed, Deadline, Finished, Record, ResetFailed, Start, Stop
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
    WatchTime,
    ZoneChanged,
)
from unitd.units.lexer import lex
from unitd.units.model import Unit
from unitd.units.parse import Defaults, build
from unitd.units.specifiers import HostFacts
from unitd.units.zone import SECOND

NOON = 1_800_000_000  # 2027-01-15 08:00:00 UTC
DOWN, UP = TriggerState("inactive"), TriggerState("active")


def unit(name: str, text: str) -> Unit:
    built, _ = build(name, lex(text, name)[0], name, HostFacts(), Defaults())
    return built


def timer(*lines: str) -> Unit:
    built = unit("t.timer", "[Timer]\n" + "\n".join(lines) + "\n")
    assert built.load_state == "loaded"
    return built


class Run:
    """A machine, its record, and a clock: monotonic `now` (the machine was up 1000 s when unitd came up), and the clock on the wall."""

    def __init__(self, unit: Unit, machine: Any = timermachine, trigger: TriggerState = DOWN) -> None:
        self.unit, self.machine, self.trigger = unit, machine, trigger
        self.record = Record(unit.name)
        self.now, self.realtime = 1100.0, NOON * SECOND
        self.effects: list[Any] = []
        self.jitter = 0.0
        self.activated_at = 0.0
        self.activated = 0
        self.stamp: int | None = None
        self.exists: tuple[bool, ...] = ()
        self.problem = ""

    def send(self, event: Any) -> list[Any]:
        """One event; questions are answered at once, as the manager does."""
        before = self.record.sub
        self.record, effects = self.machine.step(self.record, self.unit, event, self.now, self.jitter)
        if before in ("dead", "failed") and self.record.sub not in ("dead", "failed"):
            self.activated_at, self.activated = self.now, self.realtime
        told = list(effects)
        for effect in effects:
            if isinstance(effect, AskTimer):
                told += self.send(self.facts(effect))
            elif isinstance(effect, AskPath):
                told += self.send(PathFacts(self.exists, self.trigger, starting=effect.starting, by_trigger=effect.by_trigger, problem=self.problem))
            elif isinstance(effect, Activate):
                told += self.send(Activated(self.realtime))
        return told

    def facts(self, ask: AskTimer) -> TimerFacts:
        return TimerFacts(
            self.realtime, self.trigger, started_at=1000.0, boot_at=0.0, activated_at=self.activated_at, activated=self.activated, seed="machine",
            stamp=self.stamp if ask.starting else None, starting=ask.starting, clock_changed=ask.clock_changed,
        )  # fmt: skip

    def start(self) -> list[Any]:
        return self.send(Start("f" * 32))

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.realtime += round(seconds * SECOND)

    def fire(self) -> list[Any]:
        """The monotonic deadline goes off."""
        at, generation = self.record.deadlines["elapse"]
        self.pass_(at - self.now)
        return self.send(Deadline("elapse", generation))

    def strike(self) -> list[Any]:
        """The clock on the wall reaches the time."""
        assert self.record.timer is not None
        self.pass_((self.record.timer.next - self.realtime) / SECOND)
        return self.send(RealtimeElapsed(self.record.timer.generation))

    def turn(self, trigger: TriggerState) -> list[Any]:
        """The unit that is activated is in another state."""
        self.trigger = trigger
        return self.send(TriggerChanged(trigger))


def armed(run: Run) -> float:
    return run.record.deadlines["elapse"][0] - run.now


def kinds(effects: list[Any]) -> set[type]:
    return {type(e) for e in effects}


@pytest.mark.parametrize(
    ("line", "wait"),
    [("OnActiveSec=10", 10.0), ("OnStartupSec=150", 50.0), ("OnBootSec=1130", 30.0), ("OnStartupSec=5", -95.0), ("OnActiveSec=0", 0.0)],
)
def test_what_values_count_from(line: str, wait: float) -> None:
    """systemd.timer(5): one that is in the past already elapses at once."""
    run = Run(timer(line))
    told = run.start()
    assert run.record.sub == "waiting"
    assert Finished("start", "done") in told
    assert armed(run) == pytest.approx(wait)
    assert Activate in kinds(run.fire())
    assert run.record.sub == "running"


def test_a_deadline_of_before_is_ignored() -> None:
    run = Run(timer("OnActiveSec=10"))
    run.start()
    assert run.send(Deadline("elapse", 99)) == []
    assert run.send(RealtimeElapsed(99)) == []
    assert run.record.sub == "waiting"


def test_once_and_no_more() -> None:
    """After it has elapsed once the timer is elapsed, or dead with RemainAfterElapse=no."""
    for line, sub in (("RemainAfterElapse=yes", "elapsed"), ("RemainAfterElapse=no", "dead")):
        run = Run(timer("OnActiveSec=10", line))
        run.start()
        run.fire()
        run.turn(UP)
        assert run.record.sub == "running"
        run.pass_(1)
        run.turn(DOWN)
        assert run.record.sub == sub
        assert not run.record.deadlines


def test_after_the_unit_was_active_and_inactive() -> None:
    run = Run(timer("OnUnitActiveSec=60", "OnUnitInactiveSec=5"))
    run.start()
    assert run.record.sub == "elapsed"  # the unit was never up: nothing to count from, but that may come
    run.turn(TriggerState("activating", activated_at=run.now))
    assert run.record.sub == "waiting"
    assert armed(run) == pytest.approx(60)
    run.pass_(10)
    run.turn(TriggerState("inactive", activated_at=1100.0, deactivated_at=run.now))
    assert armed(run) == pytest.approx(5)
    run.fire()
    assert run.record.sub == "running"
    run.turn(TriggerState("active", activated_at=run.now, deactivated_at=1110.0))
    run.pass_(20)
    run.turn(TriggerState("inactive", activated_at=1115.0, deactivated_at=run.now))
    assert armed(run) == pytest.approx(5)


def test_calendar() -> None:
    run = Run(timer("OnCalendar=*:0/10"))
    told = run.start()
    assert WatchTime((NOON + 600) * SECOND, run.record.timer.generation) in told  # type: ignore[union-attr]
    told = run.strike()
    assert next(e for e in told if isinstance(e, Activate)).environment == (("TRIGGER_UNIT", "t.timer"), ("TRIGGER_TIMER_REALTIME_USEC", str((NOON + 600) * SECOND)))
    run.turn(UP)
    run.pass_(30)
    told = run.turn(DOWN)
    assert any(isinstance(e, WatchTime) and e.at == (NOON + 1200) * SECOND for e in told)


def test_a_calendar_time_that_passes_while_the_unit_runs_is_made_up_for_once() -> None:
    run = Run(timer("OnCalendar=*:*:00"))
    run.start()
    run.strike()
    run.turn(UP)
    run.pass_(200)
    run.turn(DOWN)
    assert run.record.timer is not None
    assert run.record.timer.next <= run.realtime
    run.send(RealtimeElapsed(run.record.timer.generation))
    run.turn(UP)
    run.turn(DOWN)
    assert run.record.timer.next > run.realtime


def test_the_clock_is_set() -> None:
    run = Run(timer("OnCalendar=*:0/10"))
    run.start()
    run.strike()
    run.turn(UP)
    run.turn(DOWN)
    run.realtime = (NOON - 86400) * SECOND  # back by a day: today's times happen again
    told = run.send(ClockChanged(run.realtime))
    assert any(isinstance(e, WatchTime) and e.at == (NOON - 86400 + 600) * SECOND for e in told)
    run.realtime = (NOON + 86400 + 30) * SECOND
    told = run.send(ClockChanged(run.realtime))
    assert run.record.timer is not None
    assert run.record.timer.next <= run.realtime  # forward: what was jumped over is due now, once


def test_on_clock_and_zone_change() -> None:
    run = Run(timer("OnClockChange=yes", "OnTimezoneChange=yes"))
    told = run.start()
    assert run.record.sub == "waiting"
    assert any(isinstance(e, WatchTime) and e.at == 0 for e in told)
    assert Activate in kinds(run.send(ClockChanged(run.realtime)))
    run.turn(UP)
    run.turn(DOWN)
    assert Activate in kinds(run.send(ZoneChanged()))


def test_persistent() -> None:
    """What was missed while the timer was down happens at once; a stamp from the future is not believed."""
    run = Run(timer("OnCalendar=hourly", "Persistent=yes"))
    run.stamp = (NOON - 7200) * SECOND
    run.start()
    assert run.record.timer is not None
    assert run.record.timer.next <= run.realtime
    told = run.send(RealtimeElapsed(run.record.timer.generation))
    assert next(e for e in told if isinstance(e, Activate)).stamp
    again = Run(timer("OnCalendar=hourly", "Persistent=yes"))
    again.stamp = (NOON + 5) * SECOND
    again.start()
    assert again.record.timer is not None
    assert again.record.timer.next == (NOON + 3600) * SECOND


def test_a_missed_time_counts_from_the_start_of_unitd() -> None:
    """So that the random delay spreads it, too."""
    run = Run(timer("OnCalendar=hourly", "Persistent=yes", "RandomizedDelaySec=1h"))
    run.stamp, run.jitter = (NOON - 7200) * SECOND, 0.5
    run.start()
    assert run.record.timer is not None
    assert run.record.timer.next == (NOON - 100 + 1800) * SECOND


def test_random_delay() -> None:
    run = Run(timer("OnActiveSec=10", "RandomizedDelaySec=100"))
    run.jitter = 0.25
    run.start()
    assert armed(run) == pytest.approx(35)
    fixed = timer("OnActiveSec=10", "RandomizedDelaySec=100", "FixedRandomDelay=yes")
    delays = {timermachine.random_delay(fixed, seed, jitter) for seed, jitter in (("a", 0.1), ("a", 0.9))}
    assert len(delays) == 1
    assert delays != {timermachine.random_delay(fixed, "b", 0.1)}


@given(st.floats(0, 1, exclude_max=True), st.booleans(), st.text(max_size=5))
def test_the_random_delay_has_bounds(jitter: float, fixed: bool, seed: str) -> None:
    text = timer("OnActiveSec=1", "RandomizedDelaySec=7", f"FixedRandomDelay={'yes' if fixed else 'no'}")
    assert 0 <= timermachine.random_delay(text, seed, jitter) < 7


def test_a_unit_that_cannot_be_activated() -> None:
    run = Run(timer("OnActiveSec=1"), trigger=TriggerState("inactive", problem="t.service is not-found"))
    assert Finished("start", "failed") in run.start()
    assert run.record.sub == "dead"
    run = Run(timer("OnActiveSec=1"))
    run.start()
    run.now += 1
    run.record, effects = timermachine.step(run.record, run.unit, Deadline("elapse", run.record.timer_generation), run.now)
    run.send(Activated(run.realtime, "Transaction contains conflicting jobs"))
    assert (run.record.sub, run.record.result) == ("failed", "resources")
    run.send(ResetFailed())
    assert (run.record.sub, run.record.result) == ("dead", "success")


def test_stop_disarms() -> None:
    run = Run(timer("OnActiveSec=1", "OnCalendar=daily"))
    run.start()
    told = run.send(Stop())
    assert Finished("stop", "done") in told
    assert run.record.sub == "dead"
    assert not run.record.deadlines
    assert run.send(TriggerChanged(DOWN)) == run.send(ClockChanged(0)) == []


def test_a_new_manager_goes_on_with_the_remaining_time() -> None:
    run = Run(timer("OnCalendar=hourly", "RandomizedDelaySec=10"))
    run.jitter = 0.5
    run.start()
    assert run.record.timer is not None
    before = run.record.timer.next
    run.jitter = 0.9
    assert run.send(Resumed()) == [WatchTime(before, run.record.timer.generation)]
    run.strike()
    run.pass_(1)
    run.send(Resumed())  # the unit came down meanwhile
    assert run.record.sub == "waiting"


def test_never_again() -> None:
    run = Run(timer("OnCalendar=2001-01-01"))
    run.start()
    assert run.record.sub == "elapsed"
    assert timer("OnActiveSec=infinity").timer.values[0].seconds == math.inf
    run = Run(timer("OnActiveSec=infinity"))
    run.start()
    assert run.record.sub == "elapsed"


def test_too_many_starts() -> None:
    run = Run(timer("OnActiveSec=100"))
    for _ in range(5):
        run.start()
        run.send(Stop())
    assert Finished("start", "failed") in run.start()
    assert (run.record.sub, run.record.result) == ("failed", "start-limit-hit")


def test_an_empty_line_resets_all_values() -> None:
    assert [v.base for v in timer("OnActiveSec=1", "OnCalendar=", "OnBootSec=2").timer.values] == ["OnBootSec"]
    assert unit("t.timer", "[Timer]\nAccuracySec=1\n").load_state == "bad-setting"
    assert unit("p.path", "[Path]\nUnit=a.service\n").load_state == "bad-setting"
    bad, problems = build("t.timer", lex("[Timer]\nOnCalendar=often\nOnActiveSec=1\nUnit=o.timer\n", "t.timer")[0], "t.timer", HostFacts(), Defaults())
    assert bad.load_state == "loaded"
    assert [p.line for p in problems if p.severity == "warning"] == [2, 4]


# -- paths


def path(*lines: str) -> Run:
    built = unit("p.path", "[Path]\n" + "\n".join(lines) + "\n")
    run = Run(built, pathmachine)
    run.exists = tuple(False for _ in built.path.specs)
    return run


def test_a_path_comes_and_the_unit_is_activated() -> None:
    run = path("PathExists=/a")
    assert Finished("start", "done") in run.start()
    assert run.record.sub == "waiting"
    assert run.send(PathEvent()) == [AskPath(watch=True)]
    run.exists = (True,)
    told = run.send(PathEvent())
    assert next(e for e in told if isinstance(e, Activate)).environment == (("TRIGGER_UNIT", "p.path"), ("TRIGGER_PATH", "/a"))
    assert UnwatchPath() in told
    assert run.record.sub == "running"
    run.turn(UP)
    assert Activate in kinds(run.turn(DOWN))  # it is still there
    run.turn(UP)
    run.exists = (False,)
    run.turn(DOWN)
    assert run.record.sub == "waiting"


def test_a_path_that_is_there_already() -> None:
    run = path("DirectoryNotEmpty=/a", "PathExists=/b")
    run.exists = (False, True)
    told = run.start()
    assert Activate in kinds(told)
    assert Finished("start", "done") in told


def test_changes_count_but_not_what_was_there_at_first() -> None:
    run = path("PathChanged=/a")
    run.exists = (True,)
    assert Activate not in kinds(run.start())
    told = run.send(PathEvent(0, True))
    assert ("TRIGGER_PATH", "/a") in next(e for e in told if isinstance(e, Activate)).environment
    run.turn(UP)
    run.exists = (False,)
    assert Activate not in kinds(run.turn(DOWN))  # what the unit did itself
    run.exists = (True,)
    assert Activate in kinds(run.send(PathEvent()))


def test_a_unit_that_runs_is_not_activated_again() -> None:
    run = path("PathExists=/a")
    run.trigger, run.exists = UP, (True,)
    told = run.start()
    assert run.record.sub == "running"
    assert Activate not in kinds(told)
    run = path("PathExists=/a")
    run.start()
    run.turn(UP)
    assert run.record.sub == "running"


def test_triggered_too_often() -> None:
    run = path("PathExists=/a", "TriggerLimitIntervalSec=10", "TriggerLimitBurst=3")
    run.exists = (True,)
    run.start()
    for _ in range(3):
        run.turn(UP)
        run.turn(DOWN)
    assert (run.record.sub, run.record.result) == ("failed", "trigger-limit-hit")


def test_the_start_limit_of_the_unit_ends_the_path_unit() -> None:
    run = path("PathExists=/a")
    run.exists = (True,)
    run.start()
    run.turn(TriggerState("failed", start_limit_hit=True))
    assert (run.record.sub, run.record.result) == ("failed", "unit-start-limit-hit")


def test_a_path_that_cannot_be_watched() -> None:
    run = path("PathExists=/a")
    run.problem = "/a cannot be watched: too many open files"
    assert Finished("start", "failed") in run.start()
    assert run.record.last_failure == run.problem


EVENTS = st.sampled_from([
    Start("0" * 32), Stop(), ResetFailed(), Deadline("elapse", 1), RealtimeElapsed(1), TriggerChanged(UP), TriggerChanged(DOWN), ClockChanged(5),
    ZoneChanged(), Resumed(), Resumed(reloaded=True), PathEvent(), PathEvent(0, True), PathEvent(7, True), Activated(1), Activated(1, "no"),
    Start("0" * 32, condition=False), Start("0" * 32, assertion=False),
])  # fmt: skip


@given(st.lists(EVENTS, max_size=15), st.booleans(), st.booleans())
def test_any_order_of_events(events: list[Any], there: bool, is_timer: bool) -> None:
    """Nothing raises, jobs end, a timer that is not waiting has nothing armed."""
    run = Run(timer("OnActiveSec=3", "OnUnitActiveSec=2", "OnCalendar=*:*:30")) if is_timer else path("PathExists=/a", "PathChanged=/b")
    run.exists = (there, False)
    for event in events:
        run.now += 0.5
        told = run.send(event)
        if isinstance(event, Start):
            assert any(isinstance(e, Finished) for e in told)
        if isinstance(event, Stop):
            assert run.record.sub in ("dead", "failed")
        if is_timer and run.record.sub != "waiting":
            assert not run.record.deadlines
        if any(isinstance(e, ArmTimer) for e in told):
            assert run.record.sub in ("waiting", "running") or Changed in kinds(told)

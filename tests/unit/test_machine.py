"""The service state machine against a fake clock: no processes, no waiting."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from unitd.manager import socketmachine
from unitd.manager.machine import TABLE, step
from unitd.manager.states import (
    ACTIVE_OF,
    CLD_EXITED,
    CLD_KILLED,
    ArmTimer,
    Deadline,
    Effect,
    Empty,
    Event,
    ExecDone,
    Exit,
    Exited,
    Finished,
    Notified,
    PidFile,
    QueueRestart,
    ReadPidFile,
    Record,
    Reload,
    ResetFailed,
    Restarting,
    Signal,
    Spawn,
    Spawned,
    Start,
    Stop,
)
from unitd.units.model import Command, KillContext, ServiceSection, Unit, UnitSection


def commands(*names: str) -> tuple[Command, ...]:
    return tuple(Command(f"/bin/{n}", (n,)) for n in names)


class Machine:
    """A unit under test: keeps the record and the clock, remembers the last effects."""

    def __init__(self, kill: KillContext | None = None, unit: UnitSection | None = None, **service: Any) -> None:
        service.setdefault("exec_start", commands("main"))
        self.unit = Unit("t.service", service=ServiceSection(**service), kill=kill or KillContext(), unit=unit or UnitSection())
        self.record, self.now, self.pid, self.effects = Record("t.service"), 1000.0, 100, list[Effect]()
        self.all: list[Effect] = []

    def feed(self, event: Event) -> Machine:
        self.record, self.effects = step(self.record, self.unit, event, self.now)
        self.all += self.effects
        return self

    def start(self) -> Machine:
        self.feed(Start("ab" * 16))
        return self.born()

    def born(self) -> Machine:
        """The warden made what was asked for, whatever that is."""
        while spawns := [e for e in self.effects if isinstance(e, Spawn)]:
            self.pid += 1
            self.feed(Spawned(spawns[-1].token, self.pid))
        return self

    def main_exits(self, code: int = 0, how: int = CLD_EXITED) -> Machine:
        return self.feed(Exited(self.record.main_token, self.record.main_pid, Exit(how, code))).born()

    def control_exits(self, code: int = 0) -> Machine:
        return self.feed(Exited(self.record.control_token, self.record.control_pid, Exit(CLD_EXITED, code))).born()

    def after(self, seconds: float) -> Machine:
        """Let time pass and deliver what falls due."""
        end = self.now + seconds
        while due := sorted((at, n, g) for n, (at, g) in self.record.deadlines.items() if at <= end):
            at, name, generation = due[0]
            self.now = max(self.now, at)
            self.feed(Deadline(name, generation)).born()
        self.now = end
        return self

    def empty(self) -> Machine:
        return self.feed(Empty()).born()

    def finished(self) -> list[tuple[str, str]]:
        return [(e.job, e.result) for e in self.all if isinstance(e, Finished)]

    @property
    def state(self) -> tuple[str, str]:
        return self.record.sub, self.record.result

    def signals(self) -> list[int]:
        return [e.signal for e in self.effects if isinstance(e, Signal)]


def test_simple_is_up_when_the_process_exists() -> None:
    m = Machine().start()
    assert m.state == ("running", "success")
    assert ("start", "done") in m.finished()


def test_exec_waits_for_execve() -> None:
    m = Machine(type="exec").start()
    assert m.record.sub == "start"
    m.feed(ExecDone(m.record.main_token))
    assert m.state == ("running", "success")


def test_exec_that_cannot_be_executed_fails_the_job() -> None:
    m = Machine(type="exec").start().main_exits(203).empty().empty()
    assert m.state == ("failed", "exit-code")
    assert ("start", "failed") in m.finished()


def test_oneshot_runs_its_commands_in_turn() -> None:
    m = Machine(type="oneshot", exec_start=commands("a", "b"), remain_after_exit=True).start()
    assert m.record.sub == "start"
    m.main_exits()
    assert m.record.sub == "start"
    m.main_exits()
    assert m.state == ("exited", "success")


def test_oneshot_without_remain_goes_down_clean() -> None:
    m = Machine(type="oneshot").start().main_exits().empty().empty()
    assert m.state == ("dead", "success")
    assert ("start", "done") in m.finished()


def test_notify_is_up_on_ready_and_fails_without_it() -> None:
    m = Machine(type="notify", notify_access="main").start()
    assert m.record.sub == "start"
    m.feed(Notified(m.record.main_pid, {"READY": "1", "STATUS": "hello"}))
    assert m.record.sub == "running"
    assert m.record.status_text == "hello"
    n = Machine(type="notify", notify_access="main").start().main_exits(0).empty().empty()
    assert n.state == ("failed", "protocol")


def test_forking_takes_its_main_process_from_the_pid_file() -> None:
    m = Machine(type="forking", pid_file="/run/t.pid").start()
    assert m.record.sub == "start"
    m.control_exits()
    assert ReadPidFile(guess=False) in m.effects
    m.feed(PidFile(0, "not there yet"))
    assert m.record.sub == "start"
    m.feed(PidFile(4711))
    assert (m.record.sub, m.record.main_pid) == ("running", 4711)


def test_forking_with_nothing_left_is_down_and_clean() -> None:
    m = Machine(type="forking").start().control_exits().feed(PidFile(0)).empty().empty().empty()
    assert m.state == ("dead", "success")


def test_start_timeout_on_both_sides() -> None:
    m = Machine(type="notify", timeout_start=5.0).start().after(4.99)
    assert m.record.sub == "start"
    m.after(0.02)
    assert m.state == ("stop-sigterm", "timeout")
    assert m.signals() == [15]


def test_stop_escalates_on_both_sides_of_each_deadline() -> None:
    m = Machine(timeout_stop=3.0).start().feed(Stop())
    assert m.record.sub == "stop-sigterm"
    m.after(2.99)
    assert m.record.sub == "stop-sigterm"
    m.after(0.02)
    assert m.state == ("stop-sigkill", "timeout")
    assert m.signals() == [9]
    m.main_exits(9, CLD_KILLED).empty().empty()
    assert m.state == ("failed", "timeout")
    assert ("stop", "done") in m.finished()


def test_send_sigkill_no_gives_up() -> None:
    m = Machine(KillContext(send_sigkill=False), timeout_stop=1.0).start().feed(Stop())
    m.after(1.01)
    assert m.record.sub == "final-sigterm"
    m.after(1.01)
    assert m.state == ("failed", "timeout")


def test_exec_stop_runs_after_a_clean_exit_and_not_after_a_failure() -> None:
    clean = Machine(exec_stop=commands("stop")).start().main_exits(0)
    assert clean.record.sub == "stop"
    failed = Machine(exec_stop=commands("stop")).start().main_exits(1)
    assert failed.record.sub != "stop"


def test_exec_start_pre_failure_runs_stop_post_only() -> None:
    m = Machine(exec_start_pre=commands("pre"), exec_stop=commands("stop"), exec_stop_post=commands("post")).start()
    assert m.record.sub == "start-pre"
    m.control_exits(1).empty()
    assert m.record.sub == "stop-post"
    m.control_exits().empty()
    assert m.state == ("failed", "exit-code")


def test_exec_condition_skips_without_failing() -> None:
    m = Machine(exec_condition=commands("cond"), restart="always").start().control_exits(1).empty().empty()
    assert m.state == ("dead", "exec-condition")


def test_restart_waits_its_delay_and_counts() -> None:
    m = Machine(restart="always", restart_sec=2.0).start().main_exits(1).empty().empty()
    assert m.record.sub == "auto-restart"
    m.after(1.99)
    assert not any(isinstance(e, QueueRestart) for e in m.all)
    m.after(0.02)
    assert any(isinstance(e, QueueRestart) for e in m.all)
    m.feed(Restarting()).feed(Start("cd" * 16, automatic=True)).born()
    assert (m.record.sub, m.record.n_restarts) == ("running", 1)


def test_a_commanded_stop_always_wins() -> None:
    running = Machine(restart="always").start().feed(Stop()).main_exits(1).empty().empty()
    assert running.record.sub in ("dead", "failed")
    waiting = Machine(restart="always", restart_sec=60.0).start().main_exits(1).empty().empty().feed(Stop())
    assert waiting.record.sub == "dead"
    assert waiting.record.deadlines == {}


def test_a_manual_start_waits_for_the_planned_restart() -> None:
    m = Machine(restart="always", restart_sec=60.0).start().main_exits(1).empty().empty()
    m.feed(Start("ef" * 16))
    assert m.record.sub == "auto-restart"


def test_manual_start_and_reset_failed_clear_the_backoff() -> None:
    m = Machine(restart="on-failure", restart_sec=1.0, restart_steps=4, restart_max_delay=16.0).start()
    delays = []
    for _ in range(4):
        m.main_exits(1).empty().empty()
        delays.append(m.record.restart_delay)
        m.after(m.record.restart_delay + 0.01).feed(Restarting()).feed(Start("00" * 16, automatic=True)).born()
    assert delays == [1.0, 2.0, 4.0, 8.0]
    m.feed(Stop()).main_exits(0).empty().empty()
    m.feed(Start("11" * 16)).born()
    assert (m.record.n_restarts, m.record.restart_attempt) == (0, 0)


def test_starts_that_conditions_skip_do_not_count_for_the_limit() -> None:
    m = Machine(unit=UnitSection(start_limit_burst=2, start_limit_interval=10.0))
    for event in (*[Start("11" * 16, condition=False)] * 3, *[Start("11" * 16, assertion=False)] * 3):
        assert m.feed(event).state == ("dead", "success")
    for _ in range(2):
        m.start().main_exits(0).empty().empty()
    assert m.feed(Start("22" * 16)).state == ("failed", "start-limit-hit")


def test_start_limit_fails_and_reset_failed_forgives() -> None:
    m = Machine(unit=UnitSection(start_limit_burst=2, start_limit_interval=10.0))
    for _ in range(2):
        m.start().main_exits(0).empty().empty()
    m.feed(Start("22" * 16))
    assert m.state == ("failed", "start-limit-hit")
    m.feed(ResetFailed())
    assert m.state == ("dead", "success")
    m.start()
    assert m.record.sub == "running"


def test_watchdog_on_both_sides() -> None:
    m = Machine(watchdog=2.0, type="notify", notify_access="main").start().feed(Notified(1, {"READY": "1"}))
    m.after(1.5).feed(Notified(1, {"WATCHDOG": "1"})).after(1.99)
    assert m.record.sub == "running"
    m.after(0.02)
    assert m.state == ("stop-watchdog", "watchdog")
    assert m.signals() == [6]


def test_reload_by_command_and_its_failure() -> None:
    m = Machine(exec_reload=commands("reload")).start().feed(Reload())
    assert m.record.sub == "reload"
    m.control_exits(1)
    assert m.state == ("running", "success")
    assert ("reload", "failed") in m.finished()


def test_notify_reload() -> None:
    m = Machine(type="notify-reload", notify_access="main").start().feed(Notified(1, {"READY": "1"})).feed(Reload())
    assert (m.record.sub, m.signals()) == ("reload-signal", [1])
    m.feed(Notified(1, {"RELOADING": "1"}))
    assert m.record.sub == "reload-notify"
    m.feed(Notified(1, {"READY": "1"}))
    assert m.record.sub == "running"
    assert ("reload", "done") in m.finished()


def test_extend_timeout_moves_later_only() -> None:
    m = Machine(type="notify", timeout_start=5.0).start()
    m.feed(Notified(1, {"EXTEND_TIMEOUT_USEC": "1000000"})).after(4.9)
    assert m.record.sub == "start"
    m.feed(Notified(1, {"EXTEND_TIMEOUT_USEC": "3000000"})).after(2.9)
    assert m.record.sub == "start"
    m.after(0.2)
    assert m.record.sub == "stop-sigterm"


def test_runtime_max() -> None:
    m = Machine(runtime_max=10.0).start().after(9.99)
    assert m.record.sub == "running"
    m.after(0.02)
    assert m.state == ("stop-sigterm", "timeout")


def test_a_late_deadline_is_ignored() -> None:
    m = Machine(timeout_stop=3.0).start().feed(Stop())
    name, (_, generation) = next(iter(m.record.deadlines.items()))
    before = m.record
    m.feed(Deadline(name, generation - 1))
    assert m.record == before


def test_every_state_has_a_row_and_an_active_state() -> None:
    assert set(TABLE) | set(socketmachine.TABLE) | {"active", "waiting", "elapsed"} == set(ACTIVE_OF)


@pytest.mark.parametrize("mode", ["mixed", "process", "none"])
def test_other_kill_modes_reach_the_end(mode: str) -> None:
    m = Machine(KillContext(mode=mode)).start().feed(Stop())
    if m.record.main_token:
        m.main_exits(15, CLD_KILLED)
    m.empty().empty()
    assert m.state == ("dead", "success")


EVENTS = st.lists(
    st.sampled_from(["start", "auto", "stop", "reload", "born", "main0", "main1", "kill", "ctl0", "ctl1", "empty", "late", "due", "ready", "reloading", "stopping", "reset"]),
    max_size=40,
)
SERVICES = st.builds(
    ServiceSection,
    type=st.sampled_from(["simple", "exec", "forking", "oneshot", "notify", "notify-reload", "idle"]),
    restart=st.sampled_from(["no", "always", "on-failure"]),
    remain_after_exit=st.booleans(),
    exec_start=st.just(commands("main")),
    exec_start_pre=st.sampled_from([(), commands("pre")]),
    exec_stop=st.sampled_from([(), commands("stop")]),
    exec_stop_post=st.sampled_from([(), commands("post")]),
    exec_reload=st.sampled_from([(), commands("reload")]),
)


@given(SERVICES, EVENTS, st.sampled_from(["control-group", "mixed", "process", "none"]))
def test_no_history_leads_astray(service: ServiceSection, events: list[str], mode: str) -> None:
    """Whatever comes in whatever order: no exception, timers only while something is awaited, and a stop ends it."""
    m = Machine(KillContext(mode=mode))
    m.unit = replace(m.unit, service=service, unit=UnitSection(start_limit_burst=0))
    for what in [*events, "reset"]:
        play(m, what)
        assert m.record.sub in TABLE
        if m.record.sub in ("dead", "failed"):
            assert not m.record.deadlines
            assert not m.record.main_token
            assert not m.record.control_token
    for _ in range(30):
        for what in ("stop", "born", "main0", "ctl0", "empty"):
            play(m, what)
    assert m.record.sub in ("dead", "failed")


def play(m: Machine, what: str) -> None:
    r = m.record
    simple: dict[str, Event] = {
        "start": Start("33" * 16),
        "auto": Start("44" * 16, automatic=True),
        "stop": Stop(),
        "reload": Reload(),
        "empty": Empty(),
        "late": Deadline("state", -1),
        "ready": Notified(1, {"READY": "1"}),
        "reloading": Notified(1, {"RELOADING": "1"}),
        "stopping": Notified(1, {"STOPPING": "1"}),
        "reset": ResetFailed(),
    }
    if what in simple:
        m.feed(simple[what])
        m.born()
    elif what in ("main0", "main1", "kill") and r.main_token:
        m.main_exits(9 if what == "kill" else int(what[-1]), CLD_KILLED if what == "kill" else CLD_EXITED)
    elif what in ("ctl0", "ctl1") and r.control_token:
        m.control_exits(int(what[-1]))
    elif what == "due" and r.deadlines:
        m.after(min(at for at, _ in r.deadlines.values()) - m.now)
    if any(isinstance(e, ReadPidFile) for e in m.effects):
        m.feed(PidFile(0)).born()


def test_timers_are_armed_with_their_generation() -> None:
    m = Machine(type="notify", timeout_start=5.0).start()
    armed = [e for e in m.all if isinstance(e, ArmTimer)]
    assert m.record.deadlines["state"] == (armed[-1].at, armed[-1].generation)

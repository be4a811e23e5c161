"""The state machine of .socket units against a fake clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.manager.socketmachine import TABLE, step
from unitd.manager.socketstates import (
    CheckService,
    ChownSockets,
    CloseSockets,
    Connection,
    DropPending,
    Incoming,
    OpenSockets,
    RefuseConnection,
    ServiceState,
    SocketChecked,
    SocketsChowned,
    SocketsOpened,
    StartInstance,
    Trigger,
    TriggerFailed,
    UnwatchSockets,
    WatchSockets,
)
from unitd.manager.states import (
    ACTIVE_OF,
    CLD_EXITED,
    Deadline,
    Effect,
    Event,
    Exit,
    Exited,
    Finished,
    Record,
    ResetFailed,
    Signal,
    Spawn,
    Spawned,
    Start,
    Stop,
)
from unitd.units.model import Command, KillContext, Unit, UnitSection
from unitd.units.socket import Listener, SocketSection


def command(name: str) -> tuple[Command, ...]:
    return (Command(f"/bin/{name}", (name,)),)


class Machine:
    """A socket under test: keeps record and clock, answers what a real machine answers at once."""

    def __init__(self, kill: KillContext | None = None, unit: UnitSection | None = None, **section: Any) -> None:
        section.setdefault("listeners", (Listener("stream", "unix", "/s"),))
        self.unit = Unit("t.socket", socket=SocketSection(**section), kill=kill or KillContext(), unit=unit or UnitSection())
        self.record, self.now, self.pid = Record("t.socket"), 1000.0, 100
        self.effects: list[Effect] = []
        self.problem = ""

    def feed(self, event: Event) -> Machine:
        self.record, effects = step(self.record, self.unit, event, self.now)
        self.effects = effects
        for effect in effects:
            if isinstance(effect, CheckService):
                self.feed(SocketChecked(effect.invocation))
            elif isinstance(effect, OpenSockets):
                self.feed(SocketsOpened(self.problem))
            elif isinstance(effect, ChownSockets):
                self.feed(SocketsChowned())
            elif isinstance(effect, Spawn):
                self.pid += 1
                self.feed(Spawned(effect.token, self.pid))
        return self

    def ends(self, status: int = 0) -> Machine:
        return self.feed(Exited(self.record.control_token, self.record.control_pid, Exit(CLD_EXITED, status)))

    def times_out(self) -> Machine:
        at, generation = self.record.deadlines["state"]
        self.now = at
        return self.feed(Deadline("state", generation))

    def up(self) -> Machine:
        self.feed(Start("i" * 32))
        assert self.record.sub == "listening"
        return self

    def has(self, kind: type) -> bool:
        return any(isinstance(e, kind) for e in self.effects)


def test_a_start_checks_opens_and_listens() -> None:
    m = Machine()
    m.feed(Start("i" * 32))
    assert m.record.sub == "listening" and m.record.active == "active"
    assert m.effects[-2:] == [WatchSockets(), Finished("start", "done")]


def test_a_refused_start_changes_nothing() -> None:
    m = Machine()
    m.record, effects = step(m.record, m.unit, Start("i" * 32), m.now)
    assert effects == [CheckService("i" * 32)]
    m.feed(SocketChecked("i" * 32, "its service t.service is up already; stop it first"))
    assert (m.record.sub, m.record.result) == ("dead", "success")
    assert Finished("start", "failed") in m.effects and "up already" in m.record.last_failure


def test_sockets_that_cannot_be_made_fail_the_unit() -> None:
    m = Machine()
    m.problem = "cannot listen on 80, because somebody does"
    m.feed(Start("i" * 32))
    assert (m.record.sub, m.record.result, m.record.last_failure) == ("failed", "resources", m.problem)


def test_traffic_starts_the_service_and_its_end_listens_again() -> None:
    m = Machine().up()
    m.feed(Incoming(busy=False))
    assert m.record.sub == "running" and m.has(Trigger) and m.has(UnwatchSockets)
    m.feed(ServiceState("running", False, True))
    m.feed(ServiceState("dead", False, True))
    assert m.record.sub == "running"  # its job is not over
    m.feed(ServiceState("dead", False, False))
    assert m.record.sub == "listening" and m.has(WatchSockets)
    m.feed(ServiceState("running", False, False))  # started by hand
    assert m.record.sub == "running"


def test_a_busy_service_is_not_started_again_and_a_pool_listens_when_all_are_down() -> None:
    m = Machine().up()
    m.feed(Incoming(busy=True))
    assert m.record.sub == "running" and not m.has(Trigger)
    m.feed(ServiceState("dead", False, False, others=True))
    assert m.record.sub == "running"


def test_traffic_is_dropped_while_a_stop_waits() -> None:
    m = Machine().up()
    m.feed(Incoming(False, stopping=True))
    assert m.record.sub == "listening" and m.has(DropPending) and not m.has(Trigger)


@pytest.mark.parametrize(("accept", "burst"), [(False, 20), (True, 200)])
def test_the_trigger_limit_has_systemds_defaults(accept: bool, burst: int) -> None:
    m = Machine(accept=accept).up()
    count = 0
    while m.record.sub != "failed":
        if accept:
            m.feed(Connection(f"t@{count}.service", 0, 0))
        else:
            m.feed(Incoming(False)).feed(ServiceState("dead", False, False))
        count += 1
    assert count == burst + 1 and m.record.result == "trigger-limit-hit"


def test_a_service_that_hits_its_start_limit_fails_the_socket() -> None:
    m = Machine().up().feed(Incoming(False))
    m.feed(ServiceState("failed", True, False))
    assert (m.record.sub, m.record.result) == ("failed", "service-start-limit-hit")


def test_the_poll_limit_rests_and_does_not_fail() -> None:
    m = Machine(poll_limit_burst=2).up()
    for _ in range(2):
        m.feed(Incoming(False)).feed(ServiceState("dead", False, False))
    m.feed(Incoming(False))
    assert m.record.sub == "listening" and m.has(UnwatchSockets)
    at, generation = m.record.deadlines["poll"]
    m.now = at
    m.feed(Deadline("poll", generation))
    assert m.has(WatchSockets)


def test_connections_are_counted_and_limited() -> None:
    m = Machine(accept=True, max_connections=2, max_connections_per_source=1).up()
    m.feed(Connection("t@0.service", 0, 0))
    assert m.has(StartInstance) and m.record.n_accepted == 1
    m.feed(Connection("t@1.service", 1, 1))
    assert m.has(RefuseConnection) and m.record.n_refused == 1
    m.feed(Connection("t@2.service", 2, 0))
    assert m.has(RefuseConnection) and m.record.n_refused == 2
    m.feed(ServiceState("failed", True, False))
    assert m.record.sub == "listening"


def test_commands_run_in_their_states() -> None:
    m = Machine(exec_start_pre=command("a") * 2, exec_start_post=command("b"), exec_stop_pre=command("c"), exec_stop_post=command("d"), user="root")
    m.feed(Start("i" * 32))
    seen = [m.record.sub]
    m.ends().ends()
    seen.append(m.record.sub)
    m.ends()
    seen.append(m.record.sub)
    m.feed(Stop())
    seen.append(m.record.sub)
    m.ends()
    seen.append(m.record.sub)
    assert m.record.sub == "stop-post"
    m.ends()
    assert [*seen, m.record.sub] == ["start-pre", "start-post", "listening", "stop-pre", "stop-post", "dead"]


@pytest.mark.parametrize(
    ("section", "state", "end"),
    [
        ({"exec_start_pre": command("a")}, "start-pre", ("failed", "exit-code")),
        ({"exec_start_post": command("a")}, "start-post", ("failed", "exit-code")),
    ],
)
def test_a_command_that_fails_fails_the_socket(section: dict[str, Any], state: str, end: tuple[str, str]) -> None:
    m = Machine(**section).feed(Start("i" * 32))
    assert m.record.sub == state
    m.ends(3)
    assert (m.record.sub, m.record.result) == end and "exited with status 3" in m.record.last_failure


def test_a_command_that_hangs_is_ended_and_the_result_is_timeout() -> None:
    m = Machine(exec_stop_pre=command("a"), timeout=5.0).up().feed(Stop())
    m.times_out()
    assert m.record.sub == "stop-pre-sigterm" and any(isinstance(e, Signal) and e.signal == 15 for e in m.effects)
    m.times_out()
    assert m.record.sub == "stop-pre-sigkill" and any(isinstance(e, Signal) and e.signal == 9 for e in m.effects)
    m.times_out()
    assert (m.record.sub, m.record.result) == ("failed", "timeout")


def test_a_service_that_cannot_be_started_fails_the_socket() -> None:
    m = Machine().up().feed(Incoming(False)).feed(TriggerFailed("it is masked"))
    assert (m.record.sub, m.record.result) == ("failed", "resources") and "masked" in m.record.last_failure
    m.feed(ResetFailed())
    assert (m.record.sub, m.record.result) == ("dead", "success")


def test_the_start_limit_is_that_of_any_unit() -> None:
    m = Machine(unit=UnitSection(start_limit_burst=2))
    for _ in range(2):
        m.up().feed(Stop())
    m.feed(Start("i" * 32))
    assert (m.record.sub, m.record.result) == ("failed", "start-limit-hit")


EVENTS = st.sampled_from(
    [
        Start("i" * 32), Stop(), Stop(restart=True), ResetFailed(), Incoming(False), Incoming(True), Incoming(False, True), TriggerFailed("x"),
        ServiceState("dead", False, False), ServiceState("running", False, False), ServiceState("failed", True, False), Connection("t@1.service", 0, 0),
        SocketsOpened("late"), SocketsChowned("late"), "ends", "fails", "times out",
    ]
)  # fmt: skip


@given(st.lists(EVENTS, max_size=30), st.booleans(), st.booleans())
def test_whatever_comes_sockets_are_closed_when_it_is_down_and_a_stop_ends(events: list[Any], hooks: bool, accept: bool) -> None:
    lines = {f"exec_{r}": command(r) for r in ("start_pre", "start_post", "stop_pre", "stop_post")} if hooks else {}
    m = Machine(accept=accept, **lines)
    for event in [*events, Stop()]:
        m.now += 0.5
        if event in ("ends", "fails"):
            if m.record.control_token:
                m.ends(int(event == "fails"))
        elif event == "times out":
            if "state" in m.record.deadlines:
                m.times_out()
        else:
            m.feed(event)
        assert m.record.sub in TABLE and m.record.sub in ACTIVE_OF
    for _ in range(12):
        if m.record.control_token:
            m.ends()
        elif "state" in m.record.deadlines:
            m.times_out()
    assert m.record.sub in ("dead", "failed"), m.record.sub


def test_open_states_close_on_the_way_out() -> None:
    m = Machine().up()
    record = replace(m.record)
    _, effects = step(record, m.unit, Stop(), m.now)
    kinds = [type(e) for e in effects]
    assert kinds.index(UnwatchSockets) < kinds.index(CloseSockets) and Finished("stop", "done") in effects

"""Typed events: what the manager makes of a step, and what a subscriber gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.unit.test_bus import Manager
from unitd.bus import events as bus
from unitd.bus.client import Client
from unitd.bus.messages import BadMessage
from unitd.manager import events
from unitd.manager.jobs import Job
from unitd.manager.states import Changed, Deadline, Exit, Exited, Finished, Notified, Record


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "run")
    yield made
    made.close()


def test_every_kind_survives_the_wire() -> None:
    made = [
        events.changed(Record("a.service", sub="running", main_pid=7), Changed("start", "running"), 5.0),
        events.job(Job(3, "a.service", "start"), "finished", 5.0, "done"),
        events.reloaded(["x"], 5.0),
        events.manager("started", "i1", 5.0),
        events.socket("a.socket", "traffic", 5.0, accepted=2),
        events.log_written("a.service", 100, 5.0),
    ]
    found = [bus.decode(topic, msgspec.json.encode({"seq": 1, "position": 4, "previous": 2, "data": data})) for topic, data in made]
    assert [type(event).__name__ for event, _ in found] == ["UnitChanged", "JobChanged", "Reloaded", "ManagerEvent", "SocketActivity", "LogWritten"]
    first = found[0][0]
    assert isinstance(first, bus.UnitChanged)
    assert (first.unit, first.active, first.old_active, first.main_pid, first.topic, first.seq, first.position) == (
        "a.service", "active", "activating", 7, "unit.a.service", 1, 4
    )  # fmt: skip
    assert found[0][1] == 2


def test_unknown_and_odd_events_come_as_they_are() -> None:
    event, _ = bus.decode("unit.a.service", b'{"seq": 1, "data": {"kind": "later-version", "x": 1}}')
    assert isinstance(event, bus.Other)
    assert (event.unit, event.data) == ("a.service", {"kind": "later-version", "x": 1})
    event, _ = bus.decode("log.a.service", b'{"seq": 1, "data": {"size": 4}}')
    assert isinstance(event, bus.LogWritten)
    assert (event.unit, event.size) == ("a.service", 4)
    for garbage in (b"", b"\xff\xfe", b"[]", b'{"data": {}}', b'{"seq": "x"}'):
        with pytest.raises(BadMessage):
            bus.decode("unit.a", garbage)


def test_a_step_tells_of_exit_plan_text_and_reload() -> None:
    before = Record("a.service", sub="running", main_pid=7, main_token="t1")
    after = replace(before, main_pid=0, main_token="", last_failure="it broke", restart_delay=2.0, restart_attempt=3, deadlines={"restart": (102.0, 1)})
    told = [data for _, data in events.of_step(before, after, Exited("t1", 7, Exit(2, 9)), [], 100.0, 1000.0)]
    assert told == [
        {"kind": "process-exited", "unit": "a.service", "time": 1000.0, "pid": 7, "role": "ExecStart", "code": "killed", "status": 9},
        {"kind": "restart-planned", "unit": "a.service", "time": 1000.0, "reason": "it broke", "delay": 2.0, "attempt": 3, "at": 1002.0},
    ]
    assert list(events.of_step(after, after, Deadline("x", 1), [], 100.0, 1000.0)) == []
    assert list(events.of_step(before, before, Exited("stranger", 8, Exit(1, 0)), [], 100.0, 1000.0)) == []
    texted = replace(before, status_text="busy")
    assert [d["kind"] for _, d in events.of_step(before, texted, Notified(7, {"STATUS": "busy"}), [], 0.0, 0.0)] == ["status-text"]
    assert [d["kind"] for _, d in events.of_step(before, before, Deadline("x", 1), [Finished("reload", "done")], 0.0, 0.0)] == ["reloaded"]


def test_patterns() -> None:
    assert bus.prefix("unit.web*") == "unit.web" and bus.prefix("unit.") == "unit."
    assert bus.matches("unit.web@1.service", ["unit.web@*"]) and bus.matches("unit.web@1.service", ["job.", "unit."])
    assert not bus.matches("unit.web.service", ["unit.web"[:4] + "x", "unit.w?b"])


def test_after_the_constructor_nothing_is_missed(manager: Manager) -> None:
    for _ in range(20):
        with Client(manager.server.endpoint).events(["unit.a*"]) as feed:
            manager.run(lambda: manager.server.publish("unit.b", {"kind": "status-text"}))
            manager.run(lambda: manager.server.publish("unit.abc", {"kind": "status-text", "text": "x"}))
            event = feed.next_event(30)
            assert isinstance(event, bus.StatusText)
            assert (event.topic, event.text) == ("unit.abc", "x")


def test_a_gap_says_what_is_missing_even_before_the_first_event(manager: Manager) -> None:
    server = manager.server
    manager.run(lambda: server.publish("unit.a", {"kind": "status-text"}))
    with Client(server.endpoint).events(["unit.a"]) as feed:
        started = server.position

        def lose() -> None:
            server.position += 3
            server._sequence["unit.a"] = (4, server.position)

        manager.run(lose)
        manager.run(lambda: server.publish("unit.a", {"kind": "status-text"}))
        manager.run(lose)
        manager.run(lambda: server.publish("unit.a", {"kind": "status-text"}))
        got = [feed.next_event(30) for _ in range(4)]
    assert feed.start == started
    assert [type(e).__name__ for e in got] == ["Gap", "StatusText", "Gap", "StatusText"]
    assert isinstance(got[0], bus.Gap)
    assert (got[0].topic, got[0].reason) == ("unit.a", "lost")


def test_another_manager_is_told(tmp_path: Path) -> None:
    first = Manager(tmp_path)
    with Client(first.server.endpoint).events(["unit."]) as feed:
        first.close()
        second = Manager(tmp_path)
        told = [feed.next_event(30), feed.next_event(30)]
        assert [type(e).__name__ for e in told] == ["Gap", "ManagerEvent"]
        assert isinstance(told[0], bus.Gap) and told[0].reason == "reconnected"
        assert isinstance(told[1], bus.ManagerEvent) and told[1].instance == second.server.instance == feed.instance
        second.run(lambda: second.server.publish("unit.a", {"kind": "status-text", "text": "x"}))
        event = feed.next_event(30)
        assert isinstance(event, bus.StatusText)
        second.close()

"""Events and snapshots of the real manager."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.harness import PATIENCE, UNITCTL, Manager
from unitd.bus import events as bus
from unitd.bus.client import Events


def until(events: Events, wanted: Callable[[bus.Event], bool]) -> list[bus.Event]:
    """All events up to and with the one that is wanted."""
    found: list[bus.Event] = []
    end = time.monotonic() + PATIENCE
    while not found or not wanted(found[-1]):
        event = events.next_event(max(0.0, end - time.monotonic()))
        assert event is not None, found
        found.append(event)
    return found


def of(found: list[bus.Event], kind: type[bus.Event]) -> list[bus.Event]:
    return [event for event in found if isinstance(event, kind)]


def test_the_life_of_a_service_in_events(manager: Manager) -> None:
    manager.write("web.service", "[Service]\nExecStart=/bin/sh -c 'echo hello; exec sleep 1000'\nRestart=always\nRestartSec=60s\n")
    manager.boot()
    with manager.client() as client, client.events(["unit.web", "job.web", "manager."]) as events:
        manager.ok("start", "web")
        found = until(events, lambda e: isinstance(e, bus.JobChanged) and e.state == "finished")
        states = [e.sub for e in of(found, bus.UnitChanged) if isinstance(e, bus.UnitChanged)]
        assert states[-1] == "running"
        assert {e.unit for e in found} == {"web.service"} and all(e.time > 0 for e in found)
        pid = manager.pid("web")
        os.kill(pid, signal.SIGKILL)
        found = until(events, lambda e: isinstance(e, bus.UnitChanged) and e.sub == "auto-restart")
        exited = of(found, bus.ProcessExited)
        assert [(e.pid, e.role, e.code, e.status) for e in exited if isinstance(e, bus.ProcessExited)] == [(pid, "ExecStart", "killed", 9)]
        plans = of(found, bus.RestartPlanned)
        assert [(e.delay, e.attempt) for e in plans if isinstance(e, bus.RestartPlanned)] == [(60.0, 1)]
        snapshot = client.snapshot()
        row = next(r for r in snapshot.units if r["unit"] == "web.service")
        assert row["sub"] == "auto-restart" and row["restart"]["delay"] == 60.0
        assert snapshot.position >= found[-1].position and snapshot.instance == events.instance
        manager.ok("daemon-reload")
        reloaded = of(until(events, lambda e: isinstance(e, bus.Reloaded)), bus.Reloaded)
        assert reloaded[0].topic == "manager.reload" and reloaded[0].position > snapshot.position


def test_a_subscriber_sees_the_manager_replaced(manager: Manager) -> None:
    manager.write("web.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    manager.boot()
    manager.ok("start", "web")
    with manager.client() as client, client.events(["unit.web*"]) as events:
        before = client.snapshot()
        os.kill(manager.manager_pid(), signal.SIGKILL)
        found = until(events, lambda e: isinstance(e, bus.ManagerEvent))
        assert [type(e) for e in found] == [bus.Gap, bus.ManagerEvent]
        after = client.snapshot()
        assert after.instance == events.instance != before.instance
        pids = [{r["unit"]: r["main_pid"] for r in snapshot.units}["web.service"] for snapshot in (before, after)]
        assert pids[0] == pids[1] != 0
        manager.ok("stop", "web")
        until(events, lambda e: isinstance(e, bus.UnitChanged) and e.active == "inactive")


BUSY = """
import os, socket, threading, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(5)
c = socket.create_connection(s.getsockname())
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        while True: pass
    os._exit(0)
os.wait()
threading.Thread(target=time.sleep, args=(1000,)).start()
print("up", s.getsockname()[1], flush=True)
time.sleep(1000)
"""


def test_stats_of_a_whole_tree(any_manager: Manager) -> None:
    manager = any_manager
    program = manager.base / "busy.py"
    program.write_text(BUSY)
    manager.write("busy.service", f"[Service]\nExecStart={sys.executable} {program}\nNice=10\n")
    manager.write("calm.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    manager.boot()
    with manager.client() as client, client.events(["log.busy"]) as written:
        manager.ok("start", "busy", "calm")
        until(written, lambda e: isinstance(e, bus.LogWritten))
        with client.events(["stats."]) as events:
            # a daemon of its own session two generations down, which burns CPU, belongs to the unit
            found = until(events, lambda e: isinstance(e, bus.StatsSample) and e.unit == "busy.service" and e.cpu > 5)
            sample = found[-1]
            assert isinstance(sample, bus.StatsSample)
            assert len(sample.processes) == 2 and sample.tasks == 3 and sample.memory > 5_000_000 and sample.fds > 5
            assert {e.unit for e in found} <= {"busy.service", "calm.service"}
            calm = until(events, lambda e: isinstance(e, bus.StatsSample) and e.unit == "calm.service")[-1]
            assert isinstance(calm, bus.StatsSample)
            assert calm.cpu < 50 and [p.name for p in calm.processes] == ["sleep"]
            until(events, lambda e: isinstance(e, bus.StatsSample) and e.unit == "busy.service" and e.seq > sample.seq + 1)
        rows = client.stats(["busy"], history=60, pss=True, sockets=True)
        assert len(rows[0]["history"]) >= 2 and rows[0]["pss"] > 1_000_000
        assert [(s["proto"], s["queue"]) for s in rows[0]["sockets"]] == [("tcp", 1)]
        assert {"busy.service", "calm.service"} <= {r["unit"] for r in client.stats(measure=0)}
        assert client.call("stats", ["nothing"]).exit_code == 4
        assert client.call("stats", ["busy"], measure="x").exit_code == 1
        stats = {r["unit"]: r["stats"] for r in client.snapshot().units}
        assert stats["busy.service"]["tasks"] == 3


def test_the_verbs_of_the_live_view(manager: Manager) -> None:
    manager.write("web.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep 1000\n")
    manager.boot()
    process = subprocess.Popen(
        [*UNITCTL, "events", "web", "--json", "-n", "3"], env=manager.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with manager.client() as client:
        try:
            # it cannot be seen from outside when it has subscribed: have things happen until it has seen enough
            end = time.monotonic() + PATIENCE
            while process.poll() is None and time.monotonic() < end:
                client.start(["web.service"])
                client.stop(["web.service"])
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
    found = [json.loads(line) for line in out.splitlines()]
    assert len(found) == 3 and {e["unit"] for e in found} == {"web.service"}, err
    manager.ok("start", "web")
    assert "web.service running" in " ".join(manager.ok("stats", "--seconds", "0.1").split())
    assert json.loads(manager.ok("stats", "--json", "--pss", "--sockets", "web"))[0]["sockets"] == []
    shown = manager.ok("plot", "web", "--width", "60")
    assert "web.service: the last" in shown and "memory now" in shown
    assert json.loads(manager.ok("plot", "web", "--json"))[0]["history"]
    families = {f.name: f for f in text_string_to_metric_families(manager.ok("metrics"))}
    assert [s.value for s in families["unitd_unit_active"].samples if s.labels == {"unit": "web.service"}] == [1.0]
    assert sum(s.value for s in families["unitd_process_exits"].samples) >= 1
    assert manager.ctl("stats", "nothing").returncode == 4


def test_a_subscriber_that_never_reads_costs_nothing_but_its_events(manager: Manager) -> None:
    manager.write("web.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep 1000\n")
    manager.boot()
    with manager.client() as client:
        stuck = [client.events([""]) for _ in range(3)]
        pid = manager.manager_pid()
        for _ in range(150):
            client.call("daemon-reload")
            client.restart(["web.service"])
        garbage = socket.socket(socket.AF_UNIX)
        garbage.connect(f"{manager.run}/events")
        garbage.sendall(b"\xff" + os.urandom(5000))
        with client.events(["unit."]) as fresh:
            client.restart(["web.service"])
            until(fresh, lambda e: isinstance(e, bus.UnitChanged) and e.sub == "running")
        assert manager.manager_pid() == pid
        garbage.close()
        for events in stuck:
            events.close()


def test_scale(manager: Manager) -> None:
    manager.write("w@.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    manager.boot()
    assert manager.ok("scale", "w@=3") == "w@.service: 0 -> 3\n"
    assert manager.ok("scale", "w@2=-1") == "w@.service: 3 -> 2\n"
    assert [manager.ctl("is-active", f"w@{n}").returncode for n in (1, 2, 3)] == [0, 0, 3]
    with manager.client() as client:
        assert client.scale("w@", 0)["stopped"] == ["w@2.service", "w@1.service"]
    assert manager.ctl("scale", "w@").returncode == 1 and manager.ctl("scale", "sleep.service=2").returncode == 1


def test_what_happens_at_sockets(manager: Manager) -> None:
    path = str(manager.base / "s")
    manager.write("lazy.socket", f"[Socket]\nListenStream={path}\n")
    manager.write("lazy.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    manager.write("each.socket", f"[Socket]\nListenStream={path}2\nAccept=yes\nMaxConnections=1\n")
    manager.write("each@.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    manager.boot()
    manager.ok("start", "lazy.socket", "each.socket")
    with (
        manager.client() as client,
        client.events(["unit.lazy.socket", "unit.each.socket"]) as events,
        socket.socket(socket.AF_UNIX) as one,
        socket.socket(socket.AF_UNIX) as two,
        socket.socket(socket.AF_UNIX) as three,
    ):
        one.connect(path)
        until(events, lambda e: isinstance(e, bus.SocketActivity) and (e.unit, e.what) == ("lazy.socket", "traffic"))
        two.connect(path + "2")
        until(events, lambda e: isinstance(e, bus.SocketActivity) and (e.unit, e.what, e.connections) == ("each.socket", "accepted", 1))
        three.connect(path + "2")
        until(events, lambda e: isinstance(e, bus.SocketActivity) and (e.unit, e.what) == ("each.socket", "refused"))

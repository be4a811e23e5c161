"""The manager dies, hangs, is replaced; the warden dies; the logger dies: services never notice, and nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import PATIENCE, Manager, alive, marked, poll, wait_gone
from unitd.bus.events import Gap, ManagerEvent

COUNTER = """
[Service]
ExecStart=/bin/sh -c 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done'
"""
STEADY = "[Service]\nExecStart=/bin/sleep 1000\nRestart=always\nRestartSec=0\n"


def logger_pid(m: Manager) -> int:
    """The logger; 0 if there is none."""
    return next(iter(m.named("unitd: logger")), 0)


def reserve_pid(m: Manager) -> int:
    """The manager in reserve; 0 if there is none."""
    return next(iter(m.named("unitd: manager in reserve")), 0)


def numbers(m: Manager, unit: str) -> list[int]:
    return [int(n) for n in re.findall(r"^line (\d+)$", "\n".join(re.findall(r"line \d+$", m.ok("logs", "-n", "1000000", unit), re.M)), re.M)]


def whole(m: Manager, unit: str) -> int:
    """Every number is there once and in order; how many."""
    found = numbers(m, unit)
    assert found == list(range(1, len(found) + 1))
    return len(found)


def test_managers_killed_one_after_the_other(manager: Manager) -> None:
    manager.write("count.service", COUNTER)
    manager.write("steady.service", STEADY)
    manager.boot().ok("start", "count", "steady")
    before = manager.pid("count"), manager.pid("steady")
    pid = manager.manager_pid()
    for _ in range(10):
        os.kill(pid, signal.SIGKILL)
        pid = manager.next_manager(pid)
    assert (manager.pid("count"), manager.pid("steady")) == before
    assert manager.show("steady", "NRestarts") == "0"
    seen = whole(manager, "count")
    poll(lambda: len(numbers(manager, "count")) > seen, "no more lines come")
    manager.ok("stop", "count")
    assert whole(manager, "count") > seen


def test_reexec_replaces_warden_and_manager(manager: Manager) -> None:
    manager.write("count.service", COUNTER)
    manager.write("dies.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    manager.boot().ok("start", "count", "dies")
    warden = manager.warden
    for _ in range(3):
        before, pid = manager.pid("count"), manager.manager_pid()
        fd = os.open(f"/proc/{warden}/fd", os.O_RDONLY)
        manager.ok("daemon-reexec")
        os.close(fd)
        manager.next_manager(pid)
        assert manager.pid("count") == before
    assert Path(f"/proc/{warden}/cmdline").read_bytes().count(b"warden.py") == 1
    os.kill(manager.pid("dies"), signal.SIGUSR2)  # the exec'd warden is still the parent
    manager.wait_for("dies.service", ActiveState="failed", ExecMainStatus=str(int(signal.SIGUSR2)))
    manager.ok("stop", "count")
    whole(manager, "count")


def test_a_hung_manager_is_replaced(manager: Manager) -> None:
    manager.configure("hang_timeout = 1s\n")
    manager.write("steady.service", STEADY)
    manager.boot().ok("start", "steady")
    before, pid = manager.pid("steady"), manager.manager_pid()
    os.kill(pid, signal.SIGSTOP)
    manager.expect("the manager hangs: it is stopped for more than 1 s")
    manager.next_manager(pid)
    assert manager.pid("steady") == before


def test_a_manager_in_reserve(manager: Manager) -> None:
    manager.configure("standby = yes\n")
    manager.write("steady.service", STEADY)
    manager.boot().ok("start", "steady")
    before = manager.pid("steady")
    for kill_reserve in (False, True, False):
        poll(lambda: reserve_pid(manager), "none in reserve")
        spare, pid = reserve_pid(manager), manager.manager_pid()
        if kill_reserve:
            os.kill(spare, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        assert (manager.next_manager(pid) == spare) is not kill_reserve
    poll(lambda: reserve_pid(manager), "none in reserve")
    spare, pid = reserve_pid(manager), manager.manager_pid()
    manager.ok("daemon-reexec")  # may be another program: the one in reserve is the old one
    assert manager.next_manager(pid) != spare
    assert manager.pid("steady") == before
    assert manager.show("steady", "NRestarts") == "0"


def test_exits_in_the_gap_are_reported(manager: Manager) -> None:
    codes = range(40, 46)
    for code in codes:
        manager.write(f"e{code}.service", f"[Service]\nExecStart=/bin/sh -c 'read x </proc/self/fd/0; trap \"exit {code}\" USR1; while :; do sleep 0.02; done'\n")
    manager.boot().ok("start", *(f"e{code}" for code in codes))
    pids = [manager.pid(f"e{code}") for code in codes]
    manager_pid = manager.manager_pid()
    for pid in pids:
        poll(lambda pid=pid: int(re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.M)[1], 16) & 1 << 9, "no trap")  # type: ignore[index, misc]
    os.kill(manager_pid, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGUSR1)
    wait_gone(pids)
    os.kill(manager_pid, signal.SIGKILL)
    for code in codes:
        manager.wait_for(f"e{code}.service", ActiveState="failed", ExecMainStatus=str(code))


def test_a_start_goes_on_and_its_client_hears_of_it(manager: Manager) -> None:
    gate = manager.base / "gate"
    manager.write("slow.service", f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'until test -e {gate}; do sleep 0.02; done'\n")
    manager.write("bad.service", f"[Service]\nType=oneshot\nExecStart=/bin/sh -c 'until test -e {gate}; do sleep 0.02; done; echo x >>{gate}.runs; exit 3'\n")
    manager.boot()
    results = {}
    clients = [threading.Thread(target=lambda u=unit: results.update({u: manager.ctl("start", u)})) for unit in ("slow", "bad")]  # type: ignore[misc]
    for client in clients:
        client.start()
    for unit in ("slow", "bad"):
        manager.wait_for(f"{unit}.service", ActiveState="activating", SubState="start")
    pid = manager.manager_pid()
    os.kill(pid, signal.SIGKILL)
    manager.next_manager(pid)
    gate.touch()
    for client in clients:
        client.join(PATIENCE)
    assert results["slow"].returncode == 0, results
    assert results["bad"].returncode == 1, results
    assert "status" in results["bad"].stderr
    assert Path(f"{gate}.runs").read_text() == "x\n"


def test_subscribers_learn_of_the_gap(manager: Manager) -> None:
    manager.boot()
    pid = manager.manager_pid()
    with manager.client() as client, client.events(["manager."]) as events:
        before = client.ping()["instance"]
        os.kill(pid, signal.SIGKILL)
        gap = events.next_event(timeout=PATIENCE)
        started = events.next_event(timeout=PATIENCE)
        assert isinstance(gap, Gap)
        assert gap.reason == "reconnected"
        assert isinstance(started, ManagerEvent)
        assert started.what == "started"
        assert client.ping()["instance"] == started.instance != before


def test_the_logger_is_killed(manager: Manager) -> None:
    manager.write("count.service", COUNTER)
    manager.boot().ok("start", "count")
    for _ in range(5):
        poll(lambda: logger_pid(manager), "no logger")
        old = logger_pid(manager)
        os.kill(old, signal.SIGKILL)
        manager.expect("the logger ended")
        poll(lambda: logger_pid(manager) not in (0, old), "no new logger")  # noqa: B023
    manager.ok("stop", "count")
    assert whole(manager, "count") > 0


def test_the_warden_is_killed(manager: Manager) -> None:
    m = manager
    m.write("count.service", COUNTER)
    m.write("steady.service", STEADY)
    m.write("dies.service", "[Service]\nExecStart=/bin/sleep 1000\nExecStopPost=/bin/true\n")
    m.boot().ok("start", "count", "steady", "dies")
    pids = {unit: m.pid(unit) for unit in ("count", "steady", "dies")}
    m.kill_warden()
    assert {unit: m.pid(unit) for unit in pids} == pids
    seen = len(numbers(m, "count"))
    poll(lambda: len(numbers(m, "count")) > seen, "no more lines come")
    # adopted ones are looked after as before
    os.kill(pids["dies"], signal.SIGUSR2)
    m.wait_for("dies.service", ActiveState="failed")
    if m.show("dies", "ExecMainCode") == "2":  # the kernel tells how it ended
        assert m.show("dies", "ExecMainStatus") == str(int(signal.SIGUSR2))
    else:
        assert "unknown" in m.ok("status", "dies")
    os.kill(pids["steady"], signal.SIGKILL)
    m.wait_for("steady.service", ActiveState="active", SubState="running", NRestarts="1")
    # and so are new ones, and the next warden's death
    m.kill_warden()
    assert m.pid("count") == pids["count"]
    m.ok("stop", "count")
    whole(m, "count")
    m.stop()
    assert marked(m.base.name) == []


def damage_newer(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.commit()
    db.close()


def damage_half(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    os.truncate(path, path.stat().st_size // 2)


def damage_garbage(path: Path) -> None:
    for name in (path, path.with_name("state.db-wal")):
        name.write_bytes(b"nonsense" * 1000)


@pytest.mark.parametrize("damage", [damage_newer, damage_half, damage_garbage])
def test_a_bad_state_file(manager: Manager, damage: Callable[[Path], None]) -> None:
    manager.write("steady.service", STEADY)
    manager.write("count.service", COUNTER)
    manager.boot().ok("start", "steady", "count")
    pids = manager.pid("steady"), manager.pid("count")
    pid = manager.manager_pid()
    os.kill(pid, signal.SIGSTOP)
    damage(manager.run / "state.db")
    os.kill(pid, signal.SIGKILL)
    manager.expect("services run on")
    manager.next_manager(pid)
    assert (manager.pid("steady"), manager.pid("count")) == pids
    assert (manager.run / "state.db.bad").exists()
    manager.ok("stop", "count")
    whole(manager, "count")


def test_connects_wait_while_managers_change(manager: Manager) -> None:
    manager.boot()
    pid = manager.manager_pid()
    os.kill(pid, signal.SIGKILL)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(manager.run / "bus"))  # nobody is there yet
    manager.next_manager(pid)


def test_both_are_killed(manager: Manager) -> None:
    m = manager
    m.write("count.service", COUNTER)
    m.write("gone.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    m.write("again.service", STEADY)
    m.boot().ok("start", "count", "gone", "again")
    pids = {unit: m.pid(unit) for unit in ("count", "gone", "again")}
    m.kill_unitd()
    for unit in ("gone", "again"):
        os.kill(pids[unit], signal.SIGKILL)
    wait_gone([pids["gone"], pids["again"]])
    m.boot()
    assert any("1 processes of an earlier unitd run on" in line for line in m.messages)
    assert m.pid("count") == pids["count"]
    m.wait_for("again.service", ActiveState="active", SubState="running", NRestarts="1")
    m.wait_for("gone.service", ActiveState="failed")
    assert "unknown" in m.ctl("status", "gone").stdout
    seen = len(numbers(m, "count"))
    poll(lambda: len(numbers(m, "count")) > seen, "no more lines come")
    m.ok("stop", "count")
    whole(m, "count")
    assert m.stop() == 0
    assert not alive(pids["count"])
    m.boot()  # after an orderly end nothing is left to take over
    assert not any("earlier unitd" in line for line in m.messages[-3:])


def test_a_second_unitd_is_refused_whoever_is_the_warden(manager: Manager) -> None:
    m = manager
    m.write("steady.service", STEADY)
    m.boot().ok("start", "steady")
    m.kill_warden()
    second = m.call(m.command())
    assert second.returncode == 1
    assert "another unitd runs on" in second.stderr
    m.stop()
    assert marked(m.base.name) == []


def test_detach_leaves_services_to_the_next(manager: Manager) -> None:
    manager.write("count.service", COUNTER)
    manager.boot().ok("start", "count")
    before = manager.pid("count")
    with manager.client() as client:
        client.call("detach")
    assert manager.wait() == 0
    assert alive(before)
    manager.boot()
    assert manager.pid("count") == before
    manager.ok("stop", "count")
    whole(manager, "count")


def test_a_socket_outlives_both(manager: Manager) -> None:
    m = manager
    path = m.base / "web"
    m.write("web.socket", f"[Socket]\nListenStream={path}\n")
    script = m.base / "web.py"
    script.write_text("import os, socket\ns = socket.socket(fileno=3)\ns.setblocking(True)\nwhile True:\n    c, _ = s.accept()\n    c.sendall(b'%d' % os.getpid())\n    c.close()\n")
    m.write("web.service", f"[Service]\nExecStart={sys.executable} {script}\n")

    def asked() -> int:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(path))
            return int(sock.recv(100))

    m.boot().ok("start", "web.socket")
    first = asked()
    for kill_first in (False, True):
        if kill_first:
            m.kill_unitd()
            m.boot()
        assert m.show("web.socket", "ActiveState") == "active"
        assert asked() == first
    m.ok("restart", "web.service")
    assert asked() != first

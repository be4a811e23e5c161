"""unitd as PID 1 of a PID namespace, as in a container; and how it ends with its unit."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.harness import Manager, absent, alive, need, poll
from tests.harness.processes import children, command_line

STEADY = "[Service]\nExecStart=/bin/sleep 1000\nRestart=always\nRestartSec=0\n"
#: Leaves a process behind whose parent is gone, which ends a little later.
ORPHANS = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c '(sleep 0.1 & exec true) & wait'\n"


@pytest.fixture
def contained(manager: Manager) -> Manager:
    """`boot` makes it PID 1 of a new namespace."""
    if os.getuid() != 0:
        absent("needs root")
    need("unshare")
    manager.wrap = ["unshare", "-p", "-f", "-m", "--mount-proc"]
    return manager


def init_pid(m: Manager) -> int:
    """PID 1 of the namespace, as seen from here."""
    return children(m.warden)[0]


def test_reaps_orphans_and_survives(contained: Manager) -> None:
    m = contained
    m.write("orphans.service", ORPHANS)
    m.write("steady.service", STEADY)
    m.boot().ok("start", "orphans", "steady")
    init = init_pid(m)
    assert "1" in Path(f"/proc/{init}/status").read_text().partition("NSpid:")[2].split("\n")[0].split()
    poll(lambda: all(alive(pid) for pid in children(init)), "zombies stay")
    before = m.pid("steady")
    manager_pid = next(pid for pid in children(init) if "manager" in command_line(pid))
    os.kill(manager_pid, signal.SIGKILL)
    m.expect("ready (bus")
    assert m.pid("steady") == before
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        os.kill(init, number)  # nothing for us
    os.kill(init, signal.SIGHUP)
    assert m.pid("steady") == before
    os.kill(init, signal.SIGTERM)
    assert m.wait() == 0
    assert "all units are stopped" in m.said()


def test_sigpwr_stops_it_too(contained: Manager) -> None:
    contained.write("steady.service", STEADY)
    contained.boot().ok("start", "steady")
    os.kill(init_pid(contained), signal.SIGPWR)
    assert contained.wait() == 0


@pytest.mark.parametrize(
    ("command", "code"), [("exit 7", 7), ("exit 0", 0), ("kill -TERM $$$$", 128 + 15), ("exec /does/not/exist", 127)], ids=["seven", "zero", "signal", "missing"]
)
def test_exit_on(contained: Manager, command: str, code: int) -> None:
    contained.write("job.service", f"[Service]\nExecStart=/bin/sh -c 'sleep 0.2; {command}'\n")
    contained.write("steady.service", STEADY)
    contained.extra = ["--exit-on", "job"]
    contained.boot("steady.service")
    assert contained.wait() == code


def test_exit_on_waits_for_restarts(manager: Manager) -> None:
    count = manager.base / "count"
    manager.write(
        "job.service", f"[Service]\nExecStart=/bin/sh -c 'echo x >>{count}; exit 3'\nRestart=on-failure\nRestartSec=50ms\n[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=60\n"
    )
    manager.extra = ["--exit-on", "job.service"]
    assert manager.launch().wait() == 3
    assert count.read_text() == "x\n" * 3


def test_exit_on_a_unit_that_is_not_there(manager: Manager) -> None:
    manager.extra = ["--exit-on", "nowhere"]
    assert manager.launch().wait() == 1
    assert "nowhere.service" in manager.said()


def test_failure_action_ends_it_with_a_code(contained: Manager) -> None:
    contained.write("bad.service", "[Unit]\nFailureAction=exit\nFailureActionExitStatus=9\n[Service]\nExecStart=/bin/sh -c 'sleep 0.2; exit 3'\n")
    contained.write("steady.service", STEADY)
    contained.boot("all")
    assert contained.wait() == 9

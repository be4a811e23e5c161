"""unitd as PID 1 of a PID namespace, as in a container; and how it ends with its unit."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import PATIENCE, Manager, absent, need

STEADY = "[Service]\nExecStart=/bin/sleep 1000\nRestart=always\nRestartSec=0\n"
#: Leaves a process behind whose parent is gone, which ends a little later.
ORPHANS = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c '(sleep 0.1 & exec true) & wait'\n"


def wait_until(check: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < end, what
        select.select([], [], [], 0.02)


@pytest.fixture
def contained(manager: Manager) -> Manager:
    """`boot` makes it PID 1 of a new namespace."""
    if os.getuid() != 0:
        absent("needs root")
    need("unshare")
    plain = manager.command
    manager.command = lambda start="none": ["unshare", "-p", "-f", "-m", "--mount-proc", *plain(start)]  # type: ignore[method-assign]
    return manager


def init_pid(m: Manager) -> int:
    """PID 1 of the namespace, as seen from here."""
    assert m.process is not None
    return int(Path(f"/proc/{m.process.pid}/task/{m.process.pid}/children").read_text().split()[0])


def children(pid: int) -> dict[int, str]:
    """pid -> state"""
    found = {}
    for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            found[int(word)] = Path(f"/proc/{word}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
    return found


def ended(m: Manager) -> int:
    assert m.process is not None
    _, rest = m.process.communicate(timeout=PATIENCE)
    m.messages.append(rest.decode())
    code, m.process = m.process.returncode, None
    return code


def test_reaps_orphans_and_survives(contained: Manager) -> None:
    m = contained
    m.write("orphans.service", ORPHANS)
    m.write("steady.service", STEADY)
    m.boot().ok("start", "orphans", "steady")
    init = init_pid(m)
    assert "1" in Path(f"/proc/{init}/status").read_text().partition("NSpid:")[2].split("\n")[0].split()
    wait_until(lambda: "Z" not in children(init).values(), "zombies stay")
    before = m.pid("steady")
    manager_pid = next(pid for pid in children(init) if b"manager" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(manager_pid, signal.SIGKILL)
    m.expect("ready (bus")
    assert m.pid("steady") == before
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        os.kill(init, number)  # nothing for us
    os.kill(init, signal.SIGHUP)
    assert m.pid("steady") == before
    os.kill(init, signal.SIGTERM)
    assert ended(m) == 0
    assert "all units are stopped" in "".join(m.messages)


def test_sigpwr_stops_it_too(contained: Manager) -> None:
    contained.write("steady.service", STEADY)
    contained.boot().ok("start", "steady")
    os.kill(init_pid(contained), signal.SIGPWR)
    assert ended(contained) == 0


@pytest.mark.parametrize(
    ("command", "code"), [("exit 7", 7), ("exit 0", 0), ("kill -TERM $$$$", 128 + 15), ("exec /does/not/exist", 127)], ids=["seven", "zero", "signal", "missing"]
)
def test_exit_on(contained: Manager, command: str, code: int) -> None:
    contained.write("job.service", f"[Service]\nExecStart=/bin/sh -c 'sleep 0.2; {command}'\n")
    contained.write("steady.service", STEADY)
    contained.extra = ["--exit-on", "job"]
    contained.boot("steady.service")
    assert ended(contained) == code


def test_exit_on_waits_for_restarts(manager: Manager) -> None:
    count = manager.base / "count"
    manager.write(
        "job.service", f"[Service]\nExecStart=/bin/sh -c 'echo x >>{count}; exit 3'\nRestart=on-failure\nRestartSec=50ms\n[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=60\n"
    )
    manager.extra = ["--exit-on", "job.service"]
    manager.process = subprocess.Popen(manager.command(), env=manager.environ, stderr=subprocess.PIPE, bufsize=0, cwd="/")
    assert ended(manager) == 3
    assert count.read_text() == "x\n" * 3


def test_exit_on_a_unit_that_is_not_there(manager: Manager) -> None:
    manager.extra = ["--exit-on", "nowhere"]
    manager.process = subprocess.Popen(manager.command(), env=manager.environ, stderr=subprocess.PIPE, bufsize=0, cwd="/")
    assert ended(manager) == 1
    assert "nowhere.service" in "".join(manager.messages)


def test_failure_action_ends_it_with_a_code(contained: Manager) -> None:
    contained.write("bad.service", "[Unit]\nFailureAction=exit\nFailureActionExitStatus=9\n[Service]\nExecStart=/bin/sh -c 'sleep 0.2; exit 3'\n")
    contained.write("steady.service", STEADY)
    contained.boot("all")
    assert ended(contained) == 9

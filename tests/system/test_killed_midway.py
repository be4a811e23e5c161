"""The manager dies between two steps of a unit: the next one takes each step once."""

from __future__ import annotations

import os
import signal

import pytest

from tests.harness import Manager, poll

#: Waits until somebody lets it go on by removing a file; who is there says so in a file of its own.
STEP = "/bin/sh -c 'echo $$$$ >> {base}/{name}; while [ -e {base}/wait ]; do sleep 0.01; done'"


def lines(m: Manager, name: str) -> list[str]:
    path = m.base / name
    return path.read_text().split() if path.exists() else []


def die_while(m: Manager, name: str) -> None:
    """The step of this name ends while the manager is stopped; then that is killed: its successor is told of the end first of all."""
    poll(lambda: lines(m, name), f"{name} is not there")
    [pid] = lines(m, name)
    manager = m.manager_pid()
    os.kill(manager, signal.SIGSTOP)
    os.unlink(m.base / "wait")
    poll(lambda: not os.path.exists(f"/proc/{pid}"), f"{name} does not end")  # reaped, and reported to who does not listen
    os.kill(manager, signal.SIGKILL)
    m.next_manager(manager)


@pytest.mark.parametrize("type", ["simple", "exec", "notify"])
def test_one_main_process_after_the_step_before(manager: Manager, type: str) -> None:
    m = manager
    (m.base / "wait").touch()
    main = "ExecStart=/bin/sh -c 'echo $$$$ >> {base}/main; exec sleep 1000'"
    if type == "notify":
        (m.base / "ready.py").write_text("import os, socket\nsocket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])\n")
        main = "NotifyAccess=all\nExecStart=/bin/sh -c 'echo $$$$ >> {base}/main; python3 {base}/ready.py; exec sleep 1000'"
    m.write("a.service", f"[Service]\nType={type}\nExecStartPre={STEP.format(base=m.base, name='pre')}\n" + main.format(base=m.base) + "\n")
    m.boot().ok("start", "--no-block", "a")
    die_while(m, "pre")
    m.wait_for("a", ActiveState="active")
    poll(lambda: lines(m, "main"), "it does not run")
    m.ok("is-active", "a")
    assert lines(m, "main") == [str(m.pid("a"))]


def test_each_command_of_a_oneshot_once(manager: Manager) -> None:
    m = manager
    (m.base / "wait").touch()
    m.write("a.service", f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={STEP.format(base=m.base, name='one')}\nExecStart={STEP.format(base=m.base, name='two')}\nExecStartPost={STEP.format(base=m.base, name='post')}\n")
    m.boot().ok("start", "--no-block", "a")
    die_while(m, "one")
    m.wait_for("a", ActiveState="active")
    assert [len(lines(m, name)) for name in ("one", "two", "post")] == [1, 1, 1]


def test_a_restart_once(manager: Manager) -> None:
    m = manager
    m.write("a.service", f"[Service]\nExecStart=/bin/sh -c 'echo $$$$ >> {m.base}/main; exec sleep 1000'\nExecStopPost={STEP.format(base=m.base, name='post')}\nRestart=always\nRestartSec=0\n")
    (m.base / "wait").touch()
    m.boot().ok("start", "a")
    os.kill(m.pid("a"), signal.SIGKILL)
    die_while(m, "post")
    m.wait_for("a", ActiveState="active", SubState="running", NRestarts="1")
    poll(lambda: len(lines(m, "main")) > 1, "it does not come back")
    assert lines(m, "main")[1:] == [str(m.pid("a"))]

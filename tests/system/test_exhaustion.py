"""unitd where something runs out: descriptors, the disk, a reader of its messages."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.harness import Manager, absent, poll
from tests.system.test_survival import STEADY, damage_garbage

SLEEP = "[Service]\nExecStart=/bin/sleep 1000\n"


def test_too_few_descriptors(manager: Manager) -> None:
    manager.wrap = ["prlimit", "--nofile=64:64"]
    names = [f"u{i}.service" for i in range(40)]
    for i, name in enumerate(names):
        manager.write(name, SLEEP + ("Type=exec\n" if i % 2 else ""))
    manager.boot()
    done = manager.ctl("start", *names)
    assert done.returncode == 1
    assert "the 64 files that unitd may have open are in use; try a higher LimitNOFILE=" in done.stderr
    states = manager.ok("show", "--value", "-p", "ActiveState", *names).split()
    assert set(states) == {"active", "failed"}  # and nothing in between
    up = [name for name, state in zip(names, states, strict=True) if state == "active"]
    manager.ok("stop", *up)
    manager.kill_manager()  # the next one has its room back
    manager.ok("start", next(name for name in names if name not in up))


def test_nobody_reads_standard_error(manager: Manager) -> None:
    names = [f"bad{i}.service" for i in range(60)]
    for name in names:
        manager.write(name, "[Service]\nType=exec\nExecStart=/nonexistent/program\n")
    manager.boot()
    assert manager.process is not None
    assert manager.process.stderr is not None
    fcntl.fcntl(manager.process.stderr.fileno(), fcntl.F_SETPIPE_SZ, 4096)
    done = manager.ctl("start", *names)
    assert done.returncode == 1
    assert "ExecStart= failed at step EXEC (exit code 203, No such file or directory)" in done.stderr
    assert manager.show(names[-1], "ActiveState") == "failed"
    said: set[str] = set()
    while len(said) < len(names):  # everything, once somebody reads
        said.add(manager.expect(": failed (").split()[1])


@pytest.fixture
def small(manager: Manager) -> Iterator[Manager]:
    """Its runtime directory is a small disk of its own."""
    manager.run.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "tmpfs", str(manager.run)], capture_output=True, check=False).returncode:
        absent("cannot mount a tmpfs here")
    try:
        yield manager
    finally:
        subprocess.run(["umount", "-l", str(manager.run)], check=True)


def fill(m: Manager) -> None:
    with open(m.run / "full", "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return


def test_a_full_runtime_directory(small: Manager) -> None:
    m = small
    m.write("before.service", STEADY)
    m.write("after.service", STEADY)
    m.write("doomed.service", SLEEP)
    m.write("hourly.timer", "[Timer]\nOnActiveSec=1h\nUnit=doomed.service\n")
    m.write("door.socket", f"[Socket]\nListenStream={m.base}/door\n")
    m.write("door.service", SLEEP)
    m.boot().ok("start", "before", "hourly.timer", "door.socket")
    fill(m)
    m.ok("start", "after")
    m.expect("cannot write")
    pids = m.pid("before"), m.pid("after")
    for _ in range(4):  # in spite of all no state is thrown away
        m.kill_manager()
    assert (m.pid("before"), m.pid("after")) == pids
    assert m.ok("is-active", "hourly.timer", "door.socket").split() == ["active", "active"]
    m.ok("start", "doomed")
    os.unlink(m.run / "full")
    m.expect("can be written again")
    pids = m.pid("before"), m.pid("after"), m.pid("doomed")
    m.kill_manager()
    assert (m.pid("before"), m.pid("after"), m.pid("doomed")) == pids
    m.lines.skip()
    assert "doomed.service: its record is lost" not in m.said()


def test_stop_on_a_full_disk(small: Manager) -> None:
    small.write("a.service", SLEEP)
    small.boot().ok("start", "a")
    fill(small)  # the fixture stops it, and that has to work


def test_sockets_outlive_the_state_file(manager: Manager) -> None:
    m = manager
    m.write("door.socket", f"[Socket]\nListenStream={m.base}/door\n")
    m.write("door.service", SLEEP)
    m.write("busy.socket", f"[Socket]\nListenStream={m.base}/busy\n")
    m.write("busy.service", SLEEP)
    m.boot().ok("start", "door.socket", "busy.socket", "busy.service")
    pid = m.manager_pid()
    os.kill(pid, signal.SIGSTOP)
    damage_garbage(m.run / "state.db")
    os.kill(pid, signal.SIGKILL)
    m.next_manager(pid)
    assert m.show("busy.socket", "SubState") == "running"
    assert m.show("door.socket", "SubState") == "listening"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(f"{m.base}/door")
        m.wait_for("door.service", ActiveState="active")
    m.ok("stop", "busy.service")
    poll(lambda: m.show("busy.socket", "SubState") == "listening", "it does not listen again")

"""What services and files may do to the manager: nothing."""

from __future__ import annotations

import os

import pytest

from tests.harness import Manager

SAYER = """
import os, socket, sys, time
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
    s.connect(os.environ["NOTIFY_SOCKET"])
    for text in ("READY=1", *sys.stdin.read().split(), "STATUS=said"):
        s.send(text.encode())
time.sleep(1000)
"""


def test_numbers_that_are_none(manager: Manager) -> None:
    values = ["²", "١", "-1", "1.5", "0x10", "9" * 30, "9" * 400, "9" * 5000]
    names = ["MAINPID", "WATCHDOG_USEC", "EXTEND_TIMEOUT_USEC", "ERRNO"]
    (manager.base / "say.py").write_text(SAYER)
    (manager.base / "words").write_text("\n".join(f"{name}={value}" for name in names for value in values))
    manager.write("say.service", f"[Service]\nType=notify\nNotifyAccess=all\nExecStart=/usr/bin/env python3 {manager.base}/say.py\nStandardInput=file:{manager.base}/words\n")
    manager.boot().ok("start", "say")
    pid = manager.pid("say")
    manager.wait_for("say.service", StatusText="said")
    assert manager.pid("say") == pid
    assert manager.show("say", "SubState") == "running"
    manager.kill_manager()  # it can read what was remembered
    assert manager.pid("say") == pid
    manager.lines.skip()
    assert "Traceback" not in manager.said()


@pytest.mark.parametrize("optional", [True, False])
def test_a_pipe_instead_of_an_environment_file(manager: Manager, optional: bool) -> None:
    os.mkfifo(manager.base / "pipe")
    manager.write("env.service", f"[Service]\nType=exec\nEnvironmentFile={'-' if optional else ''}{manager.base}/pipe\nExecStart=/bin/sleep 1000\n")
    manager.boot()
    pid = manager.manager_pid()
    done = manager.ctl("start", "env")
    assert done.returncode == (0 if optional else 1)
    assert optional or f"{manager.base}/pipe: it is no regular file" in done.stderr
    assert manager.manager_pid() == pid


def test_a_pipe_instead_of_a_unit_file(manager: Manager) -> None:
    os.mkfifo(manager.units / "pipe.service")
    manager.boot()
    pid = manager.manager_pid()
    assert "it is no regular file" in manager.ctl("start", "pipe").stderr
    assert "it is no regular file" in manager.ctl("cat", "pipe").stderr
    assert manager.manager_pid() == pid


KEEPER = """
import array, os, socket, time
kept = int(os.environ.get("LISTEN_FDS", "0"))
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
    s.connect(os.environ["NOTIFY_SOCKET"])
    for _ in range(0 if kept else 300):
        fd = os.memfd_create("x")
        s.sendmsg([b"FDSTORE=1"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        os.close(fd)
    s.send(b"READY=1\\nSTATUS=was passed %d" % kept)
time.sleep(1000)
"""


def test_more_descriptors_than_can_be_passed(manager: Manager) -> None:
    (manager.base / "keep.py").write_text(KEEPER)
    manager.write("keep.service", f"[Service]\nType=notify\nFileDescriptorStoreMax=1000\nExecStart=/usr/bin/env python3 {manager.base}/keep.py\nRestart=always\n")
    manager.write("other.service", "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n")
    manager.boot().ok("start", "keep")
    manager.expect("a descriptor is not kept, because 220 is the most that can be passed on")
    assert manager.show("keep", "NFileDescriptorStore") == "220"
    manager.ok("restart", "keep", "other")
    assert manager.show("keep", "StatusText") == "was passed 220"


def test_a_busy_directory_of_a_pid_file(manager: Manager) -> None:
    (manager.base / "pids").mkdir()
    late = manager.base / "late.sh"
    late.write_text(f"while [ ! -e {manager.base}/go ]; do sleep 0.01; done\necho $$ > {manager.base}/pids/late\nexec sleep 1000\n")
    manager.write("late.service", f"[Service]\nType=forking\nPIDFile={manager.base}/pids/late\nExecStart=/bin/sh -c '/bin/sh {late} &'\n")
    manager.boot().ok("start", "--no-block", "late")
    manager.expect("waiting for it until the start timeout")
    with manager.client() as client:
        for i in range(20):
            (manager.base / "pids" / f"other{i}").touch()
            client.ping()  # it had a turn
    (manager.base / "go").touch()
    manager.wait_for("late", ActiveState="active", SubState="running")
    manager.lines.skip()
    assert manager.said().count("waiting for it until the start timeout") <= 3

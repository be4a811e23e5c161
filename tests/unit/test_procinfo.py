"""What /proc says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from unitd.manager import procinfo

GONE = 2**22 + 5  # above the largest pid


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    yield process
    process.communicate()


def test_parents(child: subprocess.Popen[bytes]) -> None:
    assert procinfo.ppid(child.pid) == os.getpid() and procinfo.ppid(GONE) == 0
    assert procinfo.is_descendant(child.pid, {os.getpid()}) and procinfo.is_descendant(child.pid, {child.pid})
    assert not procinfo.is_descendant(os.getpid(), {child.pid}) and not procinfo.is_descendant(GONE, {1})


def test_the_only_child_left_is_the_main_process(child: subprocess.Popen[bytes]) -> None:
    assert procinfo.main_pid_guess({child.pid, GONE, os.getppid()}, os.getpid()) == child.pid
    assert procinfo.main_pid_guess({child.pid}, GONE) == 0
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        assert procinfo.main_pid_guess({child.pid, other.pid}, os.getpid()) == 0
        other.communicate()
    dead = subprocess.Popen(["true"])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    assert procinfo.is_zombie(dead.pid) and not procinfo.is_alive(dead.pid)
    assert procinfo.main_pid_guess({child.pid, dead.pid}, os.getpid()) == child.pid
    dead.wait()
    assert procinfo.is_alive(child.pid) and not procinfo.is_alive(GONE) and not procinfo.is_zombie(GONE)


def test_identity_is_of_one_process(child: subprocess.Popen[bytes]) -> None:
    assert procinfo.identity(child.pid) == procinfo.identity(child.pid) != procinfo.identity(os.getpid())
    assert procinfo.start_time(child.pid) >= procinfo.start_time(os.getpid()) > 0 == procinfo.start_time(GONE)


def test_tree(child: subprocess.Popen[bytes]) -> None:
    rows = procinfo.tree({child.pid, os.getpid(), GONE, 0})
    assert [(r["pid"], r["depth"]) for r in rows] == [(os.getpid(), 0), (child.pid, 1)]
    assert procinfo.tree([]) == [] and procinfo.exe(child.pid) and procinfo.exe(GONE) == ""


def test_usage(child: subprocess.Popen[bytes]) -> None:
    memory, cpu, tasks = procinfo.usage({child.pid, os.getpid(), GONE, -1})
    assert memory > 1 << 20 and cpu > 0 and tasks >= 2
    assert procinfo.usage([]) == (0, 0.0, 0)

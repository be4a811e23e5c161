"""Limits that the kernel holds, on whatever controllers this machine has (cgroup v2 or v1)."""

from __future__ import annotations

import os

import pytest

from tests.harness import Manager, absent
from unitd.manager.cgroup import CgroupTree
from unitd.manager.controllers import Controllers

HOG = "/bin/sh -c 'x=x; while :; do x=$$x$$x; done'"
FORKS = "/bin/sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; echo all; wait'"


@pytest.fixture(autouse=True)
def controllers() -> None:
    """Memory and pids must be ours to limit."""
    tree = CgroupTree.probe(os.getpid())
    found = Controllers.probe(tree, os.getpid()).version
    if tree is not None:
        tree.remove(tree.base)
    if not {"memory", "pids", "cpu"} <= set(found):
        absent(f"needs the memory, pids and cpu controllers, found {sorted(found)}")


def test_memory_that_runs_out_is_told_as_such(manager: Manager) -> None:
    manager.write("hog.service", f"[Service]\nMemoryMax=30M\nMemorySwapMax=0\nExecStart={HOG}\n")
    manager.boot()
    manager.ok("start", "hog")
    manager.wait_for("hog.service", ActiveState="failed", Result="oom-kill")
    assert "memory" in manager.ctl("status", "hog").stdout


def test_going_on_without_memory_is_a_signal(manager: Manager) -> None:
    manager.write("hog.service", f"[Service]\nMemoryMax=30M\nOOMPolicy=continue\nExecStart={HOG}\n")
    manager.boot()
    manager.ok("start", "hog")
    manager.wait_for("hog.service", ActiveState="failed", Result="signal")


def test_a_service_cannot_fork_beyond_its_tasks(manager: Manager) -> None:
    manager.write("forks.service", f"[Service]\nTasksMax=5\nExecStart={FORKS}\n")
    manager.boot()
    manager.ctl("start", "forks")
    manager.wait_for("forks.service", ActiveState="failed", Result="exit-code")
    assert "all\n" not in manager.ok("logs", "-o", "cat", "forks")


def test_limits_hold_for_a_whole_slice_and_after_the_manager_was_killed(manager: Manager) -> None:
    manager.write("small.slice", "[Slice]\nMemoryMax=40M\n")
    manager.write("calm.service", "[Service]\nSlice=small.slice\nExecStart=/bin/sleep 1000\n")
    manager.write("hog.service", f"[Service]\nSlice=small.slice\nExecStart={HOG}\n")
    manager.boot()
    manager.ok("start", "small.slice", "calm")
    before = manager.pid("calm.service")
    manager.kill_manager()
    manager.ok("start", "hog")
    manager.wait_for("hog.service", ActiveState="failed")
    assert manager.pid("calm.service") == before

"""The end of main processes that are nobody's child of ours: who tells how they ended."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.harness import PATIENCE
from unitd.manager import processes
from unitd.manager.processes import Processes
from unitd.manager.states import Record


class Rig:
    """A manager's bookkeeping without a warden: `gone` has the ends that nobody explained."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.gone: list[tuple[str, int]] = []
        self.told = asyncio.Event()
        self.of = Processes(self.loop, None, 1, Record, lambda unit: None, self.hear)

    def hear(self, unit: str, pid: int) -> None:
        self.gone.append((unit, pid))
        self.told.set()

    def wait(self) -> None:
        """Run the loop until an end is given up on."""
        self.loop.run_until_complete(asyncio.wait_for(self.told.wait(), PATIENCE))


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.loop.close()


def ended() -> int:
    """The pid of a process that was, and has been reaped."""
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def test_with_a_living_parent_nobody_will_say_how_it_ended(rig: Rig) -> None:
    rig.of.aliens[pid := ended()] = "a.service"
    rig.of._alien_gone(pid, os.getpid())
    assert rig.gone == [("a.service", pid)]


def test_the_wardens_report_of_one_that_it_inherited_is_waited_for(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.of.aliens[pid := ended()] = "a.service"
    rig.of._alien_gone(pid, ended())
    assert rig.gone == []
    assert rig.of.exited(pid, "") == ("a.service", f"pid:{pid}")  # the report
    monkeypatch.setattr(processes, "REPORT", 0.0)
    rig.of.aliens[other := ended()] = "b.service"
    rig.of._alien_gone(other, ended())
    rig.wait()
    assert rig.gone == [("b.service", other)]  # there was none

"""How the warden treats a manager that hangs, and what it hands to its successor."""

from __future__ import annotations

import os
import select
import signal
import socket
from pathlib import Path

from tests.unit.test_warden_process import Stage, kill_manager, stage
from unitd.manager import patience
from unitd.manager.bag import Bag
from unitd.manager.child import Surroundings
from unitd.manager.heartbeat import BeatingSelector
from unitd.manager.keeper import Keeper
from unitd.manager.spawner import Spawner

__all__ = ["stage"]


def test_one_turn_for_too_long(stage: Stage) -> None:
    talk, _, pid = stage.greeted()
    selector = BeatingSelector()
    talk.link.watch(0.3, selector.begin(0.3))  # and never a turn
    after, _, next_pid = stage.greeted()
    assert next_pid != pid
    selector.close()
    assert after.ready


def test_asleep_is_not_hanging(stage: Stage) -> None:
    talk, strings, pid = stage.greeted()
    selector = BeatingSelector()
    talk.link.watch(20, selector.begin(0.2))
    selector.select(0.5)
    talk.run("a", "/bin/true")
    assert talk.status("a") == 0
    talk.link.ack(talk.link.sequence)
    os.kill(pid, 0)
    kill_manager(strings, pid)
    selector.close()


def test_exits_that_nobody_acknowledges(stage: Stage) -> None:
    talk, _, pid = stage.greeted()
    selector = BeatingSelector()
    talk.link.watch(0.3, selector.begin(3600))
    talk.run("a", "/bin/true")
    assert talk.status("a") == 0
    after, _, next_pid = stage.greeted()
    assert next_pid != pid
    assert after.status("a") == 0  # told again
    selector.close()


def test_stopped(stage: Stage) -> None:
    talk, _, pid = stage.greeted()
    selector = BeatingSelector()
    talk.link.watch(0.3, selector.begin(3600))
    talk.run("a", "/bin/true")
    os.kill(pid, signal.SIGSTOP)
    assert stage.greeted()[2] != pid
    selector.close()


def test_many_to_keep_in_few_messages(stage: Stage) -> None:
    talk, strings, pid = stage.greeted()
    pairs = [socket.socketpair() for _ in range(200)]
    for i, (a, b) in enumerate(pairs):
        talk.link.store(f"n{i}", [a.fileno(), b.fileno()])
        a.close()
        b.close()
    talk.link.drop("n0")
    talk.run("a", "/bin/true")
    kill_manager(strings, pid)
    after, _, _ = stage.greeted()
    assert {name: len(fds) for name, fds in after.held.items()} == {f"n{i}": 2 for i in range(1, 200)}


def test_the_new_warden_goes_on(stage: Stage) -> None:
    talk, strings, pid = stage.greeted()
    child = talk.run("a", "/bin/sleep", "1000")
    talk.link.reexec()
    strings.settimeout(20)
    after, _, _ = stage.greeted()
    assert [(kid[0], kid[1]) for kid in after.alive] == [(child, "a")]
    os.kill(child, signal.SIGUSR1)
    assert after.status("a") == -signal.SIGUSR1


def test_one_that_never_gets_ready(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {"UNITD_HANG_TIMEOUT": "0.1"})
    try:
        pids = [stage.manager()[2] for _ in range(2)]  # neither says anything
        talk, strings, pid = stage.manager()
        talk.link.hello()
        talk.link.watch(None, -1)  # ready
        assert len({*pids, pid}) == 3
        kill_manager(strings, pid)
        assert stage.manager()[2] not in pids
    finally:
        stage.close()


def test_one_that_is_ready_is_not_waited_for() -> None:
    with select.epoll() as epoll:
        keeper = Keeper(["/bin/true"], Spawner(Surroundings(2, (1024, 4096))), epoll, Bag())
        keeper.due["begin"] = 1.0
        keeper.watch(None, [])
        assert keeper.due == {}


def test_how_long_a_beginning_may_take() -> None:
    assert patience.begin_limit("30.0", 0) == 180.0
    assert [patience.begin_limit("1", n) for n in (1, 2, 6, 50)] == [12.0, 24.0, 384.0, 384.0]
    assert patience.begin_limit("inf", 3) == patience.begin_limit("", 0) == float("inf")

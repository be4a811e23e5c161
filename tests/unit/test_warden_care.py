"""How the warden treats a manager that hangs, and what it hands to its successor."""

from __future__ import annotations

import os
import signal
import socket

from tests.unit.test_warden_process import Stage, kill_manager, stage
from unitd.manager.heartbeat import BeatingSelector

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

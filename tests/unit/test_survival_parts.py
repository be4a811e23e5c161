"""The parts of survival by themselves: the bag, the store, crashes, records made anew, statuses by pidfd."""

from __future__ import annotations

import os
import select
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from unitd.manager import bag, patience, pidfd, rebuild
from unitd.manager.bag import Bag, Ended
from unitd.manager.heartbeat import BeatingSelector
from unitd.manager.states import Record
from unitd.manager.store import VERSION, StateStore
from unitd.units.model import Unit


def test_bag_goes_through_a_memfd() -> None:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    full = Bag([(7, "a|b", writer), (8, "c", -1)], {3: Ended(5, "x", 256, (203, 2, "EXEC")), 4: Ended(6, "", 9, None)}, 4, {"log:ü": [reader]}, [15], 15)
    memfd = bag.pack(full)
    assert os.get_inheritable(reader)
    assert os.get_inheritable(memfd)
    again = bag.unpack(memfd)
    assert (again.kids, again.sequence, again.store, again.signals, again.stop_signal) == (full.kids, 4, {"log:ü": [reader]}, [15], 15)
    assert {seq: (e.pid, e.id, e.status, e.error) for seq, e in again.ended.items()} == {3: (5, "x", 256, (203, 2, "EXEC")), 4: (6, "", 9, None)}
    assert not os.get_inheritable(reader)
    os.close(reader)
    os.close(writer)


def test_bag_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bag, "VERSION", 99)
    memfd = bag.pack(Bag())
    monkeypatch.undo()
    with pytest.raises(ValueError, match="version 99"):
        bag.unpack(memfd)


def test_crashes_are_counted_and_backed_off() -> None:
    count = 0
    pauses = []
    for _ in range(12):
        count = patience.crashes(count, 1, 0.2, ready=False)
        pauses.append(patience.pause(count))
    assert pauses[:4] == [0.0, 0.1, 0.2, 0.4]
    assert pauses[-1] == patience.LONGEST_PAUSE
    assert patience.crashes(5, 1, 11.0, ready=True) == 0
    assert patience.crashes(5, -signal.SIGSEGV, 5.0, ready=True) == 6
    assert patience.crashes(5, -signal.SIGKILL, 0.5, ready=True) == 0  # somebody kills it again and again
    assert patience.crashes(5, -signal.SIGKILL, 0.5, ready=False) == 6
    assert patience.words(3) == "exit code 3"
    assert patience.words(-11) == "SIGSEGV"


def test_stopped_is_seen() -> None:
    child = subprocess.Popen(["sleep", "100"])
    try:
        assert not patience.is_stopped(child.pid)
        child.send_signal(signal.SIGSTOP)
        os.waitpid(child.pid, os.WUNTRACED)
        assert patience.is_stopped(child.pid)
    finally:
        child.kill()
        child.wait()
    assert not patience.is_stopped(child.pid)


def test_status_of_a_process_that_somebody_else_reaped() -> None:
    if not pidfd.tells_status():
        assert pidfd.watch_mask(False) == select.EPOLLIN
        return
    child = subprocess.Popen(["sh", "-c", "read x; kill -SEGV $$"], stdin=subprocess.PIPE)
    fd = os.pidfd_open(child.pid)
    poll = select.epoll()
    poll.register(fd, pidfd.watch_mask(True))
    assert pidfd.exit_status(fd) is None
    child.communicate(b"\n")
    assert poll.poll(20)[0][1] & select.EPOLLHUP
    assert os.WTERMSIG(pidfd.exit_status(fd) or 0) == signal.SIGSEGV
    poll.close()
    os.close(fd)


def test_the_timer_runs_only_while_the_loop_is_awake() -> None:
    selector = BeatingSelector()
    timer = selector.begin(0.05)
    assert select.select([timer], [], [], 20)[0]  # a turn that never ends
    os.read(timer, 8)
    selector.select(0.3)  # asleep
    assert not select.select([timer], [], [], 0)[0]
    selector.close()


def store(path: Path, life: str = "a", **more: bool) -> StateStore:
    return StateStore(str(path / "state.db"), life, **more)


def test_store_continues_only_its_own_life(tmp_path: Path) -> None:
    first = store(tmp_path)
    assert not first.continued
    first.save([Record("a.service", sub="running", main_pid=os.getpid(), main_token="a|1", n_restarts=3)], {"a.service": "stop"})
    first.note("x", "y")
    first.close(over=False)
    second = store(tmp_path)
    assert second.continued
    assert second.recall("x") == "y"
    assert second.recall("z") == ""
    assert [(r.name, r.n_restarts) for r in second.load()[0]] == [("a.service", 3)]
    assert second.load_jobs() == [("a.service", "stop")]
    second.close()  # in order
    third = store(tmp_path)
    assert not third.continued
    assert third.load() == ([], [])
    third.close(over=False)
    other = store(tmp_path, "b")
    assert not other.continued
    other.close()


def test_store_takes_unknown_fields_and_reports_bad_records(tmp_path: Path) -> None:
    first = store(tmp_path)
    first.save([Record("a.service", sub="running"), Record("b.service")], {})
    first.db.execute("UPDATE record SET data = '{\"new_field\":{},' || substr(CAST(data AS TEXT), 2) WHERE name = 'a.service'")
    first.db.execute("UPDATE record SET data = '{\"name\": 3}' WHERE name = 'b.service'")
    first.close(over=False)
    again = store(tmp_path)
    records, problems = again.load()
    assert [(r.name, r.sub) for r in records] == [("a.service", "running")]
    assert len(problems) == 1
    assert "b.service" in problems[0]
    again.close()


def test_store_of_a_newer_version_is_set_aside(tmp_path: Path) -> None:
    store(tmp_path).close(over=False)
    db = sqlite3.connect(tmp_path / "state.db")
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    again = store(tmp_path)
    assert "from a newer unitd" in again.problem
    assert not again.continued
    assert (tmp_path / "state.db.bad").exists()
    again.close()


def test_store_that_is_not_trusted_is_set_aside(tmp_path: Path) -> None:
    store(tmp_path).close(over=False)
    again = store(tmp_path, distrust=True)
    assert "managers crash with it" in again.problem
    assert not again.continued
    again.close()


def test_a_full_disk_is_no_reason_to_die(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    s = store(tmp_path)
    s.db.execute("PRAGMA max_page_count = 1")
    big = Record("a.service", status_text="x" * 100_000)
    s.save([big], {})
    s.save([big], {})
    assert caplog.text.count("cannot write") == 1
    s.db.execute("PRAGMA max_page_count = 100000")
    s.save([big], {})
    assert len(list(s.db.execute("SELECT * FROM record"))) == 1
    s.close()


@pytest.mark.parametrize(
    ("role", "sub"),
    [("ExecStart", "running"), ("ExecStartPre", "start-pre"), ("ExecStop", "stop"), ("ExecStopPost", "stop-post"), ("ExecReload", "reload")],
)
def test_records_are_made_from_processes(role: str, sub: str) -> None:
    token = f"a.service|abcdef01|{role}|4"
    assert (rebuild.unit_of(token), rebuild.role_of(token)) == ("a.service", role)
    record = rebuild.record_for(Unit("a.service"), [(77, token)], {77: "f" * 32}, 1.0)
    assert record.sub == sub
    assert record.invocation == "f" * 32
    assert (record.main_pid, record.control_pid) == ((77, 0) if role == "ExecStart" else (0, 77))

"""The parts that deal with what runs out."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import select
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from unitd.manager import adoption, room, stderr
from unitd.manager.adoption import LOGGER_ID, Adoption
from unitd.manager.bag import Bag
from unitd.manager.keeper import Keeper
from unitd.manager.states import Record
from unitd.manager.store import StateStore
from unitd.manager.voice import BACKLOG, Voice


def test_room_is_kept_free(monkeypatch: pytest.MonkeyPatch) -> None:
    free = os.dup(0)
    os.close(free)
    monkeypatch.setattr(room, "RESERVE", 2)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (free + 2 + 11, 0))
    room.check(10)
    with pytest.raises(OSError, match="files that unitd may have open are in use") as caught:
        room.check(11)
    assert caught.value.errno == errno.EMFILE
    room.check(11, "ExecStop")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, 0))
    room.check(10**9)


def store(path: Path) -> StateStore:
    return StateStore(str(path / "state.db"), "a")


def test_what_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    s = store(tmp_path)
    assert s.save([Record("gone.service")], {})
    s.db.execute("PRAGMA max_page_count = 1")
    big = Record("a.service", status_text="x" * 100_000, main_pid=os.getpid(), main_token="a|1")
    assert not s.save([big], {}, ["gone.service"])
    s.note("stopping", "x" * 100_000)
    assert len(s.recall("stopping")) == 100_000
    s.db.execute("PRAGMA max_page_count = 100000")
    assert s.save([], {"b.service": "start"})
    s.close(over=False)
    again = store(tmp_path)
    assert [r.name for r in again.load()[0]] == ["a.service"]
    assert again.load_jobs() == [("b.service", "start")]
    assert len(again.recall("stopping")) == 100_000
    assert list(again.db.execute("SELECT unit, pid FROM process")) == [("a.service", os.getpid())]
    again.close()


def test_a_state_that_cannot_be_opened_is_not_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store(tmp_path)
    first.save([Record("a.service", n_restarts=3)], {})
    first.close(over=False)
    with monkeypatch.context() as patch:
        connect = sqlite3.connect

        def full(path: str, **more: Any) -> sqlite3.Connection:
            if path != ":memory:":
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            return connect(path, **more)

        patch.setattr(sqlite3, "connect", full)
        second = store(tmp_path)
        assert "until it can be written" in second.problem
        assert not second.save([Record("b.service")], {"b.service": "stop"})
    assert not (tmp_path / "state.db.bad").exists()
    assert second.save([], {"b.service": "stop"})  # it can be opened again
    second.close(over=False)
    third = store(tmp_path)
    assert third.continued
    assert [r.name for r in third.load()[0]] == ["b.service"]
    assert third.load_jobs() == [("b.service", "stop")]
    third.close()


def test_a_logger_that_cannot_be_made_is_tried_again(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.new_event_loop()
    later: list[Any] = []
    monkeypatch.setattr(loop, "call_later", lambda delay, call: later.append(call))
    app = SimpleNamespace(loop=loop)
    ear = Adoption(app)  # type: ignore[arg-type]
    for _ in range(3):
        ear.spawned([(f"{LOGGER_ID}|1|9", 0, errno.EAGAIN, -1)])
    assert later == [ear.start_logger] * 3
    assert caplog.text.count("cannot start the logger, because a limit of processes is reached") == 1
    ear.spawned([(f"{LOGGER_ID}|1|9", 77, 0, -1)])
    assert ear.logger[0] == 77
    monkeypatch.setattr("socket.socketpair", lambda *_: (_ for _ in ()).throw(OSError(errno.EMFILE, "Too many open files")))
    ear.start_logger()
    assert len(later) == 4
    assert adoption.log.name == "unitd"
    loop.close()


def test_a_warden_without_descriptors_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("_socket.socketpair", none)
    with select.epoll() as epoll:
        k = Keeper(["/bin/true"], None, epoll, Bag())  # type: ignore[arg-type]
        k.start()
        assert "start" in k.due


def voice(fd: int) -> Voice:
    v = Voice(fd)
    v.setFormatter(logging.Formatter("%(message)s"))
    return v


def say(v: Voice, text: str) -> None:
    v.handle(logging.LogRecord("x", logging.INFO, "", 0, text, None, None))


def everything(fd: int) -> bytes:
    found = b""
    while select.select([fd], [], [], 0)[0] and (data := os.read(fd, 65536)):
        found += data
    return found


def test_messages_wait_for_a_reader() -> None:
    reader, writer = os.pipe()
    v = voice(writer)
    lines = [f"{i} " + "x" * 3000 for i in range(60)]
    for line in lines:
        say(v, line)
    loop = asyncio.new_event_loop()
    v.attach(loop)
    got = b""

    async def read() -> None:
        nonlocal got
        while len(got) < sum(len(line) + 1 for line in lines):
            got += everything(reader)
            await asyncio.sleep(0)

    loop.run_until_complete(asyncio.wait_for(read(), 30))
    assert got.decode().splitlines() == lines
    loop.close()
    os.close(writer)
    os.close(reader)


def test_messages_are_bounded_and_what_is_missing_is_told() -> None:
    reader, writer = os.pipe()
    v = voice(writer)
    while stderr.write(b"x" * 4096, writer):
        pass
    for i in range(BACKLOG + 5):
        say(v, f"line {i}")
    everything(reader)
    v.flush()
    got = everything(reader).decode().splitlines()
    assert "line 0" in got[0]
    assert got[1:-1] == [f"line {i}" for i in range(6, BACKLOG + 5)]  # the oldest go
    assert "5 messages of unitd itself are left out" in got[-1]
    os.close(reader)
    say(v, "into the void")  # EPIPE, which is nobody's trouble
    os.close(writer)

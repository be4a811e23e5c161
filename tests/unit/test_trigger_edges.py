"""The clock on the wall, watched paths and handed-over descriptors: each edge alone, on a loop of its own."""

from __future__ import annotations

import asyncio
import errno
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.waiting import PATIENCE, readable
from unitd.manager import realclock
from unitd.manager.handover import Handover
from unitd.manager.pathwatch import PathWatch
from unitd.manager.realclock import RealClock
from unitd.manager.triggers import look, make_directories
from unitd.units.path import PathSpec


class Loop(asyncio.SelectorEventLoop):
    """A loop that is run by hand."""

    def __init__(self) -> None:
        self.epoll = selectors.EpollSelector()
        super().__init__(self.epoll)

    def settle(self) -> None:
        """Let it take all that waits: what happens to files and sockets is in the kernel's queues at once."""
        for _ in range(3):
            self.run_until_complete(asyncio.sleep(0))

    def until(self, holds: Callable[[], bool]) -> None:
        """Run it, event by event, until something is so."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert readable(self.epoll.fileno(), end)
            self.settle()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


def test_times_are_met_in_order(loop: Loop) -> None:
    heard: list[tuple[str, int, bool]] = []
    now = time.time_ns() // 1000
    times = {"b": now + 60_000, "a": now + 20_000, "past": now - 5, "far": now + 10**12}
    clock = RealClock(loop, lambda key, generation: heard.append((key, generation, time.time_ns() // 1000 >= times[key])), lambda: None, lambda: None)
    for generation, (key, at) in enumerate(times.items()):
        clock.set(key, at, generation)
    loop.until(lambda: len(heard) == 3)
    assert heard == [("past", 2, True), ("a", 1, True), ("b", 0, True)]
    clock.set("gone", time.time_ns() // 1000 + 10_000, 9)
    clock.drop("gone")
    times["later"] = time.time_ns() // 1000 + 20_000
    clock.set("later", times["later"], 10)
    loop.until(lambda: len(heard) > 3)
    assert heard[3:] == [("later", 10, True)]
    clock.close()


def test_a_clock_that_is_set_is_told(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel cancels the timer then: read() fails with ECANCELED (timerfd_create(2))."""
    told: list[str] = []
    clock = RealClock(loop, lambda key, generation: told.append(key), lambda: told.append("set"), lambda: None)
    clock.set("only for that", 0, 1)

    def read(fd: int, size: int) -> bytes:
        raise OSError(errno.ECANCELED, "canceled")

    monkeypatch.setattr(realclock, "os", SimpleNamespace(read=read))
    clock._ready()
    monkeypatch.undo()
    assert told == ["set"]
    clock.close()


def test_another_local_time_zone_is_told(loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realclock, "LOCALTIME", str(tmp_path / "localtime"))
    told: list[str] = []
    clock = RealClock(loop, lambda key, generation: None, lambda: None, lambda: told.append("zone"))
    clock.set("x", 0, 1)
    (tmp_path / "other").touch()
    loop.settle()
    assert told == []
    (tmp_path / "new").symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    (tmp_path / "new").rename(tmp_path / "localtime")
    loop.until(lambda: bool(told))
    clock.close()


class Watched:
    """A PathWatch and what it told."""

    def __init__(self, loop: Loop, *specs: PathSpec) -> None:
        self.loop, self.told = loop, list[tuple[int, bool]]()
        self.watch = PathWatch(loop, specs, lambda index, changed: self.told.append((index, changed)))

    def hears(self, act: Callable[[], Any]) -> list[tuple[int, bool]]:
        self.loop.settle()
        self.told.clear()
        act()
        self.loop.until(lambda: bool(self.told))
        return self.told


def test_a_file_that_changes(loop: Loop, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("1")
    w = Watched(loop, PathSpec("PathExists", str(tmp_path / "never")), PathSpec("PathChanged", str(file)))
    assert (1, True) in w.hears(lambda: file.write_text("2"))
    assert (1, True) in w.hears(lambda: file.unlink())
    w.watch.close()


@pytest.mark.parametrize(("kind", "counts"), [("PathChanged", False), ("PathModified", True)])
def test_writes_count_for_path_modified_only(loop: Loop, tmp_path: Path, kind: str, counts: bool) -> None:
    file = tmp_path / "a"
    file.write_text("1")
    w = Watched(loop, PathSpec(kind, str(file)))
    loop.settle()
    w.told.clear()
    with file.open("a") as handle:
        handle.write("x")
        handle.flush()
        loop.settle()
        assert any(changed for _, changed in w.told) is counts
    loop.until(lambda: any(changed for _, changed in w.told))
    w.watch.close()


def test_directories_on_the_way_that_are_missing(loop: Loop, tmp_path: Path) -> None:
    """What comes on the way is told, so that one looks and watches again; other arrivals in the directories before it are not."""
    w = Watched(loop, PathSpec("PathExists", str(tmp_path / "a/b/c")))
    assert w.hears((tmp_path / "a").mkdir) == [(-1, False)]
    w.watch.close()
    w = Watched(loop, PathSpec("PathExists", str(tmp_path / "a/b/c")))
    loop.settle()
    w.told.clear()
    (tmp_path / "other").touch()
    loop.settle()
    assert w.told == []
    assert w.hears((tmp_path / "a/b").mkdir) == [(-1, False)]
    w.watch.close()


def test_a_link_on_the_way_that_is_replaced(loop: Loop, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("one")
    w = Watched(loop, PathSpec("DirectoryNotEmpty", str(tmp_path / "link")))
    (tmp_path / "new").symlink_to("two")
    assert w.hears(lambda: (tmp_path / "new").rename(tmp_path / "link"))
    w.watch.close()


def test_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    assert look(PathSpec("DirectoryNotEmpty", str(tmp_path / "d"))) is None
    (tmp_path / "d/.hidden").touch()
    assert look(PathSpec("DirectoryNotEmpty", str(tmp_path / "d"))) is None
    (tmp_path / "d/b.x").touch()
    assert look(PathSpec("DirectoryNotEmpty", str(tmp_path / "d"))) == str(tmp_path / "d")
    assert look(PathSpec("PathExistsGlob", f"{tmp_path}/d/*.x")) == f"{tmp_path}/d/b.x"
    assert look(PathSpec("PathExistsGlob", f"{tmp_path}/d/*.y")) is None
    assert look(PathSpec("PathExists", str(tmp_path / "no"))) is None
    spec = PathSpec("PathChanged", str(tmp_path / "new/dir"))
    assert make_directories((spec,), 0o750) == ""
    assert (tmp_path / "new/dir").stat().st_mode & 0o777 == 0o750
    (tmp_path / "file").touch()
    assert "cannot be made" in make_directories((PathSpec("PathChanged", str(tmp_path / "file/dir")),), 0o755)


def test_descriptors_are_handed_over(loop: Loop, tmp_path: Path) -> None:
    executor: Any = SimpleNamespace(amenders=[], observers=[])
    handover = Handover(str(tmp_path / "fds"), loop, executor)
    token = "0123456789abcdef" * 2
    reader, writer = os.pipe()

    def client(data: bytes, fds: list[int]) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        made.connect(str(tmp_path / "fds"))
        socket.send_fds(made, [data], fds)
        made.settimeout(0.0)
        return made

    def answer(made: socket.socket) -> bytes:
        data: list[bytes] = []

        def come() -> bool:
            try:
                data.append(made.recv(16))
            except BlockingIOError:
                return False
            return True

        loop.until(come)
        return data[0]

    good = client(token.encode(), [reader, writer, writer])
    assert answer(good) == b"ok"
    for bad in (client(b"no token", [reader]), client(token.encode(), [reader, writer, writer]), client(b"f" * 32, [reader])):
        assert answer(bad) == b""
        bad.close()
    assert not handover.give("x.service", "f" * 32)
    assert handover.give("x.service", token)
    good.close()
    loop.settle()
    spec: Any = {"stdin_path": "/x", "stdout": 0}
    fds = [99]
    [amend] = executor.amenders
    amend(SimpleNamespace(name="x.service"), "ExecStop", spec, fds)
    assert fds == [99]
    amend(SimpleNamespace(name="x.service"), "ExecStart", spec, fds)
    assert (spec, len(fds)) == ({"stdin": 1, "stdout": 2, "stderr": 3}, 4)
    os.write(fds[2], b"hi")
    assert os.read(reader, 2) == b"hi"
    [observe] = executor.observers
    observe("unit.x.service", {"active": "inactive"})
    with pytest.raises(OSError):
        os.fstat(fds[1])
    abandoned = client(b"a" * 32, [reader, writer, writer])
    assert answer(abandoned) == b"ok"
    abandoned.close()
    loop.until(lambda: not handover.give("y.service", "a" * 32))
    handover.close()
    os.close(reader)
    os.close(writer)

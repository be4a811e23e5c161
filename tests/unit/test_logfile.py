"""The files of one unit's log, without the process around them."""

from __future__ import annotations

import gzip
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from unitd.bus import logread
from unitd.manager import logfile, logpress
from unitd.manager.backstage import Backstage
from unitd.manager.logfile import UnitLog
from unitd.manager.logpipe import make_pipe
from unitd.manager.rolling import Limits, Meter
from unitd.manager.tee import Peek

RECORD = struct.Struct("<QQQ")


class Rig:
    """A log with a pipe."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = UnitLog("a.service", str(directory), Backstage(press=False))
        self.reader, self.writer = make_pipe()
        self.log.pipes[self.reader] = 0

    def say(self, text: bytes, peek: Peek | None = None) -> None:
        os.write(self.writer, text)
        self.log.drain(self.reader, 1 << 20, peek)

    def lines(self) -> list[logread.LogLine]:
        return list(logread.read(str(self.directory)))

    def close(self) -> None:
        self.log.close()
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "a.service")
    yield made
    made.close()


def test_nothing_is_made_before_the_first_byte(rig: Rig) -> None:
    rig.log.drain(rig.reader, 1 << 20)  # as after a wake-up that brought nothing
    rig.log.close()
    assert not rig.directory.exists() or (rig.directory / "current").stat().st_size == 0


def test_the_group_may_read_and_nobody_else(rig: Rig) -> None:
    rig.log.gid = os.getegid()
    rig.say(b"x\n")
    assert rig.directory.stat().st_mode & 0o777 == 0o750
    for name in ("current", "current.idx"):
        assert (rig.directory / name).stat().st_mode & 0o777 == 0o640


def test_a_clock_that_is_set_back_changes_no_order(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000_000_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: now)
    rig.log.limits = Limits(max_size=0)
    rig.say(b"one\n")
    rig.log.rotate()
    now -= 3600 * 10**9
    rig.say(b"two\n")
    rig.log.rotate()
    rig.say(b"three\n")
    monkeypatch.undo()
    lines = rig.lines()
    assert [x.text for x in lines] == [
        b"one",
        b"unitd: the clock was set back by 3600 s; lines stay in the order in which they were written",
        b"two",
        b"three",
    ]
    assert [x.realtime for x in lines] == [1e9, 1e9 - 3600, 1e9 - 3600, 1e9 - 3600]
    follower = logread.Follower(str(rig.directory))
    assert [x.text for x in follower.read_new()] == [x.text for x in lines]
    follower.close()


def test_a_new_logger_knows_the_last_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.say(b"one\n")
    key = rig.log.last_key
    rig.log.rotate()
    rig.log.close()
    monkeypatch.setattr(time, "time_ns", lambda: 1000)
    rig.log = UnitLog("a.service", str(rig.directory), Backstage(press=False))
    rig.log.pipes[rig.reader] = 0
    rig.say(b"two\n")
    assert rig.log.last_key > key


def test_an_old_file_is_rotated_and_a_very_old_one_removed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000_000_000_000_000
    removed: list[str] = []
    monkeypatch.setattr(time, "time_ns", lambda: now)
    monkeypatch.setattr(rig.log.backstage, "remove", removed.extend)
    rig.log.limits = Limits(max_age=60)
    rig.say(b"one\n")
    assert rig.log.age() == 1_000_000_060_000_000
    now += 61 * 10**9
    rig.say(b"two\n")
    assert (rig.directory / "@1000000000000000.log").read_bytes() == b"one\ntwo\n"
    assert removed == []
    now += 61 * 10**9
    rig.say(b"three\n")
    now += 61 * 10**9
    rig.say(b"four\n")
    assert any(path.endswith("@1000000000000000.log") for path in removed)


def test_lines_over_the_rate_are_suppressed_and_said_to_be(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    rig.log.meter = Meter(30.0, 3)
    peek = Peek()
    rig.say(b"".join(b"%d\n" % n for n in range(100)), peek)
    now = 131.0
    rig.say(b"after\n", peek)
    texts = [x.text for x in rig.lines()]
    assert texts == [b"0", b"1", b"2", b"unitd: suppressed 97 lines, because more than 3 came in 30 s", b"after"]
    assert rig.log.lost == 0
    peek.close()


def test_invocations_are_on_file_once(rig: Rig) -> None:
    rig.log.begin = (5, "aa")
    rig.say(b"x\n")
    rig.log.begin = (5, "aa")
    rig.say(b"x\n")
    rig.log.begin = (9, "bb")
    assert (rig.directory / "invocations").read_text() == "5 aa\n"
    rig.say(b"y\n")
    assert (rig.directory / "invocations").read_text() == "5 aa\n9 bb\n"


def test_a_file_system_without_splice_is_written_all_the_same(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "splice", refuse)
    rig.say(b"a" * 100_000 + b"\n")
    assert (rig.directory / "current").read_bytes() == b"a" * 100_000 + b"\n"


def test_an_index_that_cannot_be_written_costs_no_bytes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.say(b"one\n")
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: 3 if fd == rig.log.idx else real(fd, data, at))
    rig.say(b"two\n")
    monkeypatch.undo()
    rig.say(b"three\n")
    assert [x.text for x in rig.lines()] == [b"one", b"two", b"three"]
    assert os.fstat(rig.log.idx).st_size == 2 * RECORD.size


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "a.service")
    rig.directory.mkdir()
    target = tmp_path / "precious"
    target.write_bytes(b"")
    (rig.directory / "current").symlink_to(target)
    rig.say(b"x\n")
    assert target.read_bytes() == b"" and rig.log.lost == 2
    rig.close()


@pytest.mark.parametrize("how", ["zstd", "gzip", "yes"])
def test_compression_keeps_the_text_and_can_be_cut_short_at_any_point(tmp_path: Path, how: str) -> None:
    text = os.urandom(3000).hex().encode() * 500
    (tmp_path / "@5.log").write_bytes(text)
    os.chmod(tmp_path / "@5.log", 0o640)
    (tmp_path / "@5.tmp").write_bytes(b"left by a compressor that was killed")
    assert logpress.press(str(tmp_path), how) == 1
    packed = next(p for p in tmp_path.iterdir() if p.name in ("@5.log.zst", "@5.log.gz"))
    assert packed.suffix == (".gz" if how == "gzip" else ".zst")
    assert packed.stat().st_mode & 0o777 == 0o640 and packed.stat().st_size < len(text)
    assert not (tmp_path / "@5.log").exists() and not (tmp_path / "@5.tmp").exists()
    places = list(struct.iter_unpack("<QQ", (tmp_path / "@5.map").read_bytes()))
    assert [at for at, _ in places] == [0, 1 << 20, 2 << 20, len(text)]
    if how == "gzip":
        assert gzip.decompress(packed.read_bytes()) == text
    (tmp_path / "@5.log").write_bytes(text)  # killed before the original could go
    assert logpress.press(str(tmp_path), how) == 0
    assert not (tmp_path / "@5.log").exists() and packed.exists()
    with pytest.raises(FileNotFoundError):
        logpress.press(str(tmp_path / "none"), how)


def test_recovering_an_index(tmp_path: Path) -> None:
    path = tmp_path / "i"
    path.write_bytes(RECORD.pack(1, 0, 0) + RECORD.pack(2, 10, 0) + b"x")
    fd = os.open(path, os.O_RDWR)
    assert logfile.recover_index(fd, 10) == RECORD.size
    os.close(fd)

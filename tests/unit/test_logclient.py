"""Compressed files, and many units in one order."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.unit.test_logread import RECORD, rotate, write
from unitd.bus import logread, logstore
from unitd.bus.logclient import LogFeed, Wanted, read_logs
from unitd.bus.logfiles import open_rotated
from unitd.manager import logpress


class Bell:
    """Takes the place of a subscription."""

    def __init__(self) -> None:
        self.topics: list[str] = []
        self.closed = False

    def next_event(self, timeout: float | None = None) -> object:
        from unitd.bus.events import LogWritten

        return LogWritten(topic=self.topics.pop(0)) if self.topics else None

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("how", ["zstd", "gzip"])
def test_compressed_files_read_as_the_others(tmp_path: Path, how: str) -> None:
    rng = random.Random(7)
    number = 0
    for part in range(3):
        pieces = []
        for _ in range(300):
            lines = b"".join(b"line %07d %s\n" % (number + i, bytes(rng.choices(b"abcdef", k=60))) for i in range(40))
            pieces.append((1_000_000 + number, 0, lines))
            number += 40
        write(tmp_path, "current", pieces)
        if part < 2:
            rotate(tmp_path, RECORD.unpack((tmp_path / "current.idx").read_bytes()[:24])[0])
    before = list(logread.read(str(tmp_path)))
    follower = logread.Follower(str(tmp_path))
    lines = follower.iter_new()
    first = next(lines)
    logpress.press(str(tmp_path), how)
    assert [first, *lines] == before  # the open file goes on, the next is found under its new name
    follower.close()
    assert list(logread.read(str(tmp_path))) == before and len(before) == 36000
    assert logread.tail(str(tmp_path), 20000) == before[-20000:]
    since = before[5000].realtime
    assert list(logread.read(str(tmp_path), since=since)) == [x for x in before if x.realtime >= since]
    oldest = min(tmp_path.glob("*.map"))
    oldest.unlink()  # slower, but it reads
    assert list(logread.read(str(tmp_path))) == before


def test_a_damaged_file_says_so_and_the_rest_is_read(tmp_path: Path) -> None:
    write(tmp_path, "current", [(5, 0, b"x\n" * (1 << 20))])
    rotate(tmp_path, 5)
    write(tmp_path, "current", [(9, 0, b"after\n")])
    logpress.press(str(tmp_path), "zstd")
    packed = tmp_path / "@5.log.zst"
    data = bytearray(packed.read_bytes())
    data[8:24] = b"\xff" * 16
    packed.write_bytes(data)
    lines = [x.text for x in logread.read(str(tmp_path))]
    assert lines[0].startswith(b"unitd: cannot read a part of ") and lines[-1] == b"after" and lines.count(b"x") == 1 << 19


def test_a_file_that_is_gone_is_none(tmp_path: Path) -> None:
    assert open_rotated(str(tmp_path), 7) is None


def test_merging_keeps_the_order_of_each_unit(tmp_path: Path) -> None:
    write(tmp_path / "a", "current", []) if (tmp_path / "a").mkdir() else None
    write(tmp_path / "a", "current", [(10_000_000, 0, b"a1\n"), (10_000_000, 0 | 5_000_000 << 8, b"a2\n"), (12_000_000, 0, b"a3\n")])
    (tmp_path / "b").mkdir()
    write(tmp_path / "b", "current", [(6_000_000, 0, b"b1\n"), (11_000_000, 0, b"b2\n")])
    directories = {unit: str(tmp_path / unit) for unit in "ab"}
    wanted = dict.fromkeys("ab", Wanted())
    assert [x.text for x in read_logs(directories, wanted)] == [b"b1", b"a1", b"a2", b"b2", b"a3"]
    assert [x.realtime for x in read_logs(directories, wanted) if x.text == b"a2"] == [5.0]
    assert [x.text for x in read_logs(directories, wanted, last=2)] == [b"b2", b"a3"]


def test_a_feed_follows_units_that_appear_later(tmp_path: Path) -> None:
    bell = Bell()
    (tmp_path / "web@1.service").mkdir()
    write(tmp_path / "web@1.service", "current", [(1, 0, b"one\n")])
    asked: list[str] = []

    def subscribe(topics: object) -> Bell:
        asked.extend(topics)  # type: ignore[call-overload]
        return bell

    with LogFeed(str(tmp_path), ["web@*"], subscribe, Wanted()) as feed:  # type: ignore[arg-type]
        assert asked == ["log.web@*", "log.web@*.service"]
        assert [x.text for x in feed.first()] == [b"one"]
        assert feed.next_lines(0) is None
        for unit in ("web@2.service", "other.service"):
            (tmp_path / unit).mkdir()
            write(tmp_path / unit, "current", [(2, 0, unit.encode() + b"\n")])
        bell.topics = ["log.other.service", "log.web@2.service", "manager.started"]
        assert feed.next_lines(0) == []
        assert [x.text for x in feed.next_lines(0) or []] == [b"web@2.service"]
        write(tmp_path / "web@1.service", "current", [(3, 0, b"two\n")])
        assert [x.text for x in feed.next_lines(0) or []] == [b"two"]
    assert bell.closed


def test_the_log_directory_is_found_through_the_runtime_directory(tmp_path: Path) -> None:
    run, log, other = tmp_path / "run", tmp_path / "log", tmp_path / "other"
    for path in (run, log, other):
        path.mkdir()
    assert logstore.find_log_dir(str(run), "/usual") == "/usual"
    logstore.link_log_dir(str(run), str(log))
    assert logstore.find_log_dir(str(run), "/usual") == str(log)
    logstore.link_log_dir(str(run), str(other))
    assert logstore.find_log_dir(str(run), "/usual") == str(other)
    os.unlink(run / "log")
    (run / "log").mkdir()
    logstore.link_log_dir(str(run), str(run / "log"))  # kept in the runtime directory itself
    assert logstore.find_log_dir(str(run), "/usual") == str(run / "log")

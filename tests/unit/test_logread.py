"""Reading logs: any cut into records, streams and files gives the same lines."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unitd.bus.logread import Follower, LogLine, read, tail

RECORD = struct.Struct("<QQQ")
Piece = tuple[int, int, bytes]


def write(directory: Path, name: str, pieces: list[Piece], index: bool = True) -> None:
    """Append (µs, stream, bytes) to a log."""
    stem = name.removesuffix(".log")
    with open(directory / name, "ab") as data, open(directory / f"{stem}.idx", "ab") as idx:
        for micros, stream, text in pieces:
            if index:
                idx.write(RECORD.pack(micros, data.tell(), stream))
            data.write(text)
            data.flush()


def rotate(directory: Path, start: int) -> None:
    os.rename(directory / "current", directory / f"@{start}.log")
    os.rename(directory / "current.idx", directory / f"@{start}.idx")


def test_nothing_is_an_empty_log(tmp_path: Path) -> None:
    assert tail(str(tmp_path / "none"), 5) == []
    assert list(read(str(tmp_path / "none"))) == []
    follower = Follower(str(tmp_path / "none"))
    assert follower.read_new() == []
    (tmp_path / "none").mkdir()
    assert follower.read_new() == []
    write(tmp_path / "none", "current", [(1_000_000, 0, b"x\n")])
    assert follower.read_new() == [LogLine(1.0, 0, b"x")]
    follower.close()


def test_lines_over_records_have_the_time_of_their_beginning(tmp_path: Path) -> None:
    write(tmp_path, "current", [(1_000_000, 0, b"a\nb"), (2_000_000, 0, b"b\nc\n"), (3_000_000, 2, b"note\n"), (4_000_000, 0, b"open")])
    expected = [LogLine(1.0, 0, b"a"), LogLine(1.0, 0, b"bb"), LogLine(2.0, 0, b"c"), LogLine(3.0, 2, b"note"), LogLine(4.0, 0, b"open", False)]
    assert tail(str(tmp_path), 10) == expected
    assert tail(str(tmp_path), 2) == expected[-2:]
    assert tail(str(tmp_path), 0) == []
    assert list(read(str(tmp_path), since=2.0, until=3.0)) == expected[2:4]


def test_streams_are_put_together_apart(tmp_path: Path) -> None:
    write(tmp_path, "current", [(1, 0, b"out be"), (2, 1, b"err be"), (3, 0, b"gun\n"), (4, 1, b"gun\n")])
    assert [(x.stream, x.text) for x in tail(str(tmp_path), 9)] == [(0, b"out begun"), (1, b"err begun")]


def test_an_announcement_without_bytes_counts_for_nothing(tmp_path: Path) -> None:
    write(tmp_path, "current", [(1_000_000, 0, b"a\n")])
    with open(tmp_path / "current.idx", "ab") as idx:
        idx.write(RECORD.pack(9_000_000, 2, 1))
    follower = Follower(str(tmp_path))
    assert follower.read_new() == [LogLine(1.0, 0, b"a")]
    with open(tmp_path / "current.idx", "r+b") as idx:
        idx.seek(24)
        idx.write(RECORD.pack(2_000_000, 2, 0))
    with open(tmp_path / "current", "ab") as data:
        data.write(b"b\n")
    assert follower.read_new() == [LogLine(2.0, 0, b"b")]
    follower.close()


def test_without_an_index_the_text_is_there(tmp_path: Path) -> None:
    (tmp_path / "current").write_bytes(b"a\nb\n")
    lines = tail(str(tmp_path), 9)
    assert [x.text for x in lines] == [b"a", b"b"] and lines[0].realtime == pytest.approx((tmp_path / "current").stat().st_mtime)


def test_following_waits_for_the_end_of_a_line_and_goes_over_rotations(tmp_path: Path) -> None:
    write(tmp_path, "current", [(1, 0, b"a\nb")])
    follower, late = Follower(str(tmp_path)), Follower(str(tmp_path), start_at_end=True)
    assert [x.text for x in follower.read_new()] == [b"a"] and late.read_new() == []
    assert [x.text for x in follower.partial()] == [b"b"]
    write(tmp_path, "current", [(2, 0, b"b\nc")])
    rotate(tmp_path, 1)
    assert [x.text for x in follower.read_new()] == [b"bb"]
    write(tmp_path, "current", [(3, 0, b"c\n")])
    rotate(tmp_path, 3)
    write(tmp_path, "current", [(4, 0, b"d\n")])
    assert [x.text for x in follower.read_new()] == [b"cc", b"d"]
    assert [x.text for x in late.read_new()] == [b"b", b"cc", b"d"]
    os.unlink(tmp_path / "current")
    os.unlink(tmp_path / "current.idx")
    write(tmp_path, "current", [(5, 0, b"e\n")])
    assert [x.text for x in follower.read_new()] == [b"e"]
    os.truncate(tmp_path / "current", 0)
    os.truncate(tmp_path / "current.idx", 0)
    write(tmp_path, "current", [(6, 0, b"")])
    assert follower.read_new() == []
    with open(tmp_path / "current", "ab") as data:
        data.write(b"f\n")
    assert [x.text for x in follower.read_new()] == [b"f"]
    follower.close()
    late.close()


def test_a_follower_whose_file_is_retired_goes_on_with_the_oldest_later_one(tmp_path: Path) -> None:
    write(tmp_path, "current", [(10, 0, b"a\n")])
    follower = Follower(str(tmp_path))
    assert len(follower.read_new()) == 1
    rotate(tmp_path, 10)
    for start in (20, 30):
        write(tmp_path, "current", [(start, 0, b"%d\n" % start)])
        rotate(tmp_path, start)
    os.unlink(tmp_path / "@10.log")
    assert [x.text for x in follower.read_new()] == [b"20", b"30"]
    follower.close()


def test_tail_and_then_follow_misses_nothing(tmp_path: Path) -> None:
    write(tmp_path, "current", [(n, 0, b"%d\n" % n) for n in range(5000)])
    follower = Follower(str(tmp_path), last=3)
    assert [x.text for x in follower.read_new()][-3:] == [b"4997", b"4998", b"4999"]
    write(tmp_path, "current", [(9999, 0, b"more\n")])
    assert [x.text for x in follower.read_new()] == [b"more"]
    follower.close()


def test_an_endless_line_comes_in_pieces(tmp_path: Path) -> None:
    write(tmp_path, "current", [(1, 0, b"x" * (3 << 20))])
    assert b"".join(x.text for x in tail(str(tmp_path), 99)) == b"x" * (3 << 20)


line = st.binary(max_size=12).map(lambda b: b.replace(b"\n", b""))
script = st.lists(st.tuples(st.integers(0, 1), line, st.integers(0, 12), st.booleans()), max_size=16)


@given(script, st.integers(1, 12), st.integers(0, 45))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cut_gives_the_same_lines(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bytes, int, bool]], count: int, since: int
) -> None:
    """Lines of two streams, each torn at any place by the other stream or by a rotation."""
    directory = tmp_path_factory.mktemp("log")
    expected: dict[int, list[bytes]] = {0: [], 1: []}
    waiting: dict[int, bytes] = {0: b"", 1: b""}
    follower, followed = Follower(str(directory)), []
    for micros, (stream, text, cut, turn) in enumerate(steps, 1):
        whole = waiting[stream] + text + b"\n"
        expected[stream].append(text)
        write(directory, "current", [(micros, stream, whole[:cut])] if whole[:cut] else [])
        waiting[stream] = whole[cut:]
        if turn and (directory / "current").stat().st_size:
            rotate(directory, micros)
        followed += follower.read_new()
    write(directory, "current", [(99, s, waiting[s]) for s in (0, 1) if waiting[s]])
    followed += follower.read_new()
    follower.close()
    for stream in (0, 1):
        assert [x.text for x in followed if x.stream == stream] == expected[stream]
    lines = list(read(str(directory)))
    assert sorted(lines) == sorted(followed)
    assert tail(str(directory), count) == lines[-count:]
    assert list(read(str(directory), since=since / 1e6)) == [x for x in lines if x.realtime >= since / 1e6]

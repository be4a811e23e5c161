"""When to rotate, what to remove, what to suppress: decisions without files."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unitd.manager import rolling
from unitd.manager.rolling import Limits, Meter


def test_size_and_age_make_a_file_due() -> None:
    assert not rolling.due(0, 0, 10**15, Limits(max_size=1, max_age=1))
    assert rolling.due(4096, 0, 0, Limits(max_size=4096)) and not rolling.due(4095, 0, 0, Limits(max_size=4096))
    assert rolling.due(1, 0, 60_000_000, Limits(max_age=60)) and not rolling.due(1, 0, 59_999_999, Limits(max_age=60))
    assert not rolling.due(1 << 50, 0, 1 << 60, Limits(max_size=0))
    assert rolling.room(0, Limits(max_size=0)) > 1 << 60 and rolling.room(9000, Limits(max_size=8192)) == 4096


def test_what_is_too_much_or_too_old_goes_oldest_first() -> None:
    files = [(n, n + 10) for n in (10, 20, 30, 40)]
    assert rolling.doomed(files, 0, Limits(max_files=3)) == [10, 20]
    assert rolling.doomed(files, 0, Limits(max_files=1)) == [10, 20, 30, 40]
    assert rolling.doomed(files, 0, Limits(max_files=0)) == []
    assert rolling.doomed(files, 30 + 2_000_000, Limits(max_files=9, max_age=2)) == [10, 20]


def test_a_key_never_falls() -> None:
    assert rolling.next_key(100, 50, False) == 100
    assert rolling.next_key(50, 100, False) == 100
    assert rolling.next_key(50, 100, True) == 101


def test_a_flood_is_not_waited_for() -> None:
    assert rolling.pause(100, 65536, 0) == rolling.COALESCE
    assert rolling.pause(40000, 65536, 0) == rolling.pause(100, 65536, 65536) == 0.0


def test_what_is_over_the_rate_is_counted_and_told_at_the_next_turn() -> None:
    meter = Meter(10.0, 2)
    assert meter.turn(100.0) == 0
    assert meter.cut(0, b"1\n2\n3\n4") == [(True, 4), (False, 3)]
    assert meter.ends() == 110.0
    assert meter.turn(105.0) == 0
    assert meter.cut(0, b"4\n") == [(False, 2)]
    assert meter.suppressed == 2
    assert meter.turn(110.0) == 2
    assert meter.ends() == 0.0
    assert meter.cut(0, b"5\n") == [(True, 2)]


@given(st.lists(st.lists(st.sampled_from([b"a", b"bb", b"\n"]), min_size=1, max_size=8).map(b"".join), max_size=20), st.integers(0, 5))
def test_lines_pass_whole_or_not_at_all(chunks: list[bytes], burst: int) -> None:
    meter = Meter(10.0, burst)
    meter.turn(1.0)
    kept = b""
    for chunk in chunks:
        runs = meter.cut(0, chunk)
        assert sum(length for _, length in runs) == len(chunk)
        at = 0
        for keep, length in runs:
            kept += chunk[at : at + length] if keep else b""
            at += length
    text = b"".join(chunks)
    lines = text.splitlines(keepends=True)
    assert kept == b"".join(lines[:burst])
    assert meter.suppressed == max(0, len(lines) - burst)

"""Rates, sums and history of what units use, without any process."""

from __future__ import annotations

import pytest

from unitd.manager.procsockets import address
from unitd.manager.scale import plan
from unitd.manager.stats import MAX_GAP, History, Reading, Ring, UnitStats, slices


def reading(pid: int, cpu: float, start: int = 1, **more: int) -> Reading:
    return Reading(pid, 1, "x", pid, cpu, 2, 1000, start, more.get("fds", 3), more.get("read", 0), more.get("written", 0))


def glance(pid: int, cpu: float) -> Reading:
    """Without details."""
    return Reading(pid, 1, "x", pid, cpu, 2, 1000, 1)


def test_rates_are_of_the_whole_tree() -> None:
    stats = UnitStats()
    first = stats.sample("a", 10.0, 1000.0, [reading(1, 5.0), reading(2, 1.0)], 0, 900.0)
    assert (first.cpu, first.cpu_seconds, first.memory, first.tasks, first.fds, first.age) == (0.0, 6.0, 2000, 4, 6, 100.0)
    second = stats.sample("a", 12.0, 1002.0, [reading(1, 5.5, read=4000), reading(2, 1.5), reading(3, 0.5)], 1, 900.0)
    # half a second each of the two old ones, and all of the new one, in two seconds
    assert (second.cpu, second.cpu_seconds, second.restarts) == (75.0, 7.5, 1)
    assert [(p.pid, p.cpu) for p in second.processes] == [(1, 25.0), (2, 25.0), (3, 25.0)]
    assert second.read_rate == 2000.0
    # the pid 1 is another process now; 2 and 3 are gone, what they used stays counted
    third = stats.sample("a", 13.0, 1003.0, [reading(1, 0.25, start=9)], 2, 1002.5)
    assert (third.cpu, third.cpu_seconds) == (25.0, 7.75)
    assert [row[1:] for row in stats.history.rows()] == [(75.0, 3000.0, 1.0), (25.0, 1000.0, 2.0)]


def test_a_glance_carries_details_on() -> None:
    stats = UnitStats()
    stats.sample("a", 10.0, 1000.0, [reading(1, 0.0, read=1000)], 0, 0.0)
    assert stats.sample("a", 12.0, 1002.0, [reading(1, 0.0, read=5000)], 0, 0.0).read_rate == 2000.0
    carried = stats.sample("a", 13.0, 1003.0, [glance(1, 0.5)], 0, 0.0)
    assert (carried.cpu, carried.fds, carried.read, carried.read_rate) == (50.0, 3, 5000, 2000.0)
    again = stats.sample("a", 14.0, 1004.0, [reading(1, 0.5, read=9000)], 0, 0.0)
    assert (again.cpu, again.read_rate) == (0.0, 2000.0)


def test_a_group_counts_what_processes_used_that_are_gone() -> None:
    stats = UnitStats()
    stats.sample("a", 10.0, 1000.0, [], 0, 0.0, group_cpu=100.0)
    assert stats.sample("a", 11.0, 1001.0, [], 0, 0.0, group_cpu=100.5).cpu == 50.0
    # started again: the group is a new one
    assert stats.sample("a", 12.0, 1002.0, [], 0, 0.0, group_cpu=0.25).cpu == 25.0


def test_between_two_looks_at_a_group_its_processes_count() -> None:
    stats = UnitStats()
    stats.sample("a", 10.0, 1000.0, [reading(1, 5.0)], 0, 0.0, group_cpu=100.0)
    between = stats.sample("a", 11.0, 1001.0, [glance(1, 5.25)], 0, 0.0)
    assert (between.cpu, between.cpu_seconds) == (25.0, 100.25)
    # the group is a little behind the ticks of its processes: the sum does not fall
    behind = stats.sample("a", 12.0, 1002.0, [reading(1, 5.25)], 0, 0.0, group_cpu=100.245)
    assert (behind.cpu, behind.cpu_seconds) == (0.0, 100.25)
    assert stats.sample("a", 13.0, 1003.0, [reading(1, 5.75)], 0, 0.0, group_cpu=100.75).cpu == 50.0


def test_after_a_long_pause_there_is_no_rate() -> None:
    stats = UnitStats()
    stats.sample("a", 10.0, 1000.0, [reading(1, 1.0)], 0, 0.0)
    late = stats.sample("a", 11.0 + MAX_GAP, 2000.0, [reading(1, 50.0)], 0, 0.0)
    assert (late.cpu, late.cpu_seconds) == (0.0, 50.0)
    assert stats.history.rows() == []


def test_a_ring_keeps_the_last() -> None:
    ring = Ring(3)
    for i in range(5):
        ring.add((i, i, i, i))
    assert [row[0] for row in ring] == [2, 3, 4]


def test_history_is_bounded_and_coarser_with_age() -> None:
    history = History()
    for second in range(5000):
        history.add(10_000.0 + second, second % 10, 7.0, second // 1000)
    rows = history.rows()
    assert len(rows) <= History.FINE + History.COARSE
    assert [row[0] for row in rows] == sorted({row[0] for row in rows})
    assert rows[-1][0] == 14_999.0 and rows[-1][0] - rows[0][0] > 1700
    assert rows[0][1:] == (4.5, 7.0, 3.0)
    assert len(history.rows(since=14_990.0)) == 10


def test_a_sweep_is_spread_over_the_interval() -> None:
    assert slices(0, 1.0) == (1, 1.0)
    assert slices(10, 1.0) == (10, 1.0)
    assert slices(1000, 1.0) == (50, 0.05)
    size, gap = slices(100_000, 1.0)
    assert gap >= 0.02 and size * round(1.0 / gap) >= 100_000


def test_addresses_of_proc_net() -> None:
    assert address("0100007F:1F90", 2) == "127.0.0.1:8080"
    assert address("00000000000000000000000001000000:0050", 10) == "[::1]:80"


def test_scaling_takes_low_numbers_and_gives_high_ones_back() -> None:
    assert plan("w@.service", ["w@2.service", "w@x.service", "w@02.service", "v@1.service"], 3) == (["w@1.service", "w@3.service"], [])
    assert plan("w@.service", ["w@1.service", "w@2.service", "w@7.service"], 1) == ([], ["w@7.service", "w@2.service"])
    assert plan("w@.service", [], 0) == ([], [])
    for template, count in (("w.service", 1), ("w@.service", -1), ("w@.service", 10**6)):
        with pytest.raises(ValueError):
            plan(template, [], count)

"""From readings of processes to what a unit uses: rates, sums and a bounded history. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from unitd.bus.events import ProcessSample, StatsSample


class Reading(NamedTuple):
    """One look at one process. `cpu` in seconds, `rss` in bytes, `start` in clock ticks after boot; what cannot be seen is -1."""

    pid: int
    ppid: int
    name: str
    session: int
    cpu: float
    threads: int
    rss: int
    start: int
    fds: int = 0
    read: int = 0
    written: int = 0


class Ring:
    """The last `size` rows of (time, cpu, memory, restarts); memory is taken as they come."""

    WIDTH = 4

    def __init__(self, size: int) -> None:
        self.size = size
        self._cells = array("d")
        self._next = 0  # row that is overwritten next, once full

    def add(self, row: tuple[float, float, float, float]) -> None:
        """Append; the oldest row goes when full."""
        if len(self._cells) < self.size * self.WIDTH:
            self._cells.extend(row)
            return
        start = self._next * self.WIDTH
        self._cells[start : start + self.WIDTH] = array("d", row)
        self._next = (self._next + 1) % self.size

    def __len__(self) -> int:
        return len(self._cells) // self.WIDTH

    def __iter__(self) -> Iterator[tuple[float, float, float, float]]:
        """Rows, oldest first."""
        count = len(self)
        for i in range(count):
            start = (self._next + i) % count * self.WIDTH
            yield (self._cells[start], self._cells[start + 1], self._cells[start + 2], self._cells[start + 3])


class History:
    """Two minutes by the second and half an hour by ten seconds (averages): at most 300 rows, 10 kB."""

    FINE, COARSE, STEP = 120, 180, 10.0

    def __init__(self) -> None:
        self.fine, self.coarse = Ring(self.FINE), Ring(self.COARSE)
        self._bucket = 0.0
        self._sums = [0.0, 0.0, 0.0, 0.0]

    def add(self, at: float, cpu: float, memory: float, restarts: float) -> None:
        """One sample, `at` in CLOCK_REALTIME seconds."""
        self.fine.add((at, cpu, memory, restarts))
        bucket = at // self.STEP
        if self._sums[0] and bucket != self._bucket:
            n = self._sums[0]
            self.coarse.add((self._bucket * self.STEP + self.STEP / 2, self._sums[1] / n, self._sums[2] / n, self._sums[3]))
            self._sums = [0.0, 0.0, 0.0, 0.0]
        self._bucket = bucket
        self._sums[0] += 1
        self._sums[1] += cpu
        self._sums[2] += memory
        self._sums[3] = max(self._sums[3], restarts)

    def rows(self, since: float = 0.0) -> list[tuple[float, float, float, float]]:
        """Coarse rows that are older than the fine ones, then the fine ones, from `since` on."""
        fine = list(self.fine)
        first = fine[0][0] if fine else float("inf")
        return [row for row in (*(r for r in self.coarse if r[0] < first), *fine) if row[0] >= since]


class UnitStats:
    """What is remembered of one unit between two samples, and its history."""

    def __init__(self) -> None:
        self.history = History()
        self.last: StatsSample | None = None
        self.sampled = -1.0e9  # monotonic time of the last sample
        self._cpu: dict[int, tuple[int, float, int, int]] = {}  # pid -> start, cpu, read, written
        self._total = 0.0
        self._group: float | None = None

    def sample(
        self, name: str, now: float, at: float, readings: Iterable[Reading], restarts: int, since: float, group_cpu: float | None = None, keep: bool = True
    ) -> StatsSample:
        """A sample at monotonic `now` and realtime `at`.

        `group_cpu` are the CPU seconds of the unit's cgroup, which count processes that are gone as well; without it what a process used after the
        last look before its end is not seen. `since`: realtime at which the unit became active. `keep`: in the history.
        """
        elapsed, first = now - self.sampled, self.last is None
        seen: dict[int, tuple[int, float, int, int]] = {}
        rows: list[ProcessSample] = []
        used = total = 0.0
        memory = tasks = fds = read = written = read_delta = write_delta = 0
        for r in readings:
            before = self._cpu.get(r.pid)
            if before is not None and before[0] != r.start:
                before = None
            seen[r.pid] = (r.start, r.cpu, r.read, r.written)
            # a process that was not there at the last look has used all it has used since then
            delta = r.cpu - before[1] if before is not None else 0.0 if first else r.cpu
            used += delta
            total += r.cpu
            if r.read > 0:
                read += r.read
                read_delta += r.read - before[2] if before is not None else 0
            if r.written > 0:
                written += r.written
                write_delta += r.written - before[3] if before is not None else 0
            memory, tasks, fds = memory + r.rss, tasks + r.threads, fds + max(r.fds, 0)
            cpu = round(100 * delta / elapsed, 1) if not first and elapsed > 0 else 0.0
            rows.append(ProcessSample(r.pid, r.ppid, r.name, cpu, r.rss, r.threads, max(r.fds, 0)))
        if group_cpu is not None:
            total = group_cpu
            used = group_cpu - self._group if self._group is not None and group_cpu >= self._group else 0.0 if self._group is None else group_cpu
        else:
            self._total += used if not first else total
            total = self._total
        measurable = not first and elapsed > 0 and (group_cpu is None or self._group is not None)
        made = StatsSample(
            unit=name,
            time=at,
            cpu=round(100 * max(0.0, used) / elapsed, 1) if measurable else 0.0,
            cpu_seconds=round(total, 3),
            memory=memory,
            tasks=tasks,
            fds=fds,
            read=read,
            written=written,
            read_rate=round(max(0, read_delta) / elapsed, 1) if measurable else 0.0,
            write_rate=round(max(0, write_delta) / elapsed, 1) if measurable else 0.0,
            restarts=restarts,
            age=round(max(0.0, at - since), 3) if since else 0.0,
            processes=rows,
        )
        self._cpu, self._group, self.last, self.sampled = seen, group_cpu, made, now
        if keep and (measurable or first):
            self.history.add(at, made.cpu, memory, restarts)
        return made

    def forget_rates(self) -> None:
        """Sampling stopped: the next sample is a first one again, the history stays."""
        self.last, self._cpu, self._group, self._total, self.sampled = None, {}, None, 0.0, -1.0e9


def slices(count: int, interval: float, size: int = 50) -> tuple[int, float]:
    """How to spread a sweep over `count` units over the interval: (units per slice, seconds between slices)."""
    parts = max(1, -(-count // size))
    if interval / parts < 0.02:
        parts = max(1, int(interval / 0.02))
    return max(1, -(-count // parts)), interval / parts

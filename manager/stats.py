"""From readings of processes to what a unit uses: rates, sums and a bounded history. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from unitd.bus.events import ProcessSample, StatsSample

#: A sample that comes later than this after the one before has no rates: they would be an average of long ago.
MAX_GAP = 90.0
_NOTHING = (0, 0, 0)
#: Seconds by which the sum of a unit's processes may be ahead of its cgroup.
TICKS = 0.1


class Reading(NamedTuple):
    """One look at one process. `cpu` in seconds, `rss` in bytes, `start` in clock ticks after boot.

    Of fds, read and written -1 means "cannot be seen", None "not looked at this time".
    """

    pid: int
    ppid: int
    name: str
    session: int
    cpu: float
    threads: int
    rss: int
    start: int
    fds: int | None = None
    read: int | None = None
    written: int | None = None


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
        self._seen: dict[int, Reading] = {}
        self._details: dict[int, tuple[int, int, int]] = {}  # pid -> descriptors, bytes read, written
        self._total = 0.0
        self._group: float | None = None
        self._io: tuple[float, int, int] | None = None  # monotonic time, bytes read and written when IO was last looked at

    def sample(
        self, name: str, now: float, at: float, readings: Iterable[Reading], restarts: int, since: float, group_cpu: float | None = None, keep: bool = True
    ) -> StatsSample:
        """A sample at monotonic `now` and realtime `at`.

        `group_cpu` are the CPU seconds of the unit's cgroup, which count processes that are gone as well; without it what a process used after the
        last look before its end is not seen. `since`: realtime at which the unit became active. `keep`: in the history.
        """
        elapsed = now - self.sampled
        measurable = self.last is not None and 0 < elapsed <= MAX_GAP
        scale = 100 / elapsed if measurable else 0.0
        seen: dict[int, Reading] = {}
        details: dict[int, tuple[int, int, int]] = {}
        rows: list[ProcessSample] = []
        used, looked = 0.0, False
        memory = tasks = fds = 0
        for r in readings:
            before = self._seen.get(r.pid)
            if before is not None and before.start != r.start:
                before = None
            if r.fds is not None:
                looked = True
                detail = (max(r.fds, 0), max(r.read or 0, 0), max(r.written or 0, 0))
            else:
                detail = self._details.get(r.pid, _NOTHING) if before is not None else _NOTHING
            seen[r.pid], details[r.pid] = r, detail
            # a process that was not there at the last look has used all it has used since then
            delta = r.cpu - before.cpu if before is not None else r.cpu
            used += delta
            memory, tasks, fds = memory + r.rss, tasks + r.threads, fds + detail[0]
            rows.append(ProcessSample(r.pid, r.ppid, r.name, round(scale * delta, 1), r.rss, r.threads, detail[0]))
        self._total += used
        total = self._total
        if group_cpu is None and self._group is not None:
            group_cpu = self._group + used  # the group was not asked this time
        if group_cpu is not None:
            measurable = measurable and self._group is not None
            if self._group is not None and 0 <= self._group - group_cpu < TICKS:
                group_cpu = self._group  # processes count in ticks, the group does not: no step back
            # the group is made anew with each start
            used = group_cpu - self._group if self._group is not None and group_cpu >= self._group else group_cpu
            total = group_cpu
        read = written = 0
        for _fds, bytes_read, bytes_written in details.values():
            read, written = read + bytes_read, written + bytes_written
        rates = self._io_rates(read, written, now, measurable, looked)
        made = StatsSample(
            unit=name,
            time=at,
            cpu=round(scale * used, 1) if measurable and used > 0 else 0.0,
            cpu_seconds=round(total, 3),
            memory=memory,
            tasks=tasks,
            fds=fds,
            read=read,
            written=written,
            read_rate=rates[0],
            write_rate=rates[1],
            restarts=restarts,
            age=round(at - since, 3) if 0 < since < at else 0.0,
            processes=rows,
        )
        self._seen, self._details, self._group, self.last, self.sampled = seen, details, group_cpu, made, now
        if keep and measurable:
            self.history.add(at, made.cpu, memory, restarts)
        return made

    def _io_rates(self, read: int, written: int, now: float, measurable: bool, looked: bool) -> tuple[float, float]:
        """Bytes per second read and written since IO was looked at before; without a look, those of then."""
        before, last = self._io, self.last
        if not looked and last is not None:
            return last.read_rate, last.write_rate
        self._io = (now, read, written)
        if before is None or not measurable or now <= before[0]:
            return 0.0, 0.0
        elapsed = now - before[0]
        return round(max(0, read - before[1]) / elapsed, 1), round(max(0, written - before[2]) / elapsed, 1)


def slices(count: int, interval: float, size: int = 50) -> tuple[int, float]:
    """How to spread a sweep over `count` units over the interval: (units per slice, seconds between slices)."""
    parts = max(1, -(-count // size))
    if interval / parts < 0.02:
        parts = max(1, int(interval / 0.02))
    return max(1, -(-count // parts)), interval / parts

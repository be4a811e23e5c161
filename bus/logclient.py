"""Lines of many units in one order: what is there, and what comes.

Everything is read from the files. The bus only says that there is more, so a slow reader costs nobody anything and misses nothing.
"""

from __future__ import annotations

import heapq
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

from unitd.bus import logstore
from unitd.bus.logread import Follower, LogLine, tail

if TYPE_CHECKING:
    from unitd.bus.subscription import Events


class UnitLine(NamedTuple):
    """One line of a unit without its newline. `stream` is 0 for stdout, 1 for stderr, 2 for unitd; `realtime` is seconds.

    Streams are told apart only with LogStreams=separate. `ended` is False for a piece of a very long line that goes on, and for a last
    line that has no newline yet.
    """

    unit: str
    realtime: float
    stream: int
    text: bytes
    ended: bool = True


class Wanted(NamedTuple):
    """Which lines: from `since` to `until` (seconds of realtime, 0: no limit), of these streams, that `match` finds something in."""

    since: float = 0.0
    until: float = 0.0
    streams: frozenset[int] = frozenset((0, 1, 2))
    match: Callable[[bytes], object] | None = None

    @property
    def everything(self) -> bool:
        """Is there no condition?"""
        return not self.since and not self.until and len(self.streams) == 3 and self.match is None


def choose(unit: str, lines: Iterable[LogLine], wanted: Wanted) -> Iterator[UnitLine]:
    """The lines of one unit that are wanted. Ends at the first one after `until`."""
    since, until, streams, match = wanted
    for line in lines:
        if until and line.realtime > until:
            return
        if line.realtime >= since and line.stream in streams and (match is None or match(line.text)):
            yield UnitLine(unit, *line)


def history(directory: str, unit: str, wanted: Wanted) -> Iterator[UnitLine]:
    """A unit's lines up to now. Raises OSError for files that may not be read."""
    with Follower(directory, since=wanted.since) as follower:
        yield from choose(unit, follower.iter_new(), wanted)
        yield from choose(unit, follower.partial(), wanted)


def merged(sources: Iterable[Iterator[UnitLine]]) -> Iterator[UnitLine]:
    """By time; lines of one unit stay in the order they were written in, whatever the clock did."""
    tables = list(sources)
    if len(tables) == 1:
        return tables[0]
    return (line for _, _, line in heapq.merge(*(_keyed(n, table) for n, table in enumerate(tables)), key=lambda row: row[:2]))


def _keyed(number: int, lines: Iterator[UnitLine]) -> Iterator[tuple[float, int, UnitLine]]:
    latest = 0.0
    for line in lines:
        latest = max(latest, line.realtime)
        yield latest, number, line


def read_logs(directories: dict[str, str], wanted: dict[str, Wanted], last: int | None = None) -> Iterator[UnitLine]:
    """Lines of the units in `directories` (unit -> directory) up to now, merged; `last`: only that many, the newest."""
    if last is None:
        return merged([history(path, unit, wanted[unit]) for unit, path in directories.items()])
    found: list[Iterator[UnitLine]] = []
    for unit, path in directories.items():
        if wanted[unit].everything:
            found.append(choose(unit, tail(path, last), wanted[unit]))
        else:
            found.append(iter(deque(history(path, unit, wanted[unit]), maxlen=last)))
    return iter(deque(merged(found), maxlen=last))


class LogFeed:
    """Follows units: `first` has what is there, `next_lines` what comes. Survives rotation, and a new manager or logger.

    The subscription is made and every file is opened before anything is read, so nothing falls between.
    """

    def __init__(self, log_dir: str, names: Sequence[str], subscribe: Callable[[Sequence[str]], Events], wanted: Wanted, last: int | None = None) -> None:
        """`names` are units with their suffix, or globs (none: all units). `subscribe` is Client.events.

        `last` lines of what is there come first, None: all of it. Raises OSError, Unreachable.
        """
        self.log_dir, self.names, self.wanted, self.last = log_dir, list(names), wanted, last
        topics = [f"log.{name}{more}" for name in names for more in (("", ".service") if _is_glob(name) else ("",))]
        self._events = subscribe(topics or ["log."])
        self.followers: dict[str, Follower] = {}
        for unit in self._present():
            # with a condition, the last that meet it have to be looked for
            simple = last is not None and wanted.everything
            self.followers[unit] = Follower(self._path(unit), start_at_end=last == 0, last=last if simple else None, since=0.0 if last == 0 else wanted.since)

    def _path(self, unit: str) -> str:
        return os.path.join(self.log_dir, unit)

    def _present(self) -> list[str]:
        globs = [n for n in self.names if _is_glob(n)]
        exact = [n for n in self.names if not _is_glob(n)]
        return list(dict.fromkeys([*exact, *(logstore.units(self.log_dir, globs) if globs or not exact else [])]))

    def first(self) -> Iterator[UnitLine]:
        """Lines that were there, by time."""
        lines = merged([choose(unit, follower.iter_new(), self.wanted) for unit, follower in self.followers.items()])
        return lines if self.last is None else iter(deque(lines, maxlen=self.last))

    def next_lines(self, timeout: float | None = None) -> list[UnitLine] | None:
        """Wait for more and return it: [] if it was nothing that is wanted, None when nothing came in time. Raises Unreachable."""
        event = self._events.next_event(timeout)
        if event is None:
            return None
        if event.topic.startswith("log."):
            return self._read([event.topic.removeprefix("log.")])
        # "reconnected" and the like: whatever was written meanwhile
        return self._read(list(dict.fromkeys([*self.followers, *self._present()])))

    def _read(self, units: Sequence[str]) -> list[UnitLine]:
        sources = []
        for unit in units:
            if unit not in self.followers:
                if self.names and unit not in self.names and not logstore.matches(unit, [n for n in self.names if _is_glob(n)]):
                    continue
                self.followers[unit] = Follower(self._path(unit))  # its first lines ever
            sources.append(choose(unit, self.followers[unit].iter_new(), self.wanted))
        return list(merged(sources)) if sources else []

    def fileno(self) -> int:
        """For select and friends: readable means call `next_lines(0)` until it returns None."""
        return self._events.fileno()

    def close(self) -> None:
        """End the subscription and close the files."""
        self._events.close()
        for follower in self.followers.values():
            follower.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[UnitLine]:
        yield from self.first()
        while True:
            yield from self.next_lines() or ()


def _is_glob(name: str) -> bool:
    return any(c in name for c in "*?[")

"""Output of units: read from the files, woken by the bus. Every reader has a place of its own, so a slow one costs nothing and loses nothing."""

from __future__ import annotations

import logging
from collections import deque
from itertools import islice

import gevent
from gevent.event import Event as Signal

from unitd.bus.logread import Follower, LogLine, read, tail
from unitd.web import rows
from unitd.web.hub import GONE
from unitd.web.source import Source
from unitd.web.types import Line

log = logging.getLogger(__name__)

#: Lines in one message; of more only the last are shown.
BATCH = 100
#: Lines that are read in one go; a service that writes faster is skipped over to its end.
BURST = 20_000
#: Messages of one reader come at most this often, in seconds.
PACE = 0.1
RETRY = 1.0


class Tail:
    """The end of a unit's output and what comes. `cursor`: where an earlier reader stopped, as `cursor` said; else begin `last` lines before the end.

    A place is the time of a line in µs and how many lines of that time were read. Raises OSError.
    """

    def __init__(self, directory: str, last: int = 0, cursor: str = "") -> None:
        self.directory = directory
        self._micros = self._count = 0
        when, _, count = cursor.partition("-")
        if when.isascii() and when.isdigit() and count.isascii() and count.isdigit() and len(cursor) < 40:
            self._micros, self._count = int(when), int(count)
            self._follower = Follower(directory, since=self._micros / 1e6)
            self._skip_to = (self._micros, self._count)
        else:
            self._follower = Follower(directory, start_at_end=not last, last=last or None)
            self._skip_to = (0, 0)
        self._limit = last

    @property
    def cursor(self) -> str:
        """Where this reader is."""
        return f"{self._micros}-{self._count}"

    def read(self) -> tuple[list[Line], int]:
        """New lines, at most BATCH, and how many before them are left out (-1: many, uncounted). Raises OSError."""
        found: deque[LogLine] = deque(maxlen=self._limit or BATCH)
        count = total = 0
        for line in islice(self._follower.iter_new(), BURST):
            total += 1
            if self._old(line):
                continue
            self._pass(line)
            found.append(line)
            count += 1
        skipped = count - len(found)
        if self._limit:
            skipped = 0  # what came before the beginning is not missed
        if total >= BURST:
            # a reading that was broken off has no place to go on from
            self._skip_to = (0, 0)
            self._follower.close()
            self._follower = Follower(self.directory, last=BATCH)
            found, skipped = deque(self._follower.read_new(), maxlen=BATCH), -1
            for line in found:
                self._pass(line)
        self._limit = 0
        return [rows.line(line) for line in found], skipped

    def _old(self, line: LogLine) -> bool:
        """Was it read before the reconnect?"""
        micros, count = self._skip_to
        at = round(line.realtime * 1e6)
        if not micros or at > micros:
            self._skip_to = (0, 0)
            return False
        if at == micros and not count:
            return False
        self._skip_to = (micros, count - 1 if at == micros else count)
        return True

    def _pass(self, line: LogLine) -> None:
        at = round(line.realtime * 1e6)
        self._micros, self._count = at, self._count + 1 if at == self._micros else 1

    def close(self) -> None:
        """Close the files."""
        self._follower.close()


class Watch:
    """Who reads the output of a unit, and the subscription that tells when there is more."""

    def __init__(self, source: Source, unit: str) -> None:
        self.source, self.unit = source, unit
        self.readers: set[Signal] = set()
        self.greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        topic = f"log.{self.unit}"
        while True:
            try:
                with self.source.events([topic]) as events:
                    self._wake()  # what was written before the subscription
                    while True:
                        event = events.next_event()
                        if event is not None and event.topic in (topic, ""):
                            self._wake()
            except GONE as error:
                log.debug("no news of output: %s", error)
                gevent.sleep(RETRY)

    def _wake(self) -> None:
        for signal in list(self.readers):
            signal.set()


class Watches:
    """One Watch for each unit whose output is on a page."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._watches: dict[str, Watch] = {}

    def join(self, unit: str, signal: Signal) -> None:
        """Set `signal` whenever there is more of a unit."""
        if unit not in self._watches:
            self._watches[unit] = Watch(self.source, unit)
        self._watches[unit].readers.add(signal)

    def leave(self, unit: str, signal: Signal) -> None:
        """It is gone."""
        watch = self._watches.get(unit)
        if watch is not None:
            watch.readers.discard(signal)
            if not watch.readers:
                watch.greenlet.kill(block=False)
                del self._watches[unit]


def last_lines(directory: str, count: int, stream: str = "", since: float = 0.0, search: str = "") -> list[Line]:
    """The last `count` lines that fit, oldest first; a search goes through at most 200 000 lines. Raises OSError."""
    if not stream and not since and not search:
        return [rows.line(found) for found in tail(directory, count)]
    words, kept = search.casefold(), deque[Line](maxlen=count)
    source = read(directory, since) if since else tail(directory, 200_000)
    for number, found in enumerate(source):
        line = rows.line(found)
        if (not stream or line.stream == stream) and words in line.text.casefold():
            kept.append(line)
        if number % 5000 == 4999:
            gevent.sleep(0)
    return list(kept)

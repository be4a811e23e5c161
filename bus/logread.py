"""Reads what the logger wrote: the last lines, everything since a time, or what is new. No daemon is needed, only the files.

LOG/UNIT/current and rotated @START.log are raw output; the .idx beside each holds 24-byte records (realtime in µs, offset, stream).
A record reaches to the next one's offset. Lines are put together per stream (0 stdout, 1 stderr, 2 unitd's own notes), across records
and files. A line's time is that of the record it begins in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from unitd.bus.logfiles import LONGEST, LogFile, clock, key_of, open_key, open_rotated
from unitd.bus.lognames import rotated

BLOCK = 256 * 1024
STREAMS = frozenset((0, 1))  # those whose lines may be torn: unitd's own are written at once
OLDER = 16  # older files in which the beginning of a line is looked for


class LogLine(NamedTuple):
    """One line without its newline; `realtime` in seconds, `stream` 0 stdout, 1 stderr, 2 unitd.

    `ended` is False for a piece of a very long line that goes on, and for a last line that has no newline yet.
    """

    realtime: float
    stream: int
    text: bytes
    ended: bool = True


class Follower:
    """Everything in a unit's log from some point on, and then what is new, across rotations.

    `start_at_end` begins behind what is there, `last` begins so that the first answer has at least that many lines (if there are as many),
    `since` (seconds of realtime) near the first line of that time; `at` (inode, offset) in the file that was `current` at some moment, (0, 0) if
    there was none; otherwise it begins with the oldest file.
    A missing directory is an empty log. Raises PermissionError (and other OSError) if the files may not be read.
    """

    def __init__(
        self, directory: str, start_at_end: bool = False, last: int | None = None, since: float = 0.0, at: tuple[int, int] | None = None
    ) -> None:
        self.directory = directory
        self._file: LogFile | None = None
        self._offset = self._number = 0
        self._key = -1  # name of the file read last, to find its successor when it is gone
        self._held: dict[int, tuple[float, bytes]] = {}
        if start_at_end:
            if not self._begin(None, None):
                self._key = max([-1, *rotated(directory)])
        elif last is not None:
            self._begin_last(last)
        elif at is not None:
            self._begin_at(*at)
        elif since:
            wanted = int(since * 1_000_000)
            older = [key for key in rotated(directory) if key <= wanted]
            found = self._begin(None, 0) and self._file is not None and 0 < self._file.begun() <= wanted
            if not found and not (older and self._begin(older[-1], 0)):
                self.close()
                self._key = -1
            if self._file is not None:
                self._seek_time(self._file, wanted)

    def close(self) -> None:
        """Close the files; the follower is of no use afterwards."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- where to begin

    def _begin(self, key: int | None, offset: int | None) -> bool:
        """Open the rotated file `key` (None: the current one) at `offset` (None: its end)."""
        file = open_key(self.directory, key)
        if file is None:
            return False
        self.close()
        self._file = file
        self._offset = file.size() if offset is None else offset
        self._number = max(0, file.bisect(1, self._offset))
        return True

    def _begin_at(self, inode: int, offset: int) -> None:
        for key in [None, *reversed(rotated(self.directory))] if inode else []:
            if self._begin(key, offset) and self._file is not None and self._file.inode == inode:
                return
        self.close()
        if not inode:  # what is rotated is older than that moment, unless the unit was very quick
            self._key = max([-1, *rotated(self.directory)])

    def _seek_time(self, file: LogFile, wanted: int) -> None:
        number = file.bisect(0, wanted - 1)
        if number > 0:
            self._offset = min(file.record(number)[1], file.size())
            self._number = number
        self._find_heads(file)

    def _begin_last(self, lines: int) -> None:
        missing = lines + 1
        for key in [None, *reversed(rotated(self.directory))]:
            if not self._begin(key, 0) or self._file is None:
                continue
            file, at = self._file, self._file.size()
            while at > 0 and missing > 0:
                begin = max(0, at - 65536)
                block = file.pread(at - begin, begin)
                found = block.count(b"\n")
                if found >= missing:
                    newline = len(block)
                    for _ in range(missing):
                        newline = block.rfind(b"\n", 0, newline)
                    self._offset = begin + newline + 1
                    self._number = max(0, file.bisect(1, self._offset))
                    self._find_heads(file)
                missing -= found
                at = begin
            if missing <= 0:
                return

    def _find_heads(self, file: LogFile) -> None:
        """Lines that were begun before the offset, by other streams or in older files."""
        self._held, left = file.heads(self._offset, set(STREAMS))
        before = file.begun() or 1 << 62
        for key in reversed([k for k in rotated(self.directory) if k < before][-OLDER:]):
            other = open_rotated(self.directory, key) if left else None
            if other is None:
                return
            found, left = other.heads(other.size(), left)
            other.close()
            for stream, (when, text) in found.items():
                self._held[stream] = (when, text + self._held.get(stream, (0.0, b""))[1])

    # -- reading

    def read_new(self) -> list[LogLine]:
        """All whole lines since the last call; the beginning of a line waits for its end."""
        return list(self.iter_new())

    def iter_new(self) -> Iterator[LogLine]:
        """As read_new, for much."""
        while True:
            if self._file is None and not self._next():
                return
            yield from self._rest()
            if not self._finished():
                return
            yield from self._rest()  # what came between reading and the rotation
            if not self._next():
                return

    def partial(self) -> list[LogLine]:
        """The lines that are begun and not ended yet."""
        return [LogLine(when, stream, text, False) for stream, (when, text) in sorted(self._held.items())]

    def _finished(self) -> bool:
        """Is the open file no longer the one that is written?"""
        assert self._file is not None
        if self._file.key >= 0:
            return True
        try:
            return os.stat(os.path.join(self.directory, "current")).st_ino != self._file.inode
        except (FileNotFoundError, NotADirectoryError):
            return bool(self._later())

    def _later(self) -> list[int]:
        """Rotated files after the one that is open, or was read last."""
        if self._file is not None:
            self._key = max(self._key, key_of(self.directory, self._file))
        return [key for key in rotated(self.directory) if key > self._key]

    def _next(self) -> bool:
        for _ in range(100):
            later = self._later()
            file = open_key(self.directory, later[0] if later else None)
            if file is not None and (self._file is None or file.key >= 0 or file.inode != self._file.inode):
                self.close()
                self._file, self._offset, self._number = file, 0, 0
                return True
            if file is not None:
                file.close()
            if not later:
                return False  # not there yet; the open one stays
        return False

    def _rest(self) -> Iterator[LogLine]:
        """Lines up to where the open file ends now: a writer may be faster than we are."""
        file = self._file
        assert file is not None
        size = file.size()  # before the index: what has bytes has its record
        if size < self._offset:
            self._offset = self._number = 0  # cut by somebody else
            self._held.clear()
        while True:
            block = file.pread(min(BLOCK, size - self._offset), self._offset)
            if not block:
                return
            base = self._offset
            for begin, end, when, stream in self._segments(file, base, base + len(block)):
                yield from self._feed(when, stream, block[begin - base : end - base])
            self._offset = base + len(block)

    def _segments(self, file: LogFile, begin: int, end: int) -> Iterator[tuple[int, int, float, int]]:
        """Cut [begin, end) by the index: (from, to, time, stream)."""
        when, stream, at = file.mtime, 0, begin
        if file.idx >= 0:
            first = file.record(0)
            if self._number == 0 and first[1] < end:
                when, stream = clock(first[0], first[2]), first[2] & 0xFF if first[1] <= begin else 0
            done = False
            while not done:
                records = file.records(self._number, 1024)
                for micros, offset, kind in records:
                    if offset >= end:
                        done = True
                        break
                    if offset > at:
                        yield at, offset, when, stream
                        at = offset
                    when, stream = clock(micros, kind), kind & 0xFF
                    self._number += 1
                done = done or len(records) < 1024
            # The last one that applies may go on behind `end`: begin with it again.
            self._number = max(0, self._number - 1)
        yield at, end, when, stream

    def _feed(self, when: float, stream: int, data: bytes) -> Iterator[LogLine]:
        pieces = data.split(b"\n")
        last = pieces.pop()
        held = self._held.pop(stream, None)
        if held is not None:
            if pieces:
                yield LogLine(held[0], stream, held[1] + pieces[0])
                pieces = pieces[1:]
            else:
                when, last = held[0], held[1] + last
        for text in pieces:
            yield LogLine(when, stream, text)
        if len(last) > LONGEST:
            yield LogLine(when, stream, last, False)
        elif last:
            self._held[stream] = (when, last)


def tail(directory: str, lines: int) -> list[LogLine]:
    """The last `lines` lines, over rotated files; a line that is not ended yet counts. [] for a missing directory."""
    if lines <= 0:
        return []
    with Follower(directory, last=lines) as follower:
        return (follower.read_new() + follower.partial())[-lines:]


def read(directory: str, since: float = 0.0, until: float = 0.0) -> Iterator[LogLine]:
    """All lines from `since` to `until` (seconds of realtime, 0: no limit), oldest first."""
    with Follower(directory, since=since) as follower:
        for line in follower.iter_new():
            if line.realtime >= since and (not until or line.realtime <= until):
                yield line
        yield from (line for line in follower.partial() if line.realtime >= since and (not until or line.realtime <= until))

"""Reads what the logger wrote: the last lines, everything since a time, or what is new. No daemon is needed, only the files.

LOG/UNIT/current and rotated @START.log are raw output; the .idx beside each holds 24-byte records (realtime in µs, offset, stream).
A record reaches to the next one's offset. Lines are put together per stream (0 stdout, 1 stderr, 2 unitd's own notes), across records
and files. A line's time is that of the record it begins in.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

RECORD = struct.Struct("<QQQ")
BLOCK = 256 * 1024
LONGEST = 1 << 20  # a longer line comes in pieces
STREAMS = frozenset((0, 1, 2))
LOOK_BACK = 1000  # records to search for the beginning of a line


class LogLine(NamedTuple):
    """One line without its newline; `realtime` in seconds, `stream` 0 stdout, 1 stderr, 2 unitd."""

    realtime: float
    stream: int
    text: bytes


def clock(micros: int, kind: int) -> float:
    """What the clock said, in seconds, from a record's time and stream."""
    return (micros - (kind >> 8)) / 1e6


class _File:
    """One log file and its index, open."""

    def __init__(self, directory: str, name: str) -> None:
        self.fd = os.open(os.path.join(directory, name), os.O_RDONLY | os.O_CLOEXEC)
        self.idx = -1
        try:
            stem = name.removesuffix(".log")
            self.idx = os.open(os.path.join(directory, stem + ".idx"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            pass  # lines without an index have the file's time
        found = os.fstat(self.fd)
        self.inode = found.st_ino
        self.mtime = found.st_mtime

    def close(self) -> None:
        for fd in (self.fd, self.idx):
            if fd >= 0:
                os.close(fd)
        self.fd = self.idx = -1

    def size(self) -> int:
        return os.fstat(self.fd).st_size

    def count(self) -> int:
        return os.fstat(self.idx).st_size // RECORD.size if self.idx >= 0 else 0

    def record(self, number: int) -> tuple[int, int, int]:
        """(µs, offset, stream) of a record; a record that is not there any more is one without end."""
        data = os.pread(self.idx, RECORD.size, number * RECORD.size)
        return RECORD.unpack(data) if len(data) == RECORD.size else (0, 1 << 62, 0)

    def bisect(self, column: int, value: int) -> int:
        """The last record whose time (0) or offset (1) is at most `value`; -1 if there is none."""
        low, high = 0, self.count()
        while low < high:
            middle = (low + high) // 2
            if self.record(middle)[column] <= value:
                low = middle + 1
            else:
                high = middle
        return low - 1

    def begun(self) -> int:
        """The time of the first record in µs, 0 if unknown."""
        return self.record(0)[0] if self.count() else 0

    def heads(self, offset: int, streams: set[int]) -> tuple[dict[int, tuple[float, bytes]], set[int]]:
        """What each of `streams` has begun and not ended before `offset`, and the streams whose line may begin in an older file."""
        found: dict[int, tuple[float, bytes]] = {}
        last = self.bisect(1, offset - 1) if offset else -1
        first = max(0, last + 1 - LOOK_BACK)
        data = os.pread(self.idx, (last + 1 - first) * RECORD.size, first * RECORD.size) if last >= 0 else b""
        left, end = set(streams), offset
        for micros, begin, kind in reversed(list(RECORD.iter_unpack(data[: len(data) - len(data) % RECORD.size]))):
            stream = kind & 0xFF
            if stream in left and begin < end:
                text = os.pread(self.fd, min(end - begin, LONGEST), max(begin, end - LONGEST))
                _, newline, rest = text.rpartition(b"\n")
                if rest:
                    found[stream] = (clock(micros, kind), rest + found.get(stream, (0.0, b""))[1])
                if newline or len(text) == LONGEST:
                    left.discard(stream)
            end = min(end, begin)
        return found, left if first == 0 else set()


def _rotated(directory: str) -> list[int]:
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(int(n[1:-4]) for n in names if n.startswith("@") and n.endswith(".log") and n[1:-4].isdigit())


def _open(directory: str, name: str) -> _File | None:
    """None if there is no such file. `current` is opened so that file and index belong together."""
    for _ in range(10):
        try:
            file = _File(directory, name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if name != "current":
            return file
        try:
            if os.stat(os.path.join(directory, name)).st_ino == file.inode:
                return file
        except FileNotFoundError:
            pass
        file.close()  # rotated just now
    return None


class Follower:
    """Everything in a unit's log from some point on, and then what is new, across rotations.

    `start_at_end` begins behind what is there, `last` begins so that the first answer has at least that many lines (if there are as many),
    `since` (seconds of realtime) near the first line of that time; otherwise it begins with the oldest file.
    A missing directory is an empty log. Raises PermissionError (and other OSError) if the files may not be read.
    """

    def __init__(self, directory: str, start_at_end: bool = False, last: int | None = None, since: float = 0.0) -> None:
        self.directory = directory
        self._file: _File | None = None
        self._offset = self._number = 0
        self._begun = -1  # start of the file read last, to find its successor when it is gone
        self._held: dict[int, tuple[float, bytes]] = {}
        if start_at_end:
            if not self._begin("current", None):
                self._begun = max([-1, *_rotated(directory)])
        elif last is not None:
            self._begin_last(last)
        elif since:
            wanted = int(since * 1_000_000)
            older = [t for t in _rotated(directory) if t <= wanted]
            if not (self._begin("current", 0) and 0 < self._begun <= wanted) and not (older and self._begin(f"@{older[-1]}.log", 0)):
                self.close()
                self._begun = -1
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

    def _begin(self, name: str, offset: int | None) -> bool:
        file = _open(self.directory, name)
        if file is None:
            return False
        self.close()
        self._file = file
        self._begun = file.begun()
        self._offset = file.size() if offset is None else offset
        self._number = max(0, file.bisect(1, self._offset))
        return True

    def _seek_time(self, file: _File, wanted: int) -> None:
        number = file.bisect(0, wanted - 1)
        if number > 0:
            self._offset = min(file.record(number)[1], file.size())
            self._number = number
        self._find_heads(file)

    def _begin_last(self, lines: int) -> None:
        names = [f"@{t}.log" for t in _rotated(self.directory)]
        missing = lines + 1
        for name in ["current", *reversed(names)]:
            if not self._begin(name, 0) or self._file is None:
                continue
            file, at = self._file, self._file.size()
            while at > 0 and missing > 0:
                begin = max(0, at - 65536)
                block = os.pread(file.fd, at - begin, begin)
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

    def _is_rotated(self, file: _File) -> bool:
        try:
            return os.stat(os.path.join(self.directory, "current")).st_ino != file.inode
        except OSError:
            return True

    def _find_heads(self, file: _File) -> None:
        """Lines that were begun before the offset, by other streams or in older files."""
        self._held, left = file.heads(self._offset, set(STREAMS))
        behind = not self._is_rotated(file)
        for start in reversed(_rotated(self.directory)):
            other = _open(self.directory, f"@{start}.log") if left else None
            if other is None:
                return
            found: dict[int, tuple[float, bytes]] = {}
            if behind:
                found, left = other.heads(other.size(), left)
            behind = behind or other.inode == file.inode
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
        return [LogLine(when, stream, text) for stream, (when, text) in sorted(self._held.items())]

    def _finished(self) -> bool:
        """Is the open file no longer the one that is written?"""
        assert self._file is not None
        try:
            return os.stat(os.path.join(self.directory, "current")).st_ino != self._file.inode
        except (FileNotFoundError, NotADirectoryError):
            return bool(_rotated(self.directory)) and self._successor() != ""

    def _successor(self) -> str:
        """The name of the file after the one that is open (or was read last)."""
        names = _rotated(self.directory)
        if self._file is not None:
            for place, start in enumerate(names):
                try:
                    if os.stat(os.path.join(self.directory, f"@{start}.log")).st_ino == self._file.inode:
                        return f"@{names[place + 1]}.log" if place + 1 < len(names) else "current"
                except FileNotFoundError:
                    continue
        # Its own name is gone: the first file that began later.
        later = [t for t in names if t > self._begun]
        return f"@{later[0]}.log" if later else "current"

    def _next(self) -> bool:
        for _ in range(100):
            name = self._successor()
            before = self._file.inode if self._file is not None else -1
            file = _open(self.directory, name)
            if file is not None and file.inode != before:
                self.close()
                self._file, self._offset, self._number = file, 0, 0
                self._begun = int(name[1:-4]) if name != "current" else file.begun() or self._begun
                return True
            if file is not None:
                file.close()
            if name == "current":
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
            block = os.pread(file.fd, min(BLOCK, size - self._offset), self._offset)
            if not block:
                return
            base = self._offset
            for begin, end, when, stream in self._segments(file, base, base + len(block)):
                yield from self._feed(when, stream, block[begin - base : end - base])
            self._offset = base + len(block)

    def _segments(self, file: _File, begin: int, end: int) -> Iterator[tuple[int, int, float, int]]:
        """Cut [begin, end) by the index: (from, to, time, stream)."""
        when, stream, at = file.mtime, 0, begin
        if file.idx >= 0:
            first = file.record(0)
            if self._number == 0 and first[1] < end:
                when, stream = clock(first[0], first[2]), first[2] & 0xFF if first[1] <= begin else 0
            done = False
            while not done:
                data = os.pread(file.idx, RECORD.size * 1024, self._number * RECORD.size)
                records = list(RECORD.iter_unpack(data[: len(data) - len(data) % RECORD.size]))
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
            yield LogLine(when, stream, last)
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

"""Reading captured output: the last lines, and following across rotation. Files only; the bus says when to look."""

from __future__ import annotations

import bisect
import os
import struct
from dataclasses import dataclass

RECORD = struct.Struct("<QQQ")
BLOCK = 65536


@dataclass(frozen=True)
class LogLine:
    """One line: when it was captured (seconds, CLOCK_REALTIME), stream (0 output, 2 unitd's own), bytes without the newline."""

    realtime: float
    stream: int
    text: bytes


def files(directory: str) -> list[str]:
    """The unit's log files, oldest first."""
    try:
        entries = os.listdir(directory)
    except OSError:
        return []
    old = sorted((e for e in entries if e.startswith("@") and e.endswith(".log")), key=lambda e: (len(e), e))
    return [os.path.join(directory, e) for e in [*old, *(["current"] if "current" in entries else [])]]


def _index(path: str) -> tuple[list[int], list[tuple[int, int]]]:
    try:
        with open(path + ".idx", "rb") as file:
            data = file.read()
    except OSError:
        return [], []
    offsets, facts = [], []
    for i in range(0, len(data) - RECORD.size + 1, RECORD.size):
        at, offset, stream = RECORD.unpack_from(data, i)
        offsets.append(offset)
        facts.append((at, stream))
    return offsets, facts


def _lines(path: str, start: int, data: bytes) -> list[LogLine]:
    offsets, facts = _index(path)
    out = []
    position = start
    for text in data.split(b"\n"):
        if position - start >= len(data):
            break
        i = bisect.bisect_right(offsets, position) - 1
        at, stream = facts[i] if i >= 0 else (0, 0)
        out.append(LogLine(at / 1e6, stream, text))
        position += len(text) + 1
    return out


def tail(directory: str, n: int) -> list[LogLine]:
    """The last `n` lines over all files; an unfinished last line counts."""
    out: list[LogLine] = []
    for path in reversed(files(directory)):
        if len(out) >= n:
            break
        out = _tail_file(path, n - len(out)) + out
    return out


def _tail_file(path: str, n: int) -> list[LogLine]:
    try:
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            start, data = end, b""
            while start > 0 and data.rstrip(b"\n").count(b"\n") < n:
                size = min(BLOCK, start)
                start -= size
                file.seek(start)
                data = file.read(size) + data
    except OSError:
        return []
    body = data[:-1] if data.endswith(b"\n") else data
    keep = body.split(b"\n")[-n:] if n > 0 else []
    skipped = len(body) - len(b"\n".join(keep))
    return _lines(path, start + skipped, data[skipped:])


class Follower:
    """New lines of a unit, each once, across rotation. `read_new` never waits."""

    def __init__(self, directory: str, start_at_end: bool = False) -> None:
        self.directory = directory
        self.inode = 0
        self.offset = 0
        self.path = ""
        existing = files(directory)
        if existing and start_at_end:
            self.path = existing[-1]
            try:
                status = os.stat(self.path)
                self.inode, self.offset = status.st_ino, status.st_size
            except OSError:
                self.inode = 0

    def read_new(self) -> list[LogLine]:
        """Whole lines that came since the last call."""
        out: list[LogLine] = []
        paths = files(self.directory)
        inodes = []
        for path in paths:
            try:
                inodes.append(os.stat(path).st_ino)
            except OSError:
                inodes.append(0)
        first = inodes.index(self.inode) if self.inode in inodes else 0
        for i, path in enumerate(paths[first:], first):
            if inodes[i] != self.inode:
                self.inode, self.offset = inodes[i], 0
            out += self._from(path, last=i == len(paths) - 1)
        return out

    def _from(self, path: str, last: bool) -> list[LogLine]:
        try:
            with open(path, "rb") as file:
                if os.fstat(file.fileno()).st_size < self.offset:
                    self.offset = 0
                file.seek(self.offset)
                data = file.read()
        except OSError:
            return []
        if last:  # an unfinished line waits for its end
            data = data[: data.rfind(b"\n") + 1]
        lines = _lines(path, self.offset, data)
        self.offset += len(data)
        return lines

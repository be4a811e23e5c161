"""One file of a unit's log, open for reading: as it is written, rotated, or compressed. `lognames` has the layout."""

from __future__ import annotations

import os
import struct

from unitd.bus.lognames import BLOCK, RECORD, rotated, suffixes

LONGEST = 1 << 20  # a longer line comes in pieces
LOOK_BACK = 1000  # records to search for the beginning of a line


def clock(micros: int, kind: int) -> float:
    """What the clock said, in seconds, from a record's time and stream."""
    return (micros - (kind >> 8)) / 1e6


class LogFile:
    """One log file and its index, open."""

    def __init__(self, directory: str, name: str) -> None:
        """`name` is "current" or "@TIME.log". Raises OSError."""
        self.key = -1 if name == "current" else int(name[1:].partition(".")[0])
        self.path = os.path.join(directory, name)
        self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self.idx = -1
        try:
            stem = name if self.key < 0 else f"@{self.key}"
            self.idx = os.open(os.path.join(directory, stem + ".idx"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            pass  # lines without an index have the file's time
        found = os.fstat(self.fd)
        self.inode, self.mtime = found.st_ino, found.st_mtime

    def close(self) -> None:
        """Close both."""
        for fd in (self.fd, self.idx):
            if fd >= 0:
                os.close(fd)
        self.fd = self.idx = -1

    def size(self) -> int:
        """Bytes of text."""
        return os.fstat(self.fd).st_size

    def pread(self, count: int, offset: int) -> bytes:
        """Up to `count` bytes of text."""
        return os.pread(self.fd, count, offset)

    # -- the index

    def count(self) -> int:
        """Records."""
        return os.fstat(self.idx).st_size // RECORD.size if self.idx >= 0 else 0

    def record(self, number: int) -> tuple[int, int, int]:
        """(µs, offset, stream) of a record; a record that is not there any more is one without end."""
        data = os.pread(self.idx, RECORD.size, number * RECORD.size)
        return RECORD.unpack(data) if len(data) == RECORD.size else (0, 1 << 62, 0)

    def records(self, first: int, count: int) -> list[tuple[int, int, int]]:
        """Some records from `first` on, fewer at the end."""
        data = os.pread(self.idx, RECORD.size * count, first * RECORD.size) if self.idx >= 0 else b""
        return list(RECORD.iter_unpack(data[: len(data) - len(data) % RECORD.size]))

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
        """The time of the first record in µs: the name it has or will have when it is rotated. 0 if unknown."""
        return self.key if self.key >= 0 else self.record(0)[0] if self.count() else 0

    def heads(self, offset: int, streams: set[int]) -> tuple[dict[int, tuple[float, bytes]], set[int]]:
        """What each of `streams` has begun and not ended before `offset`, and the streams whose line may begin in an older file."""
        found: dict[int, tuple[float, bytes]] = {}
        last = self.bisect(1, offset - 1) if offset else -1
        first = max(0, last + 1 - LOOK_BACK)
        left, end = set(streams), offset
        for micros, begin, kind in reversed(self.records(first, last + 1 - first) if last >= 0 else []):
            stream = kind & 0xFF
            if stream in left and begin < end:
                text = self.pread(min(end - begin, LONGEST), max(begin, end - LONGEST))
                _, newline, rest = text.rpartition(b"\n")
                if rest:
                    found[stream] = (clock(micros, kind), rest + found.get(stream, (0.0, b""))[1])
                if newline or len(text) == LONGEST:
                    left.discard(stream)
            end = min(end, begin)
        return found, left if first == 0 else set()


class PackedFile(LogFile):
    """A compressed one. What cannot be unpacked is a sentence about that in its place."""

    def __init__(self, directory: str, name: str) -> None:
        super().__init__(directory, name)
        self.blocks: list[tuple[int, int]] = []
        self._cache: tuple[int, bytes] = (-1, b"")
        try:
            with open(os.path.join(directory, f"@{self.key}.map"), "rb") as file:
                data = file.read()
            self.blocks = list(BLOCK.iter_unpack(data[: len(data) - len(data) % BLOCK.size]))
        except OSError:
            pass
        if len(self.blocks) < 2 or self.blocks[-1][1] != os.fstat(self.fd).st_size:
            whole = self._unpack(os.pread(self.fd, 1 << 62 >> 32, 0), -1)
            self.blocks, self._cache = [(0, 0), (len(whole), 0)], (0, whole)

    def size(self) -> int:
        """Bytes of text."""
        return self.blocks[-1][0]

    def pread(self, count: int, offset: int) -> bytes:
        """Up to `count` bytes of text."""
        low, high = 0, len(self.blocks) - 1
        while low < high:
            middle = (low + high) // 2
            if self.blocks[middle + 1][0] <= offset:
                low = middle + 1
            else:
                high = middle
        parts = []
        while count > 0 and low < len(self.blocks) - 1:
            piece = self._block(low)[offset - self.blocks[low][0] :][:count]
            if not piece:
                break
            parts.append(piece)
            count, offset, low = count - len(piece), offset + len(piece), low + 1
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        if self._cache[0] != number:
            (begin, at), (end, after) = self.blocks[number : number + 2]
            self._cache = number, self._unpack(os.pread(self.fd, after - at, at), end - begin)
        return self._cache[1]

    def _unpack(self, data: bytes, length: int) -> bytes:
        """One block; `length` -1 takes all there is."""
        try:
            text = _zstd(data) if self.path.endswith(".zst") else _gzip(data)
            if length < 0 or len(text) == length:
                return text
            reason = "it is damaged"
        except (ImportError, EOFError, ValueError, OSError, struct.error) as error:
            reason = str(error)
        notice = f"unitd: cannot read a part of {self.path}, because {reason}\n".encode("utf-8", "backslashreplace")
        return notice if length < 0 else notice[:length].ljust(length - 1, b" ") + b"\n" if length > len(notice) else notice[:length]


def _zstd(data: bytes) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise ImportError("the Python package zstandard is not installed") from None
    try:
        parts, reader = [], zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
        while piece := reader.read(1 << 20):
            parts.append(piece)
        return b"".join(parts)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None


def _gzip(data: bytes) -> bytes:
    import gzip
    import zlib

    try:
        return gzip.decompress(data)
    except zlib.error as error:
        raise ValueError(str(error)) from None


def open_rotated(directory: str, key: int) -> LogFile | None:
    """None if it is gone. It may be compressed at this moment: then under its other name."""
    for _ in range(3):
        suffix = suffixes(directory).get(key)
        if suffix is None:
            return None
        try:
            return (LogFile if suffix == ".log" else PackedFile)(directory, f"@{key}{suffix}")
        except FileNotFoundError:
            continue
    return None


def open_current(directory: str) -> LogFile | None:
    """None if there is no such file. It is opened so that file and index belong together."""
    for _ in range(10):
        try:
            file = LogFile(directory, "current")
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            if os.stat(file.path).st_ino == file.inode:
                return file
        except FileNotFoundError:
            pass
        file.close()  # rotated just now
    return None


def open_key(directory: str, key: int | None) -> LogFile | None:
    """A rotated file by its name, or with None the current one."""
    return open_current(directory) if key is None else open_rotated(directory, key)


def key_of(directory: str, file: LogFile) -> int:
    """The name a file has now that it is rotated. One that was compressed or removed since is known by its first record. -1 if unknown."""
    if file.key >= 0:
        return file.key
    for key in reversed(rotated(directory)):
        try:
            if os.stat(os.path.join(directory, f"@{key}.log")).st_ino == file.inode:
                return key
        except FileNotFoundError:
            continue
    return file.begun() or -1

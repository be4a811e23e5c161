"""Compresses the rotated files of one log directory: a child of the logger, at idle priority.

    python -I logpress.py DIR zstd|gzip|yes

Text is cut into blocks of 1 MiB, each a frame (zstd) or member (gzip) of its own, so that a reader unpacks only what it needs; @TIME.map
has their offsets. The result is an ordinary .zst or .gz file. It takes its final name when it is whole, then the original goes: killed at
any moment, everything is there once, and the next run finishes.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from collections.abc import Callable

PIECE = 1 << 20
_BLOCK = struct.Struct("<QQ")


def packer(how: str) -> tuple[str, Callable[[bytes], bytes]]:
    """(suffix, function that makes one frame)."""
    if how != "gzip":
        try:
            import zstandard

            return ".zst", zstandard.ZstdCompressor(level=3).compress
        except ImportError:
            if how == "zstd":
                print("unitd: LogCompress=zstd, but the Python package zstandard is missing; gzip is used", file=sys.stderr)
    import gzip

    return ".gz", lambda data: gzip.compress(data, 6, mtime=0)


def press(directory: str, how: str) -> int:
    """Compress what is rotated and not compressed yet; how many files. Raises OSError."""
    suffix, pack = packer(how)
    done = 0
    names = sorted(n for n in os.listdir(directory) if n.startswith("@") and n.endswith(".log"))
    for name in names:
        stem = os.path.join(directory, name)
        if any(os.path.exists(stem + other) for other in (".zst", ".gz")):
            os.unlink(stem)  # killed before it could be
            continue
        done += _one(stem, stem + suffix, pack)
    return done


def _one(source: str, target: str, pack: Callable[[bytes], bytes]) -> bool:
    temporary = source.removesuffix(".log") + ".tmp"
    out = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(out)
        return False  # another one is at it
    try:
        with open(source, "rb", buffering=0) as file, open(out, "wb", buffering=0, closefd=False) as packed:
            packed.truncate(0)
            found = os.fstat(file.fileno())
            places, at, size = [], 0, 0
            while data := file.read(PIECE):
                places.append(_BLOCK.pack(at, size))
                frame = pack(data)
                packed.write(frame)
                at, size = at + len(data), size + len(frame)
            places.append(_BLOCK.pack(at, size))
            os.fchmod(out, found.st_mode & 0o777)
            if os.geteuid() == 0:
                os.fchown(out, found.st_uid, found.st_gid)
            os.utime(out, ns=(found.st_atime_ns, found.st_mtime_ns))
            os.fsync(out)
        places_path = source.removesuffix(".log") + ".map"
        with open(places_path, "wb") as places_file:
            os.fchmod(places_file.fileno(), found.st_mode & 0o777)
            if os.geteuid() == 0:
                os.fchown(places_file.fileno(), found.st_uid, found.st_gid)
            places_file.write(b"".join(places))
        if not os.path.exists(source):  # removed by rotation or by hand meanwhile
            os.unlink(temporary)
            os.unlink(places_path)
            return False
        os.rename(temporary, target)
        os.unlink(source)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    finally:
        os.close(out)
    return True


def main(directory: str, how: str) -> int:
    """Exit code: 1 if it could not be done; the files are then what they were."""
    os.nice(19)
    try:
        press(directory, how)
    except OSError as error:
        print(f"unitd: cannot compress the log in {directory}, because {error.filename or ''}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))

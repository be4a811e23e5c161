"""What is in the directory of a unit's log: names and the form of the index. The logger writes it, readers read it.

    current        raw output as it came
    current.idx    records: RECORD (time in µs, offset, stream), each reaching to the next one's offset or the end of the file
    @TIME.log      a rotated file, TIME that of its first record; @TIME.idx its index
    @TIME.log.zst  (or .gz) the same compressed in blocks, each a frame of its own; @TIME.map says where they are (BLOCK records)
    invocations    "TIME ID" lines: when which invocation of the unit began
    identifier     SyslogIdentifier=, if there is one

The time of a record never falls. When the clock was set back, it is ahead of the clock by as many µs as stand in the stream field above
the lowest 8 bits. Standard library only, and little of it: the logger imports this at every start.
"""

from __future__ import annotations

import os
import struct

RECORD = struct.Struct("<QQQ")
BLOCK = struct.Struct("<QQ")  # offset in the text, offset in the compressed file
OUT, ERR, MANAGER = 0, 1, 2
SUFFIXES = (".log", ".log.zst", ".log.gz")


def split(name: str) -> tuple[int, str]:
    """(TIME, suffix) of a rotated file's name; (-1, "") for any other."""
    if name.startswith("@"):
        digits, dot, suffix = name[1:].partition(".")
        if digits.isdigit() and digits.isascii() and dot + suffix in SUFFIXES:
            return int(digits), dot + suffix
    return -1, ""


def rotated(directory: str) -> list[int]:
    """Names (as numbers) of the rotated files, oldest first; [] for a missing directory. Raises other OSErrors."""
    return sorted(suffixes(directory))


def suffixes(directory: str) -> dict[int, str]:
    """Rotated files and how each is stored; one that is being compressed counts as what it was."""
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found: dict[int, str] = {}
    for name in names:
        key, suffix = split(name)
        if key >= 0 and (key not in found or suffix == ".log"):
            found[key] = suffix
    return found


def parts(key: int) -> list[str]:
    """All names that belong to a rotated file."""
    return [f"@{key}{suffix}" for suffix in (*SUFFIXES, ".idx", ".map", ".tmp")]

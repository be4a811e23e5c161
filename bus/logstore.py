"""The directory of all logs: which units have one, what it takes, when invocations began, and what may be removed."""

from __future__ import annotations

import fnmatch
import os

from unitd.bus.lognames import parts, rotated, suffixes

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Name of the link in the runtime directory that says where the logs are, also while no manager runs.
LINK = "log"


def usual_log_dir(uid: int, home: str, state_home: str = "") -> str:
    """Where logs are when nobody says: /var/log/unitd, or below ~/.local/state."""
    return "/var/log/unitd" if uid == 0 else os.path.join(state_home or os.path.join(home, ".local/state"), "unitd/log")


def find_log_dir(runtime_dir: str, usual: str) -> str:
    """The log directory of the manager with this runtime directory; `usual` if it has never run since the machine started."""
    linked = os.path.join(runtime_dir, LINK)
    return os.path.realpath(linked) if os.path.isdir(linked) else usual


def link_log_dir(runtime_dir: str, log_dir: str) -> None:
    """Have `find_log_dir` find it. Raises OSError."""
    path = os.path.join(runtime_dir, LINK)
    if os.path.realpath(path) == os.path.realpath(log_dir):
        return
    if os.path.islink(path):
        os.unlink(path)
    if not os.path.lexists(path):
        os.symlink(log_dir, path)


def units(log_dir: str, patterns: Sequence[str] = ()) -> list[str]:
    """Units that have a log, sorted; with `patterns` those that match any."""
    try:
        names = sorted(entry.name for entry in os.scandir(log_dir) if "." in entry.name and entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if not patterns or matches(name, patterns)]


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Does a unit's name match any of the globs, as written or with .service behind?"""
    return any(fnmatch.fnmatchcase(name, p) or fnmatch.fnmatchcase(name, p + ".service") for p in patterns)


def identifier(directory: str) -> str:
    """SyslogIdentifier= of a unit, empty if it has none."""
    try:
        with open(os.path.join(directory, "identifier"), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def invocations(directory: str) -> list[tuple[int, str]]:
    """(µs, ID) of the invocations that printed something, oldest first."""
    try:
        with open(os.path.join(directory, "invocations"), encoding="ascii", errors="replace") as file:
            rows = [line.split() for line in file]
    except OSError:
        return []
    found: dict[str, int] = {}
    for row in rows:
        if len(row) == 2 and row[0].isdigit():
            found.setdefault(row[1], int(row[0]))
    return [(begun, name) for name, begun in found.items()]


def find_invocation(directory: str, wanted: str) -> tuple[float, float] | None:
    """(first, last) seconds of one invocation: an ID or its beginning, or 0 for the latest, -1 for the one before. None: no such."""
    known = invocations(directory)
    try:
        place = len(known) - 1 + int(wanted) if len(wanted) < 6 else -1
    except ValueError:
        place = -1
    if not 0 <= place < len(known):
        place = next((n for n, (_, name) in enumerate(known) if len(wanted) >= 6 and name.startswith(wanted.lower())), -1)
    if place < 0:
        return None
    end = known[place + 1][0] / 1e6 - 1e-6 if place + 1 < len(known) else 0.0
    return known[place][0] / 1e6, end


# -- space


class Archive:
    """A rotated file."""

    def __init__(self, unit: str, directory: str, key: int, size: int, last: float) -> None:
        self.unit, self.directory, self.key, self.size, self.last = unit, directory, key, size, last

    def remove(self) -> None:
        """Delete it. Raises OSError, but not for what is gone already."""
        for name in parts(self.key):
            try:
                os.unlink(os.path.join(self.directory, name))
            except FileNotFoundError:
                continue


def _space(found: os.stat_result) -> int:
    """Bytes that a file takes, in whole blocks; what the file system says is late on some."""
    return -(-found.st_size // 4096) * 4096


def usage(log_dir: str, wanted: Sequence[str]) -> dict[str, int]:
    """Bytes on disk of each unit's log. Raises OSError."""
    found = {}
    for unit in wanted:
        total = 0
        for entry in os.scandir(os.path.join(log_dir, unit)):
            try:
                total += _space(entry.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue
        found[unit] = total
    return found


def archives(log_dir: str, wanted: Sequence[str]) -> list[Archive]:
    """The rotated files of units, oldest first. Raises OSError."""
    found = []
    for unit in wanted:
        directory = os.path.join(log_dir, unit)
        keys = rotated(directory)
        stored = suffixes(directory)
        for place, key in enumerate(keys):
            following = keys[place + 1] if place + 1 < len(keys) else 0
            size, last = 0, 0.0
            for name in (f"@{key}{stored.get(key, '.log')}", f"@{key}.idx", f"@{key}.map"):
                try:
                    found_stat = os.stat(os.path.join(directory, name), follow_symlinks=False)
                except FileNotFoundError:
                    continue
                size += _space(found_stat)
                last = last or found_stat.st_mtime
            found.append(Archive(unit, directory, key, size, following / 1e6 or last))
    return sorted(found, key=lambda a: (a.last, a.key))


def too_much(found: Sequence[Archive], total: int, limit: int) -> list[Archive]:
    """The oldest files that have to go so that `total` bytes become at most `limit`, as far as rotated files can do that."""
    gone = []
    for archive in found:
        if total <= limit:
            break
        gone.append(archive)
        total -= archive.size
    return gone


def too_old(found: Sequence[Archive], before: float) -> list[Archive]:
    """The files whose last line is from before a time (seconds of realtime)."""
    return [archive for archive in found if archive.last < before]

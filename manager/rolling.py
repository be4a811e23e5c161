"""When a log file has to make way, which old ones have to go, how long to wait for more, and which lines are too many. Pure.

The logger imports this at every start, so it imports nothing itself. Times are µs of CLOCK_REALTIME unless said otherwise.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

COALESCE = 0.002  # seconds: a writer of single lines would otherwise wake the logger for each of them
SECOND = 1_000_000


class Limits:
    """What one unit may keep; 0 means without limit. `max_files` counts the current file, `max_age` and `rate_interval` are seconds."""

    __slots__ = ("compress", "max_age", "max_files", "max_size", "rate_burst", "rate_interval")

    def __init__(
        self, max_size: int = 16 << 20, max_files: int = 5, max_age: float = 0.0, compress: str = "no", rate_interval: float = 0.0, rate_burst: int = 0
    ) -> None:
        self.max_size, self.max_files, self.max_age, self.compress = max_size, max_files, max_age, compress
        self.rate_interval, self.rate_burst = rate_interval, rate_burst


def room(size: int, limits: Limits) -> int:
    """How many more bytes the current file takes before it is due; at least a page, so that tiny limits move at all."""
    return max(4096, limits.max_size - size) if limits.max_size else 1 << 62


def due(size: int, begun: int, now: int, limits: Limits) -> bool:
    """Does a file of `size` bytes whose first line is from `begun` have to be rotated?"""
    if size == 0:
        return False
    if limits.max_size and size >= limits.max_size:
        return True
    return bool(limits.max_age) and now - begun >= limits.max_age * SECOND


def doomed(files: Sequence[tuple[int, int]], now: int, limits: Limits) -> list[int]:
    """Which rotated files go. `files` are (name, time of the last line), oldest first."""
    spare = len(files) - max(0, limits.max_files - 1) if limits.max_files else 0
    gone = [name for name, _ in files[: max(0, spare)]]
    if limits.max_age:
        gone += [name for name, last in files[max(0, spare) :] if now - last >= limits.max_age * SECOND]
    return gone


def next_key(clock: int, last: int, strictly: bool) -> int:
    """The time under which a record is filed. It never falls: when the clock is set back, order is that of writing.

    `strictly` for the first record of a file, whose time becomes the file's name.
    """
    return max(clock, last + 1 if strictly else last)


def pause(waiting: int, capacity: int, last: int) -> float:
    """Seconds to wait for more before `waiting` bytes are moved out of a pipe, of which the turn before moved `last` bytes.

    A flood fills the pipe while we look: there waiting would only make the writer stop.
    """
    return 0.0 if waiting * 4 >= capacity or last * 2 >= capacity else COALESCE


class Meter:
    """LogRateLimitIntervalSec= and LogRateLimitBurst= (systemd.exec(5)): so many lines in any interval, what is more is counted.

    A line counts where it begins; its rest goes the way of its beginning. `now` is monotonic seconds.
    """

    def __init__(self, interval: float, burst: int) -> None:
        self.interval, self.burst = interval, burst
        self.begun = 0.0
        self.used = 0
        self.suppressed = 0
        self.inside: dict[int, bool] = {}  # stream -> is the line that is open there kept?

    def turn(self, now: float) -> int:
        """Begin a new interval if it is time; how many suppressed lines to report."""
        if now - self.begun < self.interval and self.begun:
            return 0
        self.begun, self.used = now, 0
        told, self.suppressed = self.suppressed, 0
        return told

    def ends(self) -> float:
        """When the interval is over, 0 if nothing waits for that."""
        return self.begun + self.interval if self.suppressed else 0.0

    def cut(self, stream: int, data: bytes) -> list[tuple[bool, int]]:
        """Divide `data` into runs (keep it?, length)."""
        runs: list[tuple[bool, int]] = []
        at = 0

        def run(keep: bool, end: int) -> None:
            if runs and runs[-1][0] == keep:
                runs[-1] = keep, runs[-1][1] + end - at
            elif end > at:
                runs.append((keep, end - at))

        if stream in self.inside and data:
            end = data.find(b"\n") + 1
            run(self.inside[stream], end or len(data))
            if not end:
                return runs
            del self.inside[stream]
            at = end
        while at < len(data) and self.used < self.burst:
            end = data.find(b"\n", at) + 1
            self.used += 1
            run(True, end or len(data))
            at = end or len(data)
            if not end:
                self.inside[stream] = True
        if at < len(data):
            rest = data.count(b"\n", at)
            open_line = not data.endswith(b"\n")
            self.suppressed += rest + open_line
            run(False, len(data))
            if open_line:
                self.inside[stream] = False
        return runs

"""Deadlines by the clock on the wall, through timerfd_create(2): one timer for the next of them, which also tells when the clock was set.

The kernel does the waiting: with nothing to wait for the timer is off.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
from collections.abc import Callable

from unitd.manager import inotify
from unitd.units.localzone import LOCALTIME

_CLOCK_REALTIME = 0
_TFD_TIMER_ABSTIME, _TFD_TIMER_CANCEL_ON_SET = 1, 2
_SECOND = 1_000_000
#: With nobody waiting for a time of its own the timer stands here, to be told of a clock that is set.
_FAR = 2**62 // 1_000_000_000
_libc = ctypes.CDLL(None, use_errno=True)


class RealClock:
    """Calls `elapsed(key, generation)` when the clock shows a time, `clock_set()` when it is set, `zone_set()` when the local zone changes."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, elapsed: Callable[[str, int], None], clock_set: Callable[[], None], zone_set: Callable[[], None]
    ) -> None:
        self.loop, self.elapsed, self.clock_set, self.zone_set = loop, elapsed, clock_set, zone_set
        self._waiting: dict[str, tuple[int, int]] = {}
        self._fd = -1
        self._end_zone: Callable[[], None] | None = None

    def set(self, key: str, at: int, generation: int) -> None:
        """Wait for `at` (microseconds since 1970; 0: only for a clock that is set) in place of what `key` has waited for."""
        self._waiting[key] = (at, generation)
        self._arm()

    def drop(self, key: str) -> None:
        """`key` waits no more."""
        if self._waiting.pop(key, None) is not None:
            self._arm()

    def close(self) -> None:
        """Wait for nothing."""
        self._waiting.clear()
        self._arm()

    def _arm(self) -> None:
        if not self._waiting:
            if self._fd >= 0:
                self.loop.remove_reader(self._fd)
                os.close(self._fd)
                self._fd = -1
            if self._end_zone is not None:
                self._end_zone()
                self._end_zone = None
            return
        if self._fd < 0:
            self._fd = _libc.timerfd_create(_CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
            if self._fd < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "timerfd_create")
            self.loop.add_reader(self._fd, self._ready)
            # The link is replaced as a whole; whatever happens in /etc under its name counts.
            self._end_zone = inotify.watch(self.loop, os.path.dirname(LOCALTIME), self._etc_changed, os.path.basename(LOCALTIME))
        times = [at for at, _ in self._waiting.values() if at]
        seconds, usec = divmod(min(times), _SECOND) if times else (_FAR, 0)
        # All zeros would switch the timer off: a time before 1970 is now.
        spec = struct.pack("@4q", 0, 0, max(0, seconds), max(1, usec * 1000))
        if _libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET, spec, None) < 0:
            number = ctypes.get_errno()
            if number != errno.ECANCELED:  # the clock was set a moment ago: the timer is armed all the same, and read() tells
                raise OSError(number, os.strerror(number), "timerfd_settime")

    def _ready(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
            self._arm()
            self.clock_set()
            return
        now = _now()
        due = [(key, generation) for key, (at, generation) in self._waiting.items() if at and at <= now]
        for key, _ in due:
            self._waiting[key] = (0, self._waiting[key][1])
        self._arm()
        for key, generation in due:
            self.elapsed(key, generation)

    def _etc_changed(self) -> None:
        self.zone_set()


def _now() -> int:
    import time

    return time.time_ns() // 1000

"""Shows the warden that the manager's loop turns, and costs nothing while it sleeps.

A timerfd that both processes hold is set when the loop wakes up and cleared when it goes to sleep: it goes off only while one
turn takes longer than allowed, and then it is the warden that wakes up.
"""

from __future__ import annotations

import ctypes
import os
import selectors

_CLOCK_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
# PyDLL keeps the interpreter lock: these calls are shorter than handing it over. timerfd_create came to `os` with Python 3.13.
_libc = ctypes.PyDLL(None, use_errno=True)


class _Spec(ctypes.Structure):
    """struct itimerspec."""

    _fields_ = [(name, ctypes.c_long) for name in ("interval_sec", "interval_nsec", "sec", "nsec")]


class BeatingSelector(selectors.EpollSelector):
    """An epoll selector for asyncio that keeps the timer. Beats once `begin` was called."""

    def __init__(self) -> None:
        super().__init__()
        self.timer = -1
        self._off = ctypes.byref(_Spec(0, 0, 0, 0))
        self._on = self._off
        self._set = _libc.timerfd_settime

    def begin(self, limit: float) -> int:
        """Allow `limit` seconds for a turn from now on; the timer's descriptor, which stays ours. Raises OSError."""
        self.timer = _libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self.timer < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _Spec(0, 0, int(limit), int(limit % 1 * 1e9) or 1)  # byref keeps no reference that we could rely on
        self._on = ctypes.byref(self._spec)
        self._set(self.timer, 0, self._on, None)
        return self.timer

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As the base class does; the time spent waiting does not count."""
        if self.timer < 0:
            return super().select(timeout)
        if timeout is None or timeout > 0:
            self._set(self.timer, 0, self._off, None)
        try:
            return super().select(timeout)
        finally:
            self._set(self.timer, 0, self._on, None)

    def close(self) -> None:
        """Close the timer as well."""
        if self.timer >= 0:
            os.close(self.timer)
            self.timer = -1
        super().close()

"""What the warden thinks of its managers: when one hangs, and how soon to try again after a crash. Standard library only."""

from __future__ import annotations

import signal

#: Seconds that a manager may be stopped, or leave exits unacknowledged, before it has told its own limit.
LIMIT = 30.0
LONGEST_PAUSE = 5.0
#: Environment: shall there be a manager in reserve; and is this one it.
STANDBY, RESERVE = "UNITD_STANDBY", "UNITD_RESERVE"
#: Environment: hang_timeout= in seconds, for a manager that has not told it yet; "inf" or nothing: none is replaced while it begins.
HANG = "UNITD_HANG_TIMEOUT"
#: A manager may take so many times as long to begin as for a turn of its loop.
_BEGIN = 6.0
#: Seconds after a manager got ready, so that the start of the two is not one.
RESERVE_AFTER = 2.0
_FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS, signal.SIGTRAP)


def is_own_fault(code: int) -> bool:
    """Did it end by itself, and not by a signal from outside? `code` is an exit code, or minus a signal number."""
    return code >= 0 or -code in _FAULTS


def crashes(before: int, code: int, lived: float, ready: bool) -> int:
    """How many crashes in a row it is now: a failure of its own within 10 s of life, or any end within 1 s before it was ready."""
    crashed = lived < 10.0 if is_own_fault(code) else lived < 1.0 and not ready
    return before + 1 if crashed else 0


def pause(crashes: int) -> float:
    """Seconds until the next try: twice at once, then growing from 0.1 to 5."""
    return 0.0 if crashes < 2 else min(LONGEST_PAUSE, 0.1 * 2.0 ** min(crashes - 2, 10))


def words(code: int) -> str:
    """An exit code, or minus a signal number, for people."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def begin_limit(hang: str, stillborn: int) -> float:
    """Seconds until a manager has to be ready, infinity for no limit: twice as long after each that was not, for machines that are that slow."""
    try:
        return float(hang) * _BEGIN * 2.0 ** min(stillborn, 6)
    except ValueError:
        return float("inf")


def is_stopped(pid: int) -> bool:
    """Is the process stopped by a signal (not by a debugger)?"""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"T"
    except (OSError, IndexError):
        return False

"""Jobs: their types and how two on one unit become one, their modes and results. Pure (systemctl(1), systemd's job.c)."""

from __future__ import annotations

from dataclasses import dataclass

#: What a job can be told to do about others (systemctl(1), --job-mode=).
MODES = (
    "fail", "replace", "replace-irreversibly", "isolate", "flush", "ignore-dependencies", "ignore-requirements", "triggering",
    "restart-dependencies",
)  # fmt: skip
#: How jobs end. The first two count as success.
RESULTS = ("done", "skipped", "canceled", "timeout", "failed", "dependency", "invalid", "assert", "unsupported", "collected", "once")
GOOD_RESULTS = ("done", "skipped")

UP_STATES = ("active", "activating", "reloading")

#: Two types on one unit -> the one that does both; a pair that is missing contradicts.
_MERGED = {
    ("start", "verify-active"): "start",
    ("start", "reload"): "reload-or-start",
    ("start", "restart"): "restart",
    ("verify-active", "reload"): "reload",
    ("verify-active", "restart"): "restart",
    ("reload", "restart"): "restart",
}
MERGED: dict[tuple[str, str], str] = (
    {(t, t): t for t in ("start", "verify-active", "stop", "reload", "restart")} | _MERGED | {(b, a): t for (a, b), t in _MERGED.items()}
)


class Refused(Exception):
    """A transaction that cannot be made. `exit_code` is systemctl's."""

    def __init__(self, code: str, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.code, self.exit_code = code, exit_code
        self.whole = False  # the message says everything, no "Failed to ..." in front


@dataclass(eq=False)
class Job:
    """One installed job; a unit has at most one. `type` is start, stop, restart, reload or verify-active."""

    id: int
    unit: str
    type: str
    running: bool = False
    irreversible: bool = False
    ignore_order: bool = False
    automatic: bool = False  # by Restart=, not by anybody's request
    begun: float = 0.0  # monotonic, when it was installed
    deadline: float | None = None  # JobTimeoutSec=, JobRunningTimeoutSec=
    timer: int = 0  # generation of the timer for it
    blocked_by: str = ""  # a unit whose job must end first; its end makes this one be looked at again


def merge(a: str, b: str) -> str | None:
    """One job type for two on the same unit, or None where they contradict. May give reload-or-start: `collapse` it."""
    return MERGED.get((a, b))


def conflicting(a: str, b: str) -> bool:
    """Do the two types contradict?"""
    return (a, b) not in MERGED


def superset(a: str, b: str) -> bool:
    """Does `a` do all that `b` does?"""
    return MERGED.get((a, b)) == a


def collapse(type: str, active: str) -> str:
    """try-restart, try-reload and reload-or-start as a plain type for a unit that is `active` now; empty: nothing to do.

    What is only activating is restarted by try-restart, but has nothing to reload yet.
    """
    down, up = active in ("inactive", "failed", "deactivating", "maintenance"), active in ("active", "reloading")
    if type == "try-restart":
        return "" if down else "restart"
    if type == "try-reload":
        return "reload" if up else ""
    if type == "reload-or-start":
        return "reload" if up else "start"
    return type


def redundant(type: str, active: str) -> bool:
    """Would a job of this type change nothing for a unit that is `active` now? A restart always does something."""
    if type in ("start", "verify-active"):
        return active in ("active", "reloading")
    if type == "stop":
        return active in ("inactive", "failed")
    return type == "reload" and active == "reloading"


def comes_first(a: str, b: str) -> bool:
    """Of two jobs whose units are ordered "A before B": does A's go first? A stop always goes before anything else, and the stop of B before that of A;
    a restart begins with its stop."""
    return b not in ("stop", "restart")

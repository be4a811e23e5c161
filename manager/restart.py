"""Whether a service that ended comes back, after how long, and when it has come back too often. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from unitd.manager.states import CLD_EXITED, Exit
from unitd.units.model import ExitStatusSet, ServiceSection

#: Signals that end a daemon cleanly: HUP INT PIPE TERM (systemd.service(5), SuccessExitStatus=).
CLEAN_SIGNALS = frozenset({1, 2, 13, 15})

#: Restart= value -> results that bring the service back (systemd.service(5), table 2; cases restart-001 to 051).
RESTARTS = {
    "no": frozenset[str](),
    "always": frozenset({"success", "exit-code", "signal", "core-dump", "timeout", "watchdog", "oom-kill", "protocol", "resources"}),
    "on-success": frozenset({"success"}),
    "on-failure": frozenset({"exit-code", "signal", "core-dump", "timeout", "watchdog", "oom-kill", "protocol", "resources"}),
    "on-abnormal": frozenset({"signal", "core-dump", "timeout", "watchdog", "oom-kill", "protocol", "resources"}),
    "on-watchdog": frozenset({"watchdog"}),
    "on-abort": frozenset({"signal", "core-dump"}),
}


def matches(exit: Exit, statuses: ExitStatusSet) -> bool:
    """Is this way to end one of `statuses`?"""
    return exit.status in (statuses.codes if exit.code == CLD_EXITED else statuses.signals)


def outcome(exit: Exit, daemon: bool, success: ExitStatusSet) -> str:
    """Result of a process that ended: "success", "exit-code", "signal", "core-dump" or "oom-kill".

    `daemon` is False for commands and oneshots, where no signal is clean (case dep-042).
    """
    if exit.oom:
        return "oom-kill"
    if matches(exit, success):
        return "success"
    if exit.code == CLD_EXITED:
        return "success" if exit.status == 0 else "exit-code"
    if daemon and exit.status in CLEAN_SIGNALS:
        return "success"
    return "core-dump" if exit.code == 3 else "signal"


def decide(service: ServiceSection, result: str, last: Exit | None) -> bool:
    """Does Restart= bring the service back after `result`, `last` being how its main process ended (None: it never ran)?"""
    if last is not None and matches(last, service.restart_prevent_exit_status):
        return False
    if last is not None and matches(last, service.restart_force_exit_status):
        return True
    return result in RESTARTS[service.restart]


def delay(service: ServiceSection, attempt: int) -> float:
    """Seconds before automatic restart number `attempt` (0 is the first).

    RestartSec=, growing to RestartMaxDelaySec= over RestartSteps= attempts (systemd.service(5), since 254).
    """
    base, steps, top = service.restart_sec, service.restart_steps, service.restart_max_delay
    if steps <= 0 or math.isinf(top) or top <= base:
        return base
    if attempt >= steps:
        return top
    # With RestartSec=0 the growth needs something to grow from; systemd uses the smallest time it knows.
    start = max(base, 1e-6)
    return base if attempt == 0 else min(top, start * (top / start) ** (attempt / steps))


def within_limit(history: Sequence[float], interval: float, burst: int, now: float) -> tuple[bool, list[float]]:
    """May a unit start now, and its start history with this start in it if it may.

    At most `burst` starts within `interval` seconds; 0 for either switches the limit off (systemd.unit(5), StartLimitIntervalSec=).
    """
    if interval <= 0 or burst <= 0:
        return True, []
    if math.isinf(interval):
        recent = list(history)
    else:
        # A window opens with its first start and closes `interval` later, as in systemd's rate limiter.
        recent = list(history)
        if recent and now - recent[0] >= interval:
            recent = []
    if len(recent) >= burst:
        return False, recent
    return True, [*recent, now]

"""Restart decisions, delays and start limits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.manager import restart
from unitd.manager.states import CLD_EXITED, CLD_KILLED, Exit
from unitd.units.model import ExitStatusSet, ServiceSection

RESULTS = ("success", "exit-code", "signal", "timeout", "watchdog")
TABLE = {
    "no": "",
    "always": "success exit-code signal timeout watchdog",
    "on-success": "success",
    "on-failure": "exit-code signal timeout watchdog",
    "on-abnormal": "signal timeout watchdog",
    "on-abort": "signal",
    "on-watchdog": "watchdog",
}


@pytest.mark.parametrize("policy", TABLE)
@pytest.mark.parametrize("result", RESULTS)
def test_the_restart_table(policy: str, result: str) -> None:
    """systemd.service(5), table 2."""
    assert restart.decide(ServiceSection(restart=policy), result, None) == (result in TABLE[policy].split())


def test_prevent_beats_force_beats_policy() -> None:
    last = Exit(CLD_EXITED, 7)
    seven = ExitStatusSet(codes=frozenset({7}))
    assert not restart.decide(ServiceSection(restart="always", restart_prevent_exit_status=seven), "exit-code", last)
    assert restart.decide(ServiceSection(restart="no", restart_force_exit_status=seven), "exit-code", last)
    both = ServiceSection(restart="always", restart_prevent_exit_status=seven, restart_force_exit_status=seven)
    assert not restart.decide(both, "exit-code", last)


@pytest.mark.parametrize(
    ("exit", "daemon", "result"),
    [
        (Exit(CLD_EXITED, 0), True, "success"),
        (Exit(CLD_EXITED, 143), True, "exit-code"),
        (Exit(CLD_KILLED, 15), True, "success"),
        (Exit(CLD_KILLED, 15), False, "signal"),
        (Exit(CLD_KILLED, 9), True, "signal"),
        (Exit(3, 6), True, "core-dump"),
    ],
)
def test_what_counts_as_clean(exit: Exit, daemon: bool, result: str) -> None:
    assert restart.outcome(exit, daemon, ExitStatusSet()) == result


def test_success_exit_status_adds() -> None:
    extra = ExitStatusSet(codes=frozenset({75}), signals=frozenset({10}))
    assert restart.outcome(Exit(CLD_EXITED, 75), True, extra) == "success"
    assert restart.outcome(Exit(CLD_KILLED, 10), False, extra) == "success"


@given(st.floats(0, 100), st.integers(0, 20), st.floats(0, 1000), st.integers(0, 60))
def test_delays_grow_and_are_capped(base: float, steps: int, top: float, attempt: int) -> None:
    service = ServiceSection(restart_sec=base, restart_steps=steps, restart_max_delay=top)
    now, following = restart.delay(service, attempt), restart.delay(service, attempt + 1)
    assert now <= following * (1 + 1e-9)
    assert base <= following <= max(base, top) * (1 + 1e-9)


def test_delay_reaches_its_cap_after_the_steps() -> None:
    service = ServiceSection(restart_sec=1, restart_steps=3, restart_max_delay=8)
    assert [round(restart.delay(service, n), 6) for n in range(5)] == [1, 2, 4, 8, 8]
    assert restart.delay(ServiceSection(restart_sec=1, restart_steps=3, restart_max_delay=math.inf), 9) == 1


def test_start_limit_counts_within_its_window() -> None:
    history: list[float] = []
    for now in (0.0, 1.0, 2.0):
        ok, history = restart.within_limit(history, 10, 3, now)
        assert ok
    assert restart.within_limit(history, 10, 3, 9.99)[0] is False
    assert restart.within_limit(history, 10, 3, 10.0)[0] is True


@pytest.mark.parametrize(("interval", "burst"), [(0, 5), (10, 0)])
def test_start_limit_can_be_off(interval: float, burst: int) -> None:
    assert restart.within_limit([0.0] * 100, interval, burst, 1)[0]

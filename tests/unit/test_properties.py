"""Properties of units, worded as systemctl show words them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from unitd.manager.properties import properties
from unitd.manager.showwords import quote
from unitd.manager.states import Record
from unitd.units.model import Command, ExecContext, ExitStatusSet, KillContext, ServiceSection, Unit, UnitSection
from unitd.units.socket import Listener, SocketSection

NEVER = "start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }"


def shown(name: str, *, record: Record | None = None, extra: dict[str, str] | None = None, **parts: Any) -> str | None:
    """One property of a unit with these parts."""
    return properties(Unit("a.service", **parts), record or Record("a.service"), extra or {}).get(name)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0"), (0.1, "100ms"), (1.5, "1.500000s"), (90.0, "1min 30s"), (math.inf, "infinity"), (31557600.0, "1y")],
)
def test_spans(seconds: float, text: str) -> None:
    assert shown("RestartUSec", service=ServiceSection(restart_sec=seconds)) == text


@pytest.mark.parametrize(
    ("name", "parts", "text"),
    [
        ("KillSignal", {"kill": KillContext(signal=34)}, "34"),
        ("UMask", {}, "0022"),
        ("RemainAfterExit", {"service": ServiceSection(remain_after_exit=True)}, "yes"),
        ("StandardOutput", {"exec": ExecContext(standard_output="file:/tmp/x")}, "file"),
        ("CPUAffinity", {"exec": ExecContext(cpu_affinity=frozenset({0, 1, 2, 3, 6}))}, "0-3 6"),
        ("Environment", {"exec": ExecContext(environment=(("A", "x y"), ("B", "1"), ("A", "2 3")))}, '"A=2 3" B=1'),
        (
            "EnvironmentFiles",
            {"exec": ExecContext(environment_files=(("/x", True), ("/y", False)))},
            "/x (ignore_errors=yes)\n/y (ignore_errors=no)",
        ),
        (
            "SuccessExitStatus",
            {"service": ServiceSection(success_exit_status=ExitStatusSet(frozenset({3, 1}), frozenset({9})))},
            "1 3 KILL",
        ),
        ("Documentation", {"unit": UnitSection(documentation=("man:foo(8)", "https://x.y/"))}, '"man:foo(8)" https://x.y/'),
        ("Description", {}, "a.service"),
        ("TimeoutAbortUSec", {"service": ServiceSection(timeout_stop=5.0)}, "5s"),
        ("LimitNOFILE", {"exec": ExecContext(limits={"NOFILE": (1, None)})}, "infinity"),
        ("LimitNOFILESoft", {"exec": ExecContext(limits={"NOFILE": (1, None)})}, "1"),
        ("MemoryMax", {"settings": {("Service", "MemoryMax"): ("1G", "1.5G")}}, "1610612736"),
        ("MemoryMax", {"settings": {("Service", "MemoryMax"): ("0",)}}, "infinity"),
        ("MemoryMax", {"settings": {("Service", "MemoryMax"): ("1G", "")}}, "infinity"),
        ("CPUQuotaPerSecUSec", {"settings": {("Service", "CPUQuota"): ("50%",)}}, "500ms"),
        ("TasksMax", {"settings": {("Service", "TasksMax"): ("10",)}}, "10"),
        ("Wants", {"unit": UnitSection(dependencies={"Wants": ("b.service", "c.service")})}, "b.service c.service"),
        ("NoSuch", {}, None),
        ("ExecStop", {}, None),
    ],
)
def test_words(name: str, parts: dict[str, Any], text: str | None) -> None:
    assert shown(name, **parts) == text


def test_commands_with_and_without_a_run() -> None:
    commands = (Command("/bin/echo", ("/bin/echo", "b c", "$X"), ignore_failure=True), Command("/bin/true", ("/bin/true",)))
    record = Record("a.service", exec_main_pid=7, exec_main_code=2, exec_main_status=15)
    first, second = str(shown("ExecStart", record=record, service=ServiceSection(exec_start=commands))).split("\n")
    assert first == "{ path=/bin/echo ; argv[]=/bin/echo b c $X ; ignore_errors=yes ; " + NEVER
    assert second.endswith("pid=7 ; code=killed ; status=15/TERM }")
    assert str(shown("ExecStop", service=ServiceSection(exec_stop=commands[1:]))).endswith(NEVER)


@pytest.mark.parametrize(
    ("invocation", "override", "setting", "text"),
    [
        ("", -1, 10.0, "infinity"),
        ("i", -1, 60.0, "1min"),
        ("i", -1, 0.0, "0"),
        ("i", 5_000_000, 60.0, "5s"),
        ("i", 2**64 - 1, 60.0, "infinity"),
    ],
)
def test_the_watchdog_is_what_is_in_force(invocation: str, override: int, setting: float, text: str) -> None:
    record = Record("a.service", invocation=invocation, watchdog_usec=override)
    assert shown("WatchdogUSec", record=record, service=ServiceSection(watchdog=setting)) == text


def test_what_runs() -> None:
    record = Record("a.service", sub="running", main_pid=7, n_restarts=3, status_text="busy", status_errno=13, stamps={"ActiveEnter": 1e9, "ActiveEnterMonotonic": 2.5})
    got = properties(Unit("a.service"), record, {"UnitFileState": "static", "RequiredBy": "b.target"})
    assert [got[k] for k in ("ActiveState", "SubState", "MainPID", "NRestarts", "StatusText", "StatusErrno")] == [
        "active",
        "running",
        "7",
        "3",
        "busy",
        "13",
    ]
    assert got["ActiveEnterTimestamp"].startswith("Sun 2001-09-09 ") and got["ActiveExitTimestamp"] == ""
    assert (got["ActiveEnterTimestampMonotonic"], got["ActiveExitTimestampMonotonic"]) == ("2500000", "0")
    assert (got["UnitFileState"], got["RequiredBy"]) == ("static", "b.target")


def test_other_types_have_no_service_properties() -> None:
    target = properties(Unit("a.target"), Record("a.target", sub="active"), {})
    assert "MainPID" not in target and target["ActiveState"] == "active"
    listeners = (Listener("stream", "unix", "/run/x"), Listener("stream", "any", "::", 80))
    sock = Unit("a.socket", socket=SocketSection(listeners=listeners, accept=True))
    got = properties(sock, Record("a.socket", sub="listening", n_accepted=2), {})
    assert (got["Listen"], got["Accept"], got["NAccepted"]) == ("/run/x (Stream)\n[::]:80 (Stream)", "yes", "2")
    timer = properties(Unit("a.timer"), Record("a.timer"), {})
    assert (timer["Unit"], timer["AccuracyUSec"], timer["RemainAfterElapse"]) == ("a.service", "1min", "yes")


@pytest.mark.parametrize(("word", "text"), [("a", "a"), ("", '""'), ("a b", '"a b"'), ('a"$', '"a\\"\\$"'), ("a\\x2db", '"a\\\\x2db"')])
def test_quote(word: str, text: str) -> None:
    assert quote(word) == text


def test_bad_settings_are_passed_over() -> None:
    assert shown("TasksMax", settings={("Service", "TasksMax"): ("10", "junk")}) == "10"
    assert shown("Persistent", settings={}) is None

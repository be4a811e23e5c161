"""Rules of the service machine that were found by running the same units under systemd 252: one row or one test each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.test_machine import Machine, commands
from unitd.manager.notices import errno_of
from unitd.manager.states import (
    CLD_KILLED,
    Exit,
    Exited,
    Notified,
    PidFile,
    ReadPidFile,
    Record,
    Reload,
    ResetFailed,
    Restarting,
    Signal,
    Start,
    Stop,
    WatchEmpty,
    exit_status,
)
from unitd.manager.verbs.kill import obstacle
from unitd.units.errors import ValueProblem
from unitd.units.model import ExitStatusSet, ServiceSection, Unit, UnitSection
from unitd.units.values import parse_signal, signal_name

THREE = ExitStatusSet(codes=frozenset({3}))


@pytest.mark.parametrize(
    ("service", "role", "sub"),
    [
        ({"exec_start_pre": commands("pre")}, "ExecStartPre", "running"),
        ({"exec_start_post": commands("post")}, "ExecStartPost", "running"),
        ({"exec_condition": commands("condition")}, "ExecCondition", "running"),
        ({"type": "forking", "guess_main_pid": False}, "ExecStart", "running"),
    ],
)
def test_success_exit_status_counts_for_every_command(service: dict[str, Any], role: str, sub: str) -> None:
    m = Machine(success_exit_status=THREE, **service).start()
    assert m.record.control_role == role
    m.control_exits(3)
    if role == "ExecStart":
        m.feed(PidFile(0))
    assert m.state == (sub, "success")


def test_success_exit_status_counts_for_the_commands_of_the_way_down() -> None:
    m = Machine(success_exit_status=THREE, exec_stop=commands("stop"), exec_stop_post=commands("post")).start()
    m.feed(Stop()).born()
    m.control_exits(3).main_exits(15, CLD_KILLED).empty()
    assert m.record.sub == "stop-post"
    m.control_exits(3).empty()
    assert m.state == ("dead", "success")


def test_a_forking_service_whose_parent_is_ended_by_sigterm_is_no_failure() -> None:
    m = Machine(type="forking", guess_main_pid=False).start()
    m.feed(Exited(m.record.control_token, m.record.control_pid, Exit(CLD_KILLED, 15)))
    m.feed(PidFile(0))
    assert m.state == ("running", "success")


def test_conditions_come_before_the_start_limit() -> None:
    m = Machine(unit=UnitSection(start_limit_burst=1, start_limit_interval=60.0))
    for _ in range(3):
        m.feed(Start("ab" * 16, condition=False))
    assert m.state == ("dead", "success") and not m.record.start_history
    m.start()
    assert m.record.sub == "running"


def test_reset_failed_forgets_the_result_in_every_state() -> None:
    m = Machine(restart="always", restart_sec=30.0).start().main_exits(1).empty().empty()
    assert m.state == ("auto-restart", "exit-code")
    m.feed(ResetFailed())
    assert m.state == ("auto-restart", "success") and not m.record.last_failure


def test_notify_with_remain_after_exit_fails_once_nobody_is_left_to_say_ready() -> None:
    m = Machine(type="notify", notify_access="all", remain_after_exit=True).start().main_exits(0)
    assert m.record.sub == "start" and WatchEmpty() in m.effects
    m.empty()
    assert m.record.result == "protocol"


def test_a_reload_fails_when_the_main_process_fails_meanwhile() -> None:
    m = Machine(exec_reload=commands("reload")).start()
    m.feed(Reload()).born().main_exits(5)
    assert m.record.sub == "reload"
    m.control_exits(0).empty().empty()
    assert m.state == ("failed", "exit-code")
    assert [result for job, result in m.finished() if job == "reload"] == ["failed"]


def test_a_skipped_start_is_done_and_its_condition_did_not_hold() -> None:
    m = Machine(exec_condition=commands("condition")).start().control_exits(1).empty().empty()
    assert m.state == ("dead", "exec-condition") and not m.record.condition_result
    assert ("start", "done") in m.finished()


@pytest.mark.parametrize("before", ["start", "running", "stop-sigterm"])
def test_watchdog_trigger_counts_in_every_state(before: str) -> None:
    m = Machine(type="notify", notify_access="all").start()
    if before != "start":
        m.feed(Notified(m.record.main_pid, {"READY": "1"}))
    if before == "stop-sigterm":
        m.feed(Stop())
    assert m.record.sub == before
    m.feed(Notified(m.record.main_pid, {"WATCHDOG": "trigger"}))
    assert m.state == ("stop-watchdog", "watchdog")


def test_who_says_reloading_goes_on_reloading_after_the_timeout() -> None:
    m = Machine(type="notify", timeout_start=5.0).start()
    m.feed(Notified(m.record.main_pid, {"READY": "1"})).feed(Notified(m.record.main_pid, {"RELOADING": "1"}))
    m.after(7)
    assert m.record.sub == "reload"
    m.feed(Notified(m.record.main_pid, {"READY": "1"}))
    assert m.state == ("running", "success")


def test_ready_takes_back_what_was_said_of_stopping() -> None:
    m = Machine(type="notify").start()
    m.feed(Notified(m.record.main_pid, {"STOPPING": "1"}))
    m.feed(Notified(m.record.main_pid, {"READY": "1"}))
    assert m.record.sub == "running"


def test_the_signal_of_notify_reload_wakes_nobody_up() -> None:
    m = Machine(type="notify-reload").start()
    m.feed(Notified(m.record.main_pid, {"READY": "1"})).feed(Reload())
    assert [e.wake for e in m.effects if isinstance(e, Signal)] == [False]


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("4095", 4095), ("0x1", 1), (" 1", 1), ("EPERM", 1), ("enoent", 2), ("4096", None), ("-3", None), ("1 ", None), ("x", None), ("", None)],
)
def test_errno(text: str, number: int | None) -> None:
    assert errno_of(text) == number


@pytest.mark.parametrize(("code", "status", "text"), [(1, 3, "3"), (2, 9, "KILL"), (3, 6, "ABRT"), (2, 34, "RTMIN+0"), (2, 40, "RTMIN+6")])
def test_exit_status_for_commands(code: int, status: int, text: str) -> None:
    record = Record("t.service", exec_main_code=code, exec_main_status=status, main_exit_result="x")
    assert exit_status(record) == text
    assert exit_status(Record("t.service", exec_main_code=code)) == ""


@pytest.mark.parametrize(("text", "number"), [("USR1", 10), ("SIGUSR1", 10), ("10", 10), ("RTMIN+2", 36), ("SIGRTMIN", 34), ("SIGRTMAX", 64)])
def test_signals(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["usr1", "Sigusr1", "SIG9", "IOT", "POLL", "0", "65", "-1", ""])
def test_no_signals(text: str) -> None:
    with pytest.raises(ValueProblem):
        parse_signal(text)


def test_the_first_real_time_signal_has_its_offset() -> None:
    assert signal_name(34) == "RTMIN+0"


@pytest.mark.parametrize(
    ("name", "whom", "pids", "problem"),
    [
        ("a.service", "all", (0, 0), ""),
        ("a.service", "main", (7, 0), ""),
        ("a.service", "main", (0, 7), "No main process to kill"),
        ("a.service", "main-fail", (0, 0), "No main process to kill"),
        ("a.service", "control", (7, 0), "No control process to kill"),
        ("a.service", "control-fail", (0, 7), ""),
        ("a.service", "bad", (7, 7), "Invalid who argument bad"),
        ("a.socket", "all", (0, 0), ""),
        ("a.socket", "main", (0, 0), "socket units have no main processes"),
        ("a.socket", "control", (0, 0), "No control process to kill"),
        ("a.slice", "control", (0, 0), "slice units have no control processes"),
        ("a.target", "all", (0, 0), "Operation not supported"),
        ("a.timer", "main", (0, 0), "Operation not supported"),
    ],
)
def test_whom_kill_reaches(name: str, whom: str, pids: tuple[int, int], problem: str) -> None:
    record = Record(name, main_pid=pids[0], control_pid=pids[1])
    assert obstacle(Unit(name, service=ServiceSection()), record, whom, True) == problem


def test_a_stop_does_not_wait_for_the_answer_to_the_watchdogs_signal() -> None:
    m = Machine(type="notify", watchdog=1.0, restart="always").start()
    m.feed(Notified(m.record.main_pid, {"READY": "1"})).after(1.5)
    assert m.state == ("stop-watchdog", "watchdog")
    m.feed(Stop())
    assert m.record.sub == "stop-sigterm" and m.signals() == [15]
    m.main_exits(15, CLD_KILLED).empty().empty()
    assert m.state == ("failed", "watchdog")


def test_a_restart_by_hand_during_an_automatic_one_counts_anew() -> None:
    m = Machine(restart="always", exec_start_pre=commands("pre")).start().control_exits(0).main_exits(1).empty().empty()
    m.feed(Restarting())
    m.feed(Start("ab" * 16, automatic=True)).born()
    assert (m.record.sub, m.record.n_restarts) == ("start-pre", 1)
    m.feed(Stop(restart=True)).control_exits(15).empty().empty()
    assert m.record.sub in ("dead", "failed")
    m.feed(Start("cd" * 16, automatic=True)).born()  # the job that was automatic has become the one that was asked for
    assert (m.record.n_restarts, m.record.restart_attempt) == (0, 0)


def test_every_command_has_the_whole_timeout_to_itself() -> None:
    for service, exits in (
        ({"exec_start_pre": commands("one", "two", "three")}, "control"),
        ({"type": "oneshot", "exec_start": commands("one", "two", "three")}, "main"),
    ):
        m = Machine(timeout_start=5.0, **service).start()
        for _ in range(2):
            m.after(4)
            m.control_exits(0) if exits == "control" else m.main_exits(0)
        m.after(4)
        assert m.record.result == "success" and m.record.sub in ("start-pre", "start")
        m.after(2)
        assert m.record.result == "timeout"


def test_every_command_of_the_way_down_has_the_whole_timeout_to_itself() -> None:
    m = Machine(timeout_stop=5.0, exec_stop=commands("one", "two")).start()
    m.feed(Stop()).born().after(4).control_exits(0).after(4)
    assert m.state == ("stop", "success")
    m.after(2)
    assert m.record.result == "timeout"


def test_a_forking_service_that_left_nothing_behind_is_never_up() -> None:
    m = Machine(type="forking", exec_start_post=commands("post"), exec_stop_post=commands("last"), timeout_stop=1.0).start().control_exits(0)
    m.feed(PidFile(0, empty=False)).born()
    assert m.record.sub == "start-post"
    m.control_exits(0)
    assert ReadPidFile(guess=True) in m.effects
    m.feed(PidFile(0, empty=True)).empty().empty()
    assert m.record.sub == "stop-post" and ("start", "done") not in m.finished()
    m.after(9).empty().empty()
    assert m.state == ("failed", "timeout") and ("start", "failed") in m.finished()

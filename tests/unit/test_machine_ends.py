"""The service state machine where processes come late, go early, or are not the ones that decide."""

from __future__ import annotations

import pytest

from tests.unit.test_machine import Machine, commands
from unitd.manager.states import (
    CLD_EXITED,
    CLD_KILLED,
    Cleanup,
    Exit,
    Exited,
    Log,
    OutOfMemory,
    PidFile,
    ReadPidFile,
    Signal,
    Spawn,
    Spawned,
    Start,
    Stop,
    WatchEmpty,
)
from unitd.units.model import INFINITY, Command, KillContext


def warnings(m: Machine) -> list[str]:
    return [e.message for e in m.all if isinstance(e, Log)]


def test_a_process_made_after_the_stop_gets_its_signal() -> None:
    m = Machine()
    m.feed(Start("ab" * 16))
    asked = next(e for e in m.effects if isinstance(e, Spawn))
    m.feed(Stop())
    assert m.record.sub == "stop-sigterm"
    m.feed(Spawned(asked.token, 321))
    assert m.effects == [Signal("main", 15)]
    assert (m.record.sub, m.record.main_pid) == ("stop-sigterm", 321)
    m.main_exits(15, CLD_KILLED).empty().empty()
    assert m.state == ("dead", "success")


def test_a_control_process_made_after_the_stop_gets_its_signal() -> None:
    m = Machine(KillContext(signal=12, send_sighup=True), exec_start_pre=commands("pre"))
    m.feed(Start("ab" * 16))
    asked = next(e for e in m.effects if isinstance(e, Spawn))
    m.feed(Stop()).feed(Spawned(asked.token, 321))
    assert m.effects == [Signal("control", 12, also_hup=True)]


def test_kill_mode_none_leaves_a_late_process_alone() -> None:
    m = Machine(KillContext(mode="none"))
    m.feed(Start("ab" * 16))
    asked = next(e for e in m.effects if isinstance(e, Spawn))
    m.feed(Stop()).feed(Spawned(asked.token, 321))
    assert m.signals() == []


def forking(**more: object) -> Machine:
    return Machine(type="forking", pid_file="/run/x.pid", timeout_start=INFINITY, **more).start()


def test_without_processes_nobody_writes_the_pid_file() -> None:
    m = forking(exec_start=(Command("/bin/main", ("main",), ignore_failure=True),))
    m.control_exits(1)
    assert ReadPidFile(guess=False) in m.effects
    m.feed(PidFile(0, "PID file /run/x.pid does not exist"))
    assert WatchEmpty() in m.effects
    assert m.record.sub == "start"
    m.empty().empty()
    assert m.state == ("failed", "protocol")


def test_exec_start_post_may_write_the_pid_file() -> None:
    m = forking(exec_start_post=commands("post")).control_exits(0)
    m.feed(PidFile(0, "not there")).born()
    assert m.record.sub == "start-post"
    m.control_exits(0)
    assert ReadPidFile(guess=False) in m.effects
    m.feed(PidFile(77))
    assert m.state == ("running", "success")
    assert m.record.main_pid == 77


def test_exec_start_post_that_writes_none_fails_once_all_are_gone() -> None:
    m = forking(exec_start_post=commands("post")).control_exits(0)
    m.feed(PidFile(0, "not there")).born().control_exits(0)
    m.feed(PidFile(0, "not there"))
    assert m.record.sub == "start-post"
    m.empty().empty()
    assert m.state == ("failed", "protocol")


def test_a_failed_step_behind_a_dash_is_told() -> None:
    m = Machine(type="oneshot", exec_start=(Command("/bin/main", ("main",), ignore_failure=True),)).start()
    m.feed(Exited(m.record.main_token, m.record.main_pid, Exit(CLD_EXITED, 200, "CHDIR", 2)))
    assert warnings(m) == ["t.service: ExecStart= failed at step CHDIR (exit code 200, errno 2); ignored, because of its prefix -"]
    assert m.record.last_failure == ""


def test_exit_type_cgroup_waits_for_the_last_process() -> None:
    m = Machine(exit_type="cgroup").start().main_exits(0)
    assert m.state == ("running", "success")
    assert WatchEmpty() in m.effects
    m.empty().empty().empty()
    assert m.state == ("dead", "success")


def test_exit_type_cgroup_keeps_the_result_of_the_main_process() -> None:
    m = Machine(exit_type="cgroup").start().main_exits(3)
    assert m.record.sub == "running"
    m.empty().empty().empty()
    assert m.state == ("failed", "exit-code")


def test_exit_type_cgroup_runs_all_commands_of_a_oneshot() -> None:
    m = Machine(type="oneshot", exit_type="cgroup", exec_start=commands("a", "b")).start().main_exits(0)
    assert m.record.command_index == 1
    m.main_exits(0)
    assert m.record.sub == "start"
    m.empty().empty().empty().empty()
    assert m.state == ("dead", "success")


def test_exit_type_cgroup_stops_with_the_last_process() -> None:
    m = Machine(exit_type="cgroup").start()
    m.feed(Stop()).main_exits(15, CLD_KILLED)
    assert m.record.sub == "stop-sigterm"
    m.empty().empty()
    assert m.state == ("dead", "success")


@pytest.mark.parametrize(("policy", "signal"), [("stop", 15), ("kill", 9)])
def test_out_of_memory(policy: str, signal: int) -> None:
    m = Machine(oom_policy=policy).start().feed(OutOfMemory())
    assert m.signals() == [signal]
    m.main_exits(signal, CLD_KILLED).empty().empty()
    assert m.state == ("failed", "oom-kill")
    assert Machine(oom_policy="continue").start().feed(OutOfMemory()).state == ("running", "success")


def test_dbus_is_refused_with_a_way_out() -> None:
    m = Machine(type="dbus", bus_name="org.example").start()
    assert m.state == ("failed", "resources")
    assert ("start", "failed") in m.finished()
    assert "drop-in" in m.record.last_failure
    assert not [e for e in m.all if isinstance(e, Spawn)]


def test_restart_mode_direct_skips_failed() -> None:
    seen = []
    for mode in ("normal", "direct"):
        m = Machine(restart="always", restart_mode=mode, restart_sec=5.0).start().main_exits(1).empty().empty()
        assert m.record.sub == "auto-restart"
        assert Cleanup(restarting=True) in m.all
        seen.append([getattr(e, "new_sub", "") for e in m.all if type(e).__name__ == "Changed"])
    assert "failed" in seen[0]
    assert "failed" not in seen[1]

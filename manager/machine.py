"""The service state machine: one table of state × event (`TABLE`), and `step`.

Pure: the record after an event and the effects to carry out. An event that a state has no cell for is late or foreign and
changes nothing. Rules are those of systemd.service(5) and the recorded facts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unitd.manager import restart
from unitd.manager.states import (
    CLD_EXITED,
    Deadline,
    Effect,
    Empty,
    Event,
    ExecDone,
    Exit,
    Exited,
    Log,
    Notified,
    OutOfMemory,
    PidFile,
    QueueRestart,
    ReadPidFile,
    Record,
    Reload,
    ResetFailed,
    Restarting,
    Signal,
    Spawned,
    Start,
    Stop,
)
from unitd.manager.transitions import DOWN, FINAL, RELOADING, STARTING, STOPPING, Step, commands
from unitd.units.model import ExitStatusSet, Unit

# ---- jobs -------------------------------------------------------------------------------------------------


def start(st: Step, event: Start) -> None:
    st.start(event)


def start_running(st: Step, event: Start) -> None:
    st.finish("start", "done")


def stop_down(st: Step, event: Stop) -> None:
    st.finish("stop", "done")


def stop_waiting(st: Step, event: Stop) -> None:
    """In auto-restart nothing runs: the planned restart is dropped, the result stays."""
    st.disarm("restart")
    st.r.flush_restarts = True
    st.enter("dead")
    st.finish("stop", "done")


def stop_starting(st: Step, event: Stop) -> None:
    """What is not up yet is not asked by ExecStop= but killed."""
    requested(st, event)
    st.enter_signal("stop-sigterm", "success")


def stop_up(st: Step, event: Stop) -> None:
    requested(st, event)
    st.enter_stop("success")


def requested(st: Step, event: Stop) -> None:
    st.r.stop_requested = "restart" if event.restart else "stop"


def reload(st: Step, event: Reload) -> None:
    st.r.reload_result = "success"
    if st.s.exec_reload:
        st.enter("reload", st.s.timeout_start)
        st.spawn("ExecReload")
    elif st.s.type == "notify-reload":
        st.enter("reload-signal", st.s.timeout_start)
        st.do(Signal("main", st.s.reload_signal))
    else:
        st.finish("reload", "failed")


def reset_failed(st: Step, event: ResetFailed) -> None:
    st.r.result = "success"
    st.r.last_failure = ""
    st.r.n_restarts = st.r.restart_attempt = 0
    st.r.start_history = []
    st.enter("dead")


def reset_counters(st: Step, event: ResetFailed) -> None:
    """reset-failed on what did not fail clears the counters only."""
    st.r.n_restarts = st.r.restart_attempt = 0
    st.r.start_history = []


def restarting(st: Step, event: Restarting) -> None:
    st.r.n_restarts += 1
    st.r.flush_restarts = False


# ---- processes --------------------------------------------------------------------------------------------


def spawned(st: Step, event: Spawned) -> None:
    r = st.r
    if event.token == r.main_token:
        if not event.pid:
            r.main_token, r.main_known = "", True
            no_process(st, event)
            return
        r.main_pid = r.exec_main_pid = event.pid
        if r.sub == "start" and st.s.type in ("simple", "idle", "dbus"):
            st.enter_start_post()
    elif event.token == r.control_token:
        if not event.pid:
            r.control_token, r.control_role = "", ""
            no_process(st, event)
            return
        r.control_pid = event.pid


def no_process(st: Step, event: Spawned) -> None:
    """fork failed: Result=resources."""
    st.do(Log("error", f"cannot make a process for {st.u.name}: errno {event.errno}"))
    st.r.last_failure = f"the manager cannot make a process (errno {event.errno})"
    if st.r.sub in STOPPING or st.r.sub in FINAL or st.r.sub == "stop-post":
        st.enter_signal("final-sigterm", "resources")
    elif st.r.sub in RELOADING:
        reload_done(st, "resources")
    else:
        st.enter_signal("stop-sigterm", "resources")


def exec_done(st: Step, event: ExecDone) -> None:
    if event.token == st.r.main_token:
        st.r.exec_done = True
        if st.r.sub == "start" and st.s.type == "exec":
            st.enter_start_post()


def exited(st: Step, event: Exited) -> None:
    if event.token and event.token == st.r.main_token:
        main_exited(st, event.exit)
    elif event.token and event.token == st.r.control_token:
        control_exited(st, event.exit)


def failing_step(st: Step, exit: Exit, what: str) -> None:
    """Say which set-up step failed in the child, if one did."""
    if exit.step:
        st.r.last_failure = f"{what} failed at step {exit.step} (exit code {exit.status}, errno {exit.errno})"


def main_exited(st: Step, exit: Exit) -> None:
    r, s = st.r, st.s
    result = restart.outcome(exit, s.type != "oneshot", s.success_exit_status)
    r.exec_main_code, r.exec_main_status = exit.code, exit.status
    r.main_exit_result = {1: "exited", 2: "killed", 3: "dumped"}[exit.code]
    index = r.command_index if s.type == "oneshot" and r.sub == "start" else 0
    if index < len(s.exec_start) and s.exec_start[index].ignore_failure:
        result = "success"
    r.main_pid, r.main_token, r.main_known = 0, "", True
    if result != "success":
        failing_step(st, exit, "ExecStart=")
    st.fail(result)
    if r.sub == "start":
        if s.type == "oneshot":
            if result == "success" and r.command_index + 1 < len(s.exec_start):
                st.spawn("ExecStart", r.command_index + 1, main=True)
            elif result == "success":
                st.enter_start_post()
            else:
                st.enter_signal("stop-sigterm", result)
        elif s.type in ("notify", "notify-reload"):
            if result != "success":
                st.enter_signal("stop-sigterm", result)
            elif not s.remain_after_exit or (r.notify_access or s.notify_access) == "main":
                st.enter_signal("stop-sigterm", "protocol")
        else:
            st.enter_running(result)
    elif r.sub == "running":
        st.enter_running(result)
    elif st.control_alive:
        return  # wait for the control process first
    elif r.sub in STOPPING:
        st.enter_stop_post(result)
    elif r.sub == "stop-post":
        st.enter_signal("final-sigterm", result)
    elif r.sub in FINAL:
        after_final(st, result)
    elif r.sub in ("reload-signal", "reload-notify") or (r.sub == "reload" and r.notify_state == "reloading"):
        st.finish("reload", "failed")
        st.enter_running(result)


def after_final(st: Step, result: str) -> None:
    """Main and control are gone in a final state: with a control group, wait for the rest too."""
    if st.u.kill.mode in ("control-group", "mixed"):
        st.fail(result)  # Empty or the timeout ends this state
    else:
        st.enter_dead(result, True)


def control_exited(st: Step, exit: Exit) -> None:
    r, s = st.r, st.s
    role, index = r.control_role, r.command_index
    lines = commands(st.u, role)
    result = restart.outcome(exit, False, s.success_exit_status if role == "ExecStart" else ExitStatusSet())
    if role == "ExecCondition" and exit.code == CLD_EXITED and 1 <= exit.status <= 254:
        result = "exec-condition"
    if index < len(lines) and lines[index].ignore_failure:
        result = "success"
    r.control_pid, r.control_token, r.control_role = 0, "", ""
    if result not in ("success", "exec-condition"):
        failing_step(st, exit, f"{role}=")
        if not r.last_failure:
            how = f"exited with status {exit.status}" if exit.code == CLD_EXITED else f"was killed by signal {exit.status}"
            r.last_failure = f"a control process ({role}=) {how}"
    if result == "success" and index + 1 < len(lines) and role != "ExecStart" and r.sub not in STOPPING and r.sub not in FINAL:
        st.spawn(role, index + 1)
        return
    done = CONTROL_DONE.get(r.sub)
    if done is not None:
        done(st, result)


def next_or_kill(following: str) -> Callable[[Step, str], None]:
    def done(st: Step, result: str) -> None:
        if result == "success":
            st.next_role(following)
        else:
            st.enter_signal("stop-sigterm", result)

    return done


def start_done(st: Step, result: str) -> None:
    """Type=forking: the parent process has left."""
    if result != "success":
        st.enter_signal("stop-sigterm", result)
    elif st.s.pid_file:
        st.do(ReadPidFile(guess=False))
    elif st.s.guess_main_pid:
        st.do(ReadPidFile(guess=True))
    else:
        st.enter_start_post()


def start_post_done(st: Step, result: str) -> None:
    if result != "success":
        st.enter_signal("stop-sigterm", result)
    else:
        st.enter_running("success")


def reload_done(st: Step, result: str) -> None:
    st.r.reload_result = result
    if st.r.notify_state == "reloading":
        return  # READY=1 ends it
    if result == "success" and st.s.pid_file:
        st.do(ReadPidFile(guess=False))
    if result == "success" and st.s.type == "notify-reload":
        st.enter("reload-signal", st.s.timeout_start)
        st.do(Signal("main", st.s.reload_signal))
        return
    st.finish("reload", "done" if result == "success" else "failed")
    st.enter_running("success")


def stopping_done(st: Step, result: str) -> None:
    if not st.main_alive:
        st.enter_stop_post(result)


def stop_post_done(st: Step, result: str) -> None:
    if not st.main_alive:
        st.enter_signal("final-sigterm", result)


def final_done(st: Step, result: str) -> None:
    if not st.main_alive:
        after_final(st, result)


#: SubState -> what the end of its control process leads to.
CONTROL_DONE: dict[str, Callable[[Step, str], None]] = {
    "condition": next_or_kill("start-pre"),
    "start-pre": next_or_kill("start"),
    "start": start_done,
    "start-post": start_post_done,
    "reload": reload_done,
    "stop": lambda st, result: st.enter_signal("stop-sigterm", result),
    **dict.fromkeys(STOPPING, stopping_done),
    "stop-post": stop_post_done,
    **dict.fromkeys(FINAL, final_done),
}


def pid_file(st: Step, event: PidFile) -> None:
    """The daemon's main process is known, or cannot be."""
    r = st.r
    if event.pid:
        r.main_pid = r.exec_main_pid = event.pid
        r.main_token, r.main_alien, r.main_known = f"pid:{event.pid}", True, False
    if r.sub != "start" or st.control_alive:
        return
    if event.pid or not st.s.pid_file:
        st.enter_start_post()
    elif event.reason:
        st.do(Log("warning", f"{st.u.name}: {event.reason}; waiting for it until the start timeout"))


def empty_starting(st: Step, event: Empty) -> None:
    """Nothing is left to become ready."""
    if not st.main_alive and not st.control_alive and (st.s.type in ("notify", "notify-reload") or st.s.pid_file):
        st.enter_stop_post("protocol")


def empty_running(st: Step, event: Empty) -> None:
    if not st.main_alive:
        st.r.main_known = True
        st.enter_running("success")


def empty_stopping(st: Step, event: Empty) -> None:
    if not st.main_alive and not st.control_alive:
        st.enter_stop_post("success")


def empty_final(st: Step, event: Empty) -> None:
    if not st.main_alive and not st.control_alive:
        st.enter_dead("success", True)


# ---- deadlines --------------------------------------------------------------------------------------------


def deadline(st: Step, event: Deadline) -> None:
    """A timer went off; one that was replaced since is late and does nothing."""
    armed = st.r.deadlines.get(event.name)
    if armed is None or armed[1] != event.generation:
        return
    del st.r.deadlines[event.name]
    {"state": state_timeout, "watchdog": watchdog, "runtime": runtime_over, "restart": restart_due}[event.name](st)


def state_timeout(st: Step) -> None:
    sub, s = st.r.sub, st.s
    kill = st.u.kill.send_sigkill
    if sub in STARTING:
        st.r.last_failure = "a timeout was exceeded while it started"
        st.kill_after_timeout(s.timeout_start_failure_mode, final=False)
    elif sub in RELOADING:
        st.r.reload_result = "timeout"
        if st.control_alive:
            st.do(Signal("control", 9))
            st.r.control_token, st.r.control_pid, st.r.control_role = "", 0, ""
        st.r.notify_state = ""
        st.finish("reload", "timeout")
        st.enter_running("success")
    elif sub in ("stop", "stop-post"):
        st.kill_after_timeout(s.timeout_stop_failure_mode, final=sub == "stop-post")
    elif sub == "stop-sigterm" and s.timeout_stop_failure_mode == "abort":
        st.enter_signal("stop-watchdog", "timeout")
    elif sub == "final-sigterm" and s.timeout_stop_failure_mode == "abort":
        st.enter_signal("final-watchdog", "timeout")
    elif sub in ("stop-sigterm", "stop-watchdog"):
        if kill:
            st.enter_signal("stop-sigkill", "timeout")
        else:
            st.enter_stop_post("timeout")
    elif sub == "stop-sigkill":
        st.do(Log("error", f"{st.u.name}: processes are still there after SIGKILL; going on without them"))
        st.enter_stop_post("timeout")
    elif sub in ("final-sigterm", "final-watchdog"):
        if kill:
            st.enter_signal("final-sigkill", "timeout")
        else:
            st.enter_dead("timeout", False)
    elif sub == "final-sigkill":
        st.do(Log("error", f"{st.u.name}: processes are still there after SIGKILL; giving up"))
        st.enter_dead("timeout", True)


def watchdog(st: Step) -> None:
    if st.r.sub in ("start-post", "running", *RELOADING):
        st.do(Log("error", f"{st.u.name}: watchdog timeout"))
        st.enter_signal("stop-watchdog", "watchdog")


def runtime_over(st: Step) -> None:
    if st.r.sub in ("running", *RELOADING):
        st.r.last_failure = "it ran longer than RuntimeMaxSec="
        st.enter_stop("timeout")


def restart_due(st: Step) -> None:
    st.do(QueueRestart())


# ---- sd_notify --------------------------------------------------------------------------------------------


def notified(st: Step, event: Notified) -> None:
    """One accepted message (sd_notify(3)); the executor has checked the sender, NotifyAccess= and MAINPID=."""
    f, r = event.fields, st.r
    if "STATUS" in f:
        r.status_text = f["STATUS"]
    if f.get("ERRNO", "").isdigit():
        r.status_errno = int(f["ERRNO"])
    if f.get("NOTIFYACCESS") in ("none", "main", "exec", "all"):
        r.notify_access = f["NOTIFYACCESS"]
    if "MAINPID" in f and f["MAINPID"].isdigit() and int(f["MAINPID"]) != r.main_pid and r.sub not in DOWN:
        pid = int(f["MAINPID"])
        r.main_pid = r.exec_main_pid = pid
        r.main_token, r.main_alien, r.main_known = f"pid:{pid}", True, False
    if "WATCHDOG_USEC" in f and f["WATCHDOG_USEC"].isdigit():
        r.watchdog_usec = int(f["WATCHDOG_USEC"])
        if r.sub in ("start-post", "running", *RELOADING):
            st.start_watchdog()
    if f.get("WATCHDOG") == "1" and "watchdog" in r.deadlines:
        st.start_watchdog()
    if f.get("EXTEND_TIMEOUT_USEC", "").isdigit():
        extend(st, int(f["EXTEND_TIMEOUT_USEC"]) / 1e6)
    if f.get("RELOADING") == "1":
        r.notify_state = "reloading"
        if r.sub == "running":
            st.enter("reload", st.s.timeout_start)
        elif r.sub == "reload-signal":
            st.enter("reload-notify", st.s.timeout_start)
    if f.get("READY") == "1":
        r.ready = True
        if r.sub == "start" and st.s.type in ("notify", "notify-reload"):
            r.notify_state = ""
            st.enter_start_post()
        elif r.sub == "reload-notify" or (r.sub == "reload" and r.notify_state == "reloading" and not st.control_alive):
            r.notify_state = ""
            st.finish("reload", "done" if r.reload_result == "success" else "failed")
            st.enter_running("success")
        else:
            r.notify_state = "" if r.notify_state == "reloading" and r.sub != "reload-signal" else r.notify_state
    if f.get("STOPPING") == "1":
        r.notify_state = "stopping"
        if r.sub == "running":
            st.enter_stop_by_notify()
    if f.get("WATCHDOG") == "trigger":
        watchdog(st)


def out_of_memory(st: Step, event: OutOfMemory) -> None:
    """OOMPolicy= (systemd.service(5)): the whole unit ends when the kernel killed one of its processes, unless the policy is to go on."""
    if st.s.oom_policy != "continue":
        st.enter_signal("stop-sigkill" if st.s.oom_policy == "kill" else "stop-sigterm", "oom-kill")


def extend(st: Step, seconds: float) -> None:
    """EXTEND_TIMEOUT_USEC= moves a running start, stop or runtime deadline later, never earlier."""
    for name in ("state", "runtime"):
        armed = st.r.deadlines.get(name)
        if armed is not None and armed[0] < st.now + seconds:
            st.arm(name, seconds)


# ---- the table --------------------------------------------------------------------------------------------

Handler = Callable[[Step, Any], None]


def row(**cells: Handler) -> dict[type, Handler]:
    """The cells of one state, by event; processes and deadlines mean the same in every state that has them."""
    kinds: dict[str, type] = {
        "start": Start,
        "stop": Stop,
        "reload": Reload,
        "empty": Empty,
        "pid_file": PidFile,
        "reset": ResetFailed,
        "restarting": Restarting,
        "oom": OutOfMemory,
    }
    common: dict[type, Handler] = {Spawned: spawned, ExecDone: exec_done, Exited: exited, Deadline: deadline, Notified: notified}
    return common | {ResetFailed: reset_counters} | {kinds[name]: handler for name, handler in cells.items()}


def on_its_way(st: Step, event: Any) -> None:
    """Already under way: the job waits for the end of it."""


def stop_again(st: Step, event: Stop) -> None:
    """It is going down already; from now on because it was asked to."""
    requested(st, event)


_starting = row(start=on_its_way, stop=stop_starting, empty=empty_starting, pid_file=pid_file, oom=out_of_memory)
_reloading = row(start=start_running, stop=stop_starting, reload=on_its_way, pid_file=pid_file, oom=out_of_memory)
_stopping = row(stop=stop_again, empty=empty_stopping)
_final = row(stop=stop_again, empty=empty_final)

TABLE: dict[str, dict[type, Handler]] = {
    "dead": row(start=start, stop=stop_down, reset=reset_counters),
    "failed": row(start=start, stop=stop_down, reset=reset_failed),
    "auto-restart": row(start=start, stop=stop_waiting, restarting=restarting, reset=reset_counters),
    "condition": _starting,
    "start-pre": _starting,
    "start": _starting,
    "start-post": _starting,
    "running": row(start=start_running, stop=stop_up, reload=reload, empty=empty_running, pid_file=pid_file, oom=out_of_memory),
    "exited": row(start=start_running, stop=stop_up, reload=reload, oom=out_of_memory),
    "reload": _reloading,
    "reload-signal": _reloading,
    "reload-notify": _reloading,
    "stop": row(stop=stop_again),
    "stop-watchdog": _stopping,
    "stop-sigterm": _stopping,
    "stop-sigkill": _stopping,
    "stop-post": row(stop=stop_again),
    "final-watchdog": _final,
    "final-sigterm": _final,
    "final-sigkill": _final,
}


def step(record: Record, unit: Unit, event: Event, now: float, jitter: float = 0.0) -> tuple[Record, list[Effect]]:
    """The record after `event` at monotonic time `now`, and what to do.

    `unit` is the definition the record runs under. `jitter` in [0, 1) spreads RuntimeRandomizedExtraSec=.
    """
    handler = TABLE[record.sub].get(type(event)) if record.sub in TABLE else None
    if handler is None:
        return record, []
    st = Step(record, unit, now, jitter)
    handler(st, event)
    return st.r, st.effects

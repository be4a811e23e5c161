"""What the service machine makes of its processes: made, executing, ended, found by PID file, all gone. Pure (systemd.service(5))."""

from __future__ import annotations

from collections.abc import Callable

from unitd.manager import restart
from unitd.manager.states import CLD_EXITED, Empty, ExecDone, Exit, Exited, Log, PidFile, ReadPidFile, Signal, Spawned, WatchEmpty
from unitd.manager.transitions import FINAL, RELOADING, STARTING, STOPPING, UP, Step, commands


def spawned(st: Step, event: Spawned) -> None:
    r = st.r
    if event.token == r.main_token:
        if not event.pid:
            r.main_token, r.main_known = "", True
            no_process(st, event)
            return
        r.main_pid = r.exec_main_pid = event.pid
        if r.sub in (*STOPPING, *FINAL):
            st.signal_late("main")
        elif r.sub == "start" and st.s.type in ("simple", "idle"):
            st.enter_start_post()
    elif event.token == r.control_token:
        if not event.pid:
            r.control_token, r.control_role = "", ""
            no_process(st, event)
            return
        r.control_pid = event.pid
        if r.sub in (*STOPPING, *FINAL):
            st.signal_late("control")


def no_process(st: Step, event: Spawned) -> None:
    """fork failed: Result=resources."""
    because = event.reason or f"errno {event.errno}"
    st.do(Log("error", f"{st.u.name}: cannot make a process, because {because}"))
    st.r.last_failure = f"the manager cannot make a process, because {because}"
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


def failing_step(st: Step, exit: Exit, role: str, ignored: bool) -> None:
    """Say which set-up step failed in the child, if one did; also when the failure does not count (prefix -)."""
    if not exit.step:
        return
    because = exit.reason or (f"errno {exit.errno}" if exit.errno else "")
    said = f"{role}= failed at step {exit.step} (exit code {exit.status}{because and ', '}{because})"
    if ignored:
        st.do(Log("warning", f"{st.u.name}: {said}; ignored, because of its prefix -"))
    else:
        st.r.last_failure = said


def main_exited(st: Step, exit: Exit) -> None:
    r, s = st.r, st.s
    result = restart.outcome(exit, s.type != "oneshot", s.success_exit_status)
    r.exec_main_code, r.exec_main_status = exit.code, exit.status
    r.main_exit_result = {1: "exited", 2: "killed", 3: "dumped"}[exit.code]
    index = r.command_index if s.type == "oneshot" and r.sub == "start" else 0
    ignored = index < len(s.exec_start) and s.exec_start[index].ignore_failure
    if ignored:
        result = "success"
    r.main_pid, r.main_token, r.main_known = 0, "", True
    failing_step(st, exit, "ExecStart", ignored)
    st.fail(result)
    last = s.type != "oneshot" or r.sub != "start" or result != "success" or r.command_index + 1 == len(s.exec_start)
    if s.exit_type == "cgroup" and last and r.sub not in ("stop", "stop-post"):
        st.do(WatchEmpty())  # the main process does not decide, the last one does
    elif r.sub == "start":
        if s.type == "oneshot":
            if result == "success" and r.command_index + 1 < len(s.exec_start):
                st.arm("state", s.timeout_start)  # for each command anew
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
                st.do(WatchEmpty())  # others may still say READY=1, while there are any
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
    result = restart.outcome(exit, role == "ExecStart", s.success_exit_status)
    ignored = index < len(lines) and lines[index].ignore_failure
    if ignored:
        result = "success"
    if role == "ExecCondition" and result == "exit-code" and exit.status <= 254:
        result, r.condition_result = "exec-condition", False
    r.control_pid, r.control_token, r.control_role = 0, "", ""
    failing_step(st, exit, role, ignored)
    if result not in ("success", "exec-condition"):
        if not r.last_failure:
            how = f"exited with status {exit.status}" if exit.code == CLD_EXITED else f"was killed by signal {exit.status}"
            r.last_failure = f"a control process ({role}=) {how}"
    if result == "success" and index + 1 < len(lines) and role != "ExecStart" and r.sub not in STOPPING and r.sub not in FINAL:
        st.arm("state", s.timeout_start if r.sub in (*STARTING, *RELOADING) else st.stop_timeout)  # for each command anew
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
    else:
        st.do(ReadPidFile(guess=True))


def start_post_done(st: Step, result: str) -> None:
    if result != "success":
        st.enter_signal("stop-sigterm", result)
    elif st.s.pid_file:
        st.do(ReadPidFile(guess=False))  # ExecStartPost= may have written it
    elif st.s.type == "forking" and not st.main_alive:
        st.do(ReadPidFile(guess=True))  # is anything there at all?
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
        st.do(Signal("main", st.s.reload_signal, wake=False))
        return
    st.enter_running("success")
    if st.r.sub in UP:  # else its main process has ended meanwhile, and the job ends with the unit
        st.finish("reload", "done" if result == "success" else "failed")


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
    if st.control_alive or r.sub not in ("start", "start-post"):
        return
    if event.pid or not st.s.pid_file or (r.sub == "start" and st.s.exec_start_post):
        if r.sub == "start":
            st.enter_start_post(event.empty)
        else:
            st.enter_running("success", event.empty)
    else:
        if event.reason:
            st.do(Log("warning", f"{st.u.name}: {event.reason}; waiting for it until the start timeout"))
        st.do(WatchEmpty())  # nobody left to write it: no need to wait


def empty_starting(st: Step, event: Empty) -> None:
    """Nothing is left to become ready."""
    if st.main_alive or st.control_alive:
        return
    if st.s.type in ("notify", "notify-reload") or (st.s.pid_file and st.r.sub in ("start", "start-post")):
        st.enter_stop_post("protocol")
    elif st.s.exit_type == "cgroup" and st.r.sub == "start":
        st.enter_start_post()


def empty_running(st: Step, event: Empty) -> None:
    if not st.main_alive:
        st.r.main_known = True
        st.enter_running("success", empty=True)


def empty_stopping(st: Step, event: Empty) -> None:
    if not st.main_alive and not st.control_alive:
        st.enter_stop_post("success")


def empty_final(st: Step, event: Empty) -> None:
    if not st.main_alive and not st.control_alive:
        st.enter_dead("success", True)

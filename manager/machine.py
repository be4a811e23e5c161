"""The service state machine: one table of state × event (`TABLE`), and `step`.

Pure: the record after an event and the effects to carry out. An event that a state has no cell for is late or foreign and
changes nothing. Rules are those of systemd.service(5) and the recorded facts. What the events lead to is here for jobs, in `ends` for processes,
in `deadlines` for timers and in `notices` for sd_notify.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unitd.manager.cells import start_up, stop_down, stop_requested
from unitd.manager.deadlines import deadline
from unitd.manager.ends import empty_final, empty_running, empty_starting, empty_stopping, exec_done, exited, pid_file, spawned
from unitd.manager.notices import notified
from unitd.manager.states import (
    Deadline,
    Effect,
    Empty,
    Event,
    ExecDone,
    Exited,
    Notified,
    OutOfMemory,
    PidFile,
    Record,
    Reload,
    ResetFailed,
    Restarting,
    Signal,
    Spawned,
    Start,
    Stop,
)
from unitd.manager.transitions import Step
from unitd.units.model import Unit

# ---- jobs -------------------------------------------------------------------------------------------------


def start(st: Step, event: Start) -> None:
    st.start(event)


def stop_waiting(st: Step, event: Stop) -> None:
    """In auto-restart nothing runs: the planned restart is dropped, the result stays."""
    st.disarm("restart")
    st.r.flush_restarts = True
    st.enter("dead")
    st.finish("stop", "done")


def stop_starting(st: Step, event: Stop) -> None:
    """What is not up yet is not asked by ExecStop= but killed."""
    stop_requested(st, event)
    st.enter_signal("stop-sigterm", "success")


def stop_up(st: Step, event: Stop) -> None:
    stop_requested(st, event)
    st.enter_stop("success")


def reload(st: Step, event: Reload) -> None:
    st.r.reload_result = "success"
    if st.s.exec_reload:
        st.enter("reload", st.s.timeout_start)
        st.spawn("ExecReload")
    elif st.s.type == "notify-reload":
        st.enter("reload-signal", st.s.timeout_start)
        st.do(Signal("main", st.s.reload_signal, wake=False))
    else:
        st.finish("reload", "failed")


def reset_failed(st: Step, event: ResetFailed) -> None:
    forget_failure(st, event)
    st.r.start_limit_hit = False
    st.enter("dead")


def forget_failure(st: Step, event: ResetFailed) -> None:
    """reset-failed clears results and counters in every state, also of what waits for its restart or is on its way down."""
    r = st.r
    r.result = r.reload_result = "success"
    r.last_failure = ""
    r.n_restarts = r.restart_attempt = 0
    r.flush_restarts = False
    r.start_history = []


def restarting(st: Step, event: Restarting) -> None:
    st.r.n_restarts += 1
    st.r.flush_restarts = False


def out_of_memory(st: Step, event: OutOfMemory) -> None:
    """OOMPolicy= (systemd.service(5)): the whole unit ends when the kernel killed one of its processes, unless the policy is to go on."""
    if st.s.oom_policy == "kill":
        st.enter_signal("stop-sigkill", "oom-kill")
    elif st.s.oom_policy == "stop" and st.r.sub in ("running", "exited"):
        st.enter_stop("oom-kill")
    elif st.s.oom_policy == "stop":
        st.enter_signal("stop-sigterm", "oom-kill")


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
    return common | {ResetFailed: forget_failure} | {kinds[name]: handler for name, handler in cells.items()}


def on_its_way(st: Step, event: Any) -> None:
    """Already under way: the job waits for the end of it."""


def stop_again(st: Step, event: Stop) -> None:
    """It is going down already; from now on because it was asked to."""
    stop_requested(st, event)


_starting = row(start=on_its_way, stop=stop_starting, empty=empty_starting, pid_file=pid_file, oom=out_of_memory)
_reloading = row(start=start_up, stop=stop_starting, reload=on_its_way, pid_file=pid_file, oom=out_of_memory)
_stopping = row(stop=stop_again, empty=empty_stopping)
_final = row(stop=stop_again, empty=empty_final)

TABLE: dict[str, dict[type, Handler]] = {
    "dead": row(start=start, stop=stop_down, reset=forget_failure),
    "failed": row(start=start, stop=stop_down, reset=reset_failed),
    "auto-restart": row(start=start, stop=stop_waiting, restarting=restarting, reset=forget_failure),
    "condition": _starting,
    "start-pre": _starting,
    "start": _starting,
    "start-post": _starting,
    "running": row(start=start_up, stop=stop_up, reload=reload, empty=empty_running, pid_file=pid_file, oom=out_of_memory),
    "exited": row(start=start_up, stop=stop_up, reload=reload, oom=out_of_memory),
    "reload": _reloading,
    "reload-signal": _reloading,
    "reload-notify": _reloading,
    "stop": row(stop=stop_again),
    "stop-watchdog": row(stop=stop_starting, empty=empty_stopping),
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

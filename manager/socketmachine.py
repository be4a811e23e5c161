"""The state machine of .socket units: one table of state × event (`TABLE`), and `step`. Pure.

Follows systemd.socket(5) and the recorded facts (cases socket-*).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unitd.manager import restart
from unitd.manager.cells import start_up, stop_down, stop_requested
from unitd.manager.socketstates import (
    CheckService,
    Connection,
    DropPending,
    Incoming,
    OpenSockets,
    RefuseConnection,
    ServiceState,
    SocketChecked,
    SocketsChowned,
    SocketsOpened,
    StartInstance,
    Trigger,
    TriggerFailed,
    UnwatchSockets,
    WatchSockets,
)
from unitd.manager.sockettransitions import REASONS, SERVICE_DOWN, STOPPING, SocketStep, commands
from unitd.manager.states import (
    CLD_EXITED,
    Deadline,
    Effect,
    Event,
    Exited,
    Log,
    Record,
    ResetFailed,
    Signal,
    Spawned,
    Start,
    Stop,
)
from unitd.units.model import ExitStatusSet, Unit

# ---- jobs -------------------------------------------------------------------------------------------------


def start(st: SocketStep, event: Start) -> None:
    st.r.condition_result = event.condition
    st.r.assert_result = event.condition and event.assertion
    if not st.r.assert_result:
        st.finish("start", "assert" if event.condition else "done")
        return
    st.do(CheckService(event.invocation))


def checked(st: SocketStep, event: SocketChecked) -> None:
    """The service is there and not up, or the start is refused: nothing has happened then (case socket-036)."""
    r = st.r
    if event.problem:
        r.last_failure = event.problem
        st.do(Log("warning", f"{st.u.name} is not started, because {event.problem}"))
        st.finish("start", "failed")
        return
    ok, history = restart.within_limit(r.start_history, st.u.unit.start_limit_interval, st.u.unit.start_limit_burst, st.now)
    if not ok:
        st.fail("start-limit-hit")
        r.last_failure = REASONS["start-limit-hit"]
        st.enter("failed")
        st.finish("start", "failed")
        return
    r.start_history = history
    r.result, r.invocation, r.stop_requested, r.last_failure = "success", event.invocation, "", ""
    r.n_accepted = r.n_refused = 0
    r.trigger_history, r.poll_history = [], []
    st.enter_start_pre()


def stop_starting(st: SocketStep, event: Stop) -> None:
    stop_requested(st, event)
    st.enter_signal("stop-pre-sigterm", "success")


def stop_up(st: SocketStep, event: Stop) -> None:
    stop_requested(st, event)
    st.enter_stop_pre("success")


def reset_failed(st: SocketStep, event: ResetFailed) -> None:
    reset_counters(st, event)
    st.r.result, st.r.last_failure = "success", ""
    st.enter("dead")


def reset_counters(st: SocketStep, event: ResetFailed) -> None:
    st.r.start_history, st.r.trigger_history = [], []


# ---- sockets ----------------------------------------------------------------------------------------------


def trouble(st: SocketStep, problem: str) -> None:
    st.r.last_failure = problem
    st.do(Log("error", f"{st.u.name}: {problem}"))


def opened(st: SocketStep, event: SocketsOpened) -> None:
    if event.problem:
        trouble(st, event.problem)
        st.enter_stop_post("resources")
    else:
        st.enter_start_chown()


def chowned(st: SocketStep, event: SocketsChowned) -> None:
    if event.problem:
        trouble(st, event.problem)
        st.enter_stop_pre("exit-code")  # systemd's process for it exits with EXIT_USER or EXIT_GROUP
    else:
        st.enter_start_post()


def incoming(st: SocketStep, event: Incoming) -> None:
    """Traffic: start the service, unless it is on its way already."""
    s, r = st.u.socket, st.r
    if event.stopping:
        st.do(DropPending())
        st.do(WatchSockets())
        return
    if not below_poll_limit(st):
        return
    ok, r.trigger_history = restart.within_limit(r.trigger_history, s.trigger_limit_interval, s.burst, st.now)
    if not ok:
        trigger_limit_hit(st)
        return
    if not event.busy:
        st.do(Trigger())
    st.enter("running")


def connection(st: SocketStep, event: Connection) -> None:
    """Accept=yes: one instance for each connection, within the limits."""
    s, r = st.u.socket, st.r
    if event.stopping:
        st.do(RefuseConnection(event.instance))
        return
    ok, r.trigger_history = restart.within_limit(r.trigger_history, s.trigger_limit_interval, s.burst, st.now)
    if not ok:
        st.do(RefuseConnection(event.instance))
        trigger_limit_hit(st)
        return
    if not below_poll_limit(st):
        st.do(StartInstance(event.instance))
        r.n_accepted += 1
    elif event.open >= s.max_connections:
        refuse(st, event, f"{event.open} connections are open, as many as MaxConnections= allows")
    elif s.max_connections_per_source and event.from_source >= s.max_connections_per_source:
        refuse(st, event, f"{event.from_source} connections from its source are open, as many as MaxConnectionsPerSource= allows")
    else:
        st.do(StartInstance(event.instance))
        r.n_accepted += 1


def refuse(st: SocketStep, event: Connection, why: str) -> None:
    st.r.n_refused += 1
    st.do(Log("warning", f"{st.u.name}: a connection is refused, because {why}"))
    st.do(RefuseConnection(event.instance))


def refuse_late(st: SocketStep, event: Connection) -> None:
    """Accepted in the moment the socket stopped."""
    st.do(RefuseConnection(event.instance))


def trigger_limit_hit(st: SocketStep) -> None:
    st.r.last_failure = REASONS["trigger-limit-hit"]
    st.enter_stop_pre("trigger-limit-hit")


def below_poll_limit(st: SocketStep) -> bool:
    """PollLimitBurst=: woken too often, the socket rests until the window is over; nothing fails."""
    s, r = st.u.socket, st.r
    if not s.poll_limit_burst or not s.poll_limit_interval:
        return True
    ok, r.poll_history = restart.within_limit(r.poll_history, s.poll_limit_interval, s.poll_limit_burst, st.now)
    if not ok:
        st.do(UnwatchSockets())
        st.arm("poll", max(0.0, r.poll_history[0] + s.poll_limit_interval - st.now))
    return ok


def trigger_failed(st: SocketStep, event: TriggerFailed) -> None:
    trouble(st, f"its service cannot be started: {event.reason}")
    st.enter_stop_pre("resources")


def service_state(st: SocketStep, event: ServiceState) -> None:
    """Accept=no: wait for traffic again once the service is down, stand back while it is up (case socket-025, socket-027)."""
    if st.u.socket.accept:
        return
    if event.limit_hit:
        st.r.last_failure = REASONS["service-start-limit-hit"]
        st.enter_stop_pre("service-start-limit-hit")
    elif event.pending or event.others:
        return
    elif event.sub in SERVICE_DOWN:
        if st.r.sub == "running":
            st.enter_listening()
    elif event.sub == "running" and st.r.sub == "listening":
        st.enter("running")


# ---- commands ---------------------------------------------------------------------------------------------


def spawned(st: SocketStep, event: Spawned) -> None:
    if event.token != st.r.control_token:
        return
    if event.pid:
        st.r.control_pid = event.pid
        return
    st.r.control_token, st.r.control_role = "", ""
    st.r.last_failure = f"the manager cannot make a process, because {event.reason or f'errno {event.errno}'}"
    command_done(st, "resources")


def exited(st: SocketStep, event: Exited) -> None:
    r = st.r
    if not event.token or event.token != r.control_token:
        return
    role, index = r.control_role, r.command_index
    lines = commands(st.u, role)
    result = restart.outcome(event.exit, False, ExitStatusSet())
    if index < len(lines) and lines[index].ignore_failure:
        result = "success"
    r.control_pid, r.control_token, r.control_role = 0, "", ""
    if result != "success" and not r.last_failure:
        how = f"exited with status {event.exit.status}" if event.exit.code == CLD_EXITED else f"was killed by signal {event.exit.status}"
        r.last_failure = f"a command ({role}=) {how}" + (f" at step {event.exit.step}" if event.exit.step else "")
    if result == "success" and index + 1 < len(lines) and r.sub in ("start-pre", "start-post", "stop-pre", "stop-post"):
        st.arm("state", st.u.socket.timeout)  # for each command anew
        st.spawn(role, index + 1)
    else:
        command_done(st, result)


def command_done(st: SocketStep, result: str) -> None:
    sub = st.r.sub
    st.fail(result)
    if sub == "start-pre":
        if result == "success":
            st.do(OpenSockets())
        else:
            st.enter_signal("final-sigterm", result)
    elif sub == "start-post":
        if result == "success":
            st.enter_listening()
        else:
            st.enter_stop_pre(result)
    elif sub.startswith("stop-pre"):
        st.enter_stop_post(result)
    elif sub in STOPPING:
        st.down(result)


def deadline(st: SocketStep, event: Deadline) -> None:
    """A timer went off; one that was replaced since does nothing."""
    armed = st.r.deadlines.get(event.name)
    if armed is None or armed[1] != event.generation:
        return
    del st.r.deadlines[event.name]
    if event.name == "poll":
        if st.r.sub == "listening":
            st.do(WatchSockets())
        return
    sub, kill = st.r.sub, st.u.kill.send_sigkill
    if sub == "start-pre":
        st.enter_signal("final-sigterm", "timeout")
    elif sub in ("start-chown", "start-post"):
        if st.control_alive:
            st.do(Signal("control", 9))
            st.r.control_token, st.r.control_pid, st.r.control_role = "", 0, ""
        st.enter_stop_pre("timeout")
    elif sub == "stop-pre":
        st.enter_signal("stop-pre-sigterm", "timeout")
    elif sub == "stop-pre-sigterm" and kill:
        st.enter_signal("stop-pre-sigkill", "timeout")
    elif sub.startswith("stop-pre"):
        st.r.control_token, st.r.control_pid, st.r.control_role = "", 0, ""
        st.enter_stop_post("timeout")
    elif sub == "stop-post":
        st.enter_signal("final-sigterm", "timeout")
    elif sub == "final-sigterm" and kill:
        st.enter_signal("final-sigkill", "timeout")
    else:
        st.down("timeout")


# ---- the table --------------------------------------------------------------------------------------------

Handler = Callable[[SocketStep, Any], None]
_ANY: dict[type, Handler] = {Spawned: spawned, Exited: exited, Deadline: deadline, Connection: refuse_late, ResetFailed: reset_counters}
_UP: dict[type, Handler] = {**_ANY, Start: start_up, Stop: stop_up, ServiceState: service_state, TriggerFailed: trigger_failed, Connection: connection}
_STARTING: dict[type, Handler] = {**_ANY, Stop: stop_starting, SocketsOpened: opened}

TABLE: dict[str, dict[type, Handler]] = {
    "dead": {**_ANY, Start: start, SocketChecked: checked, SocketsOpened: opened, Stop: stop_down},
    "failed": {**_ANY, Start: start, SocketChecked: checked, SocketsOpened: opened, Stop: stop_down, ResetFailed: reset_failed},
    "start-pre": _STARTING,
    "start-chown": {**_STARTING, SocketsChowned: chowned},
    "start-post": _STARTING,
    "listening": {**_UP, Incoming: incoming},
    "running": _UP,
    **dict.fromkeys(STOPPING, _ANY),
}


def step(record: Record, unit: Unit, event: Event, now: float, jitter: float = 0.0) -> tuple[Record, list[Effect]]:
    """The record after `event` at monotonic time `now`, and what to do. An event without a cell in the table changes nothing."""
    handler = TABLE.get(record.sub, {}).get(type(event))
    if handler is None:
        return record, []
    st = SocketStep(record, unit, now, jitter)
    handler(st, event)
    return st.r, st.effects

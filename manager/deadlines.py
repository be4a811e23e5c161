"""What the service machine makes of its timers. Pure (systemd.service(5): Timeout*Sec=, WatchdogSec=, RuntimeMaxSec=, RestartSec=)."""

from __future__ import annotations

from unitd.manager.states import Deadline, Log, QueueRestart, Signal
from unitd.manager.transitions import RELOADING, STARTING, Step


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
        if s.type == "notify-reload":
            st.r.notify_state = ""
        # Of any other type what said RELOADING=1 goes on reloading until it says READY=1.
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
        watchdog_hit(st)


def watchdog_hit(st: Step) -> None:
    """The service has hung, or says so itself (WATCHDOG=trigger), which counts in every state."""
    st.do(Log("error", f"{st.u.name}: watchdog timeout"))
    st.enter_signal("stop-watchdog", "watchdog")


def runtime_over(st: Step) -> None:
    if st.r.sub in ("running", *RELOADING):
        st.r.last_failure = "it ran longer than RuntimeMaxSec="
        st.enter_stop("timeout")


def restart_due(st: Step) -> None:
    st.do(QueueRestart())

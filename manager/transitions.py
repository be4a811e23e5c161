"""The moves a service makes between its states: what entering each of them does. Pure.

Follows systemd.service(5) and the recorded facts. `machine` decides which move an event causes.
"""

from __future__ import annotations

from unitd.manager import restart
from unitd.manager.states import (
    CLD_EXITED,
    ArmTimer,
    Changed,
    Cleanup,
    DisarmTimer,
    Effect,
    Exit,
    Finished,
    Record,
    Signal,
    Spawn,
    Start,
    WatchEmpty,
)
from unitd.units.model import INFINITY, Command, Unit

STOPPING = ("stop-watchdog", "stop-sigterm", "stop-sigkill")
FINAL = ("final-watchdog", "final-sigterm", "final-sigkill")
STARTING = ("condition", "start-pre", "start", "start-post")
RELOADING = ("reload", "reload-signal", "reload-notify")
UP = ("running", "exited", *RELOADING)
DOWN = ("dead", "failed", "auto-restart")

ROLE_OF = {
    "condition": "ExecCondition",
    "start-pre": "ExecStartPre",
    "start": "ExecStart",
    "start-post": "ExecStartPost",
    "reload": "ExecReload",
    "stop": "ExecStop",
    "stop-post": "ExecStopPost",
}


def commands(unit: Unit, role: str) -> tuple[Command, ...]:
    """The commands of an Exec*= role."""
    s = unit.service
    return {
        "ExecCondition": s.exec_condition,
        "ExecStartPre": s.exec_start_pre,
        "ExecStart": s.exec_start,
        "ExecStartPost": s.exec_start_post,
        "ExecReload": s.exec_reload,
        "ExecStop": s.exec_stop,
        "ExecStopPost": s.exec_stop_post,
    }[role]


class Step:
    """One step under way: a copy of the record to change, and the effects collected."""

    def __init__(self, record: Record, unit: Unit, now: float, jitter: float) -> None:
        self.r = record.copy()
        self.r.deadlines = dict(record.deadlines)
        self.u, self.s, self.now, self.jitter = unit, unit.service, now, jitter
        self.effects: list[Effect] = []

    # -- small words

    def do(self, effect: Effect) -> None:
        self.effects.append(effect)

    def arm(self, name: str, seconds: float) -> None:
        """(Re)start the timer `name`; infinity disarms it."""
        self.disarm(name)
        if seconds != INFINITY:
            self.r.timer_generation += 1
            self.r.deadlines[name] = (self.now + seconds, self.r.timer_generation)
            self.do(ArmTimer(name, self.now + seconds, self.r.timer_generation))

    def disarm(self, name: str) -> None:
        if self.r.deadlines.pop(name, None) is not None:
            self.do(DisarmTimer(name))

    def enter(self, sub: str, timeout: float = INFINITY) -> None:
        """Change the SubState; the state's own timer is replaced."""
        old, self.r.sub = self.r.sub, sub
        self.arm("state", timeout)
        if sub not in ("start-post", "running", "stop-watchdog", *RELOADING):
            self.disarm("watchdog")
        if sub not in ("running", *RELOADING):
            self.disarm("runtime")
        if old != sub:
            self.do(Changed(old, sub))

    def fail(self, result: str) -> None:
        """The first result that is not success sticks until the next start."""
        if self.r.result == "success":
            self.r.result = result

    def finish(self, job: str, result: str) -> None:
        self.do(Finished(job, result))

    def spawn(self, role: str, index: int = 0, main: bool = False) -> None:
        self.r.timer_generation += 1
        token = f"{self.u.name}|{self.r.invocation[:8]}|{role}|{self.r.timer_generation}"
        self.r.command_index = index
        if main:
            self.r.main_token, self.r.main_pid, self.r.main_known, self.r.main_alien, self.r.exec_done = token, 0, False, False, False
        else:
            self.r.control_token, self.r.control_pid, self.r.control_role = token, 0, role
        self.do(Spawn(token, role, index, wants_exec_done=main and self.s.type == "exec"))

    @property
    def main_alive(self) -> bool:
        return bool(self.r.main_pid or self.r.main_token)

    @property
    def control_alive(self) -> bool:
        return bool(self.r.control_token)

    @property
    def stop_timeout(self) -> float:
        return self.s.timeout_stop

    @property
    def abort_timeout(self) -> float:
        return self.s.timeout_stop if self.s.timeout_abort is None else self.s.timeout_abort

    # -- the way up

    def start(self, event: Start) -> None:
        r = self.r
        if r.sub == "auto-restart" and not event.automatic:
            return  # a manual start waits for the restart that is planned (case restart-*)
        self.disarm("restart")
        r.condition_result = event.condition
        r.assert_result = event.condition and event.assertion  # asserts are looked at only when the conditions hold (cases cond-*)
        if not r.assert_result:
            if r.sub == "auto-restart":
                self.enter("dead")
            self.finish("start", "assert" if event.condition else "done")
            return
        ok, history = restart.within_limit(r.start_history, self.u.unit.start_limit_interval, self.u.unit.start_limit_burst, self.now)
        if not ok:
            self.fail("start-limit-hit")
            r.start_limit_hit = True
            r.last_failure = "start of the service was attempted too often"
            r.flush_restarts = True
            self.enter("failed")
            self.finish("start", "failed")
            return
        r.start_history, r.start_limit_hit = history, False
        if not event.automatic or r.flush_restarts:
            r.restart_attempt = 0
        if r.flush_restarts:  # also by a restart that somebody asked for while an automatic one was under way
            r.n_restarts = 0
        r.flush_restarts = False
        r.result = r.reload_result = "success"
        r.invocation = event.invocation
        r.start_succeeded = r.ready = False
        r.stop_requested = ""
        r.main_pid, r.main_token, r.main_known, r.main_alien = 0, "", False, False
        r.control_pid, r.control_token, r.control_role = 0, "", ""
        r.exec_main_code = r.exec_main_status = r.exec_main_pid = 0
        r.main_exit_result = r.status_text = r.last_failure = r.notify_state = r.notify_access = ""
        r.status_errno, r.watchdog_usec = 0, -1
        if self.s.type == "dbus":
            r.last_failure = "Type=dbus waits for a name on D-Bus, where unitd has no connection; set Type=notify or Type=exec in a drop-in"
            self.enter_dead("resources", False)
            return
        self.next_role("condition")

    def next_role(self, sub: str, empty: bool = False) -> None:
        """Enter the first state from `sub` on that has commands to run. `empty`: nothing of the unit runs, that is sure."""
        for state in STARTING[STARTING.index(sub) :]:
            role = ROLE_OF[state]
            if state == "start":
                self.enter_start()
                return
            if commands(self.u, role):
                self.enter(state, self.s.timeout_start)
                self.spawn(role)
                return
        self.enter_running("success", empty)

    def enter_start(self) -> None:
        if not self.s.exec_start:  # a oneshot that only stops something
            self.r.main_known = True
            self.enter("start", self.s.timeout_start)
            self.enter_start_post()
            return
        simple = self.s.type in ("simple", "idle")
        self.enter("start", INFINITY if simple else self.s.timeout_start)
        self.spawn("ExecStart", main=self.s.type != "forking")

    def enter_start_post(self, empty: bool = False) -> None:
        self.r.start_succeeded = True
        self.start_watchdog()
        self.next_role("start-post", empty)

    def start_watchdog(self) -> None:
        seconds = self.r.watchdog_usec / 1e6 if self.r.watchdog_usec >= 0 else self.s.watchdog
        if 0 < seconds < INFINITY:
            self.arm("watchdog", seconds)
        else:
            self.disarm("watchdog")

    def enter_running(self, result: str, empty: bool = False) -> None:
        """Up, if something still runs; else exited or on the way down (cases type-006, type-016). `empty`: nothing runs, that is sure."""
        r = self.r
        r.control_pid, r.control_token, r.control_role = 0, "", ""
        self.fail(result)
        if r.result != "success":
            self.enter_signal("stop-sigterm", result)
            return
        if self.main_alive or (not empty and (self.s.exit_type == "cgroup" or not r.main_known)):
            came_up = r.sub not in UP
            self.enter("running")
            if came_up:
                r.start_succeeded = True
                self.finish("start", "done")
                if self.s.runtime_max != INFINITY:
                    self.arm("runtime", self.s.runtime_max + self.jitter * self.s.runtime_randomized_extra)
                if "watchdog" not in r.deadlines:
                    self.start_watchdog()
            if not self.main_alive:
                self.do(WatchEmpty())
            if r.notify_state == "stopping":
                self.enter_stop_by_notify()
            elif r.notify_state == "reloading":
                self.enter("reload-notify" if self.s.type == "notify-reload" else "reload", self.s.timeout_start)
        elif self.s.remain_after_exit:
            came_up = r.sub not in UP
            self.enter("exited")
            if came_up:
                self.finish("start", "done")
        else:
            self.enter_stop("success")

    # -- the way down

    def enter_stop(self, result: str) -> None:
        self.fail(result)
        if self.s.exec_stop and self.r.start_succeeded:
            self.enter("stop", self.stop_timeout)
            self.spawn("ExecStop")
        else:
            self.enter_signal("stop-sigterm", "success")

    def enter_stop_by_notify(self) -> None:
        self.enter("stop-sigterm", self.stop_timeout)
        self.do(WatchEmpty())

    def enter_stop_post(self, result: str) -> None:
        self.fail(result)
        if self.s.exec_stop_post:
            self.enter("stop-post", self.stop_timeout)
            self.spawn("ExecStopPost")
        else:
            self.enter_signal("final-sigterm", "success")

    def signal_number(self, sub: str) -> int:
        """The signal that belongs to a state in which processes are ended."""
        k = self.u.kill
        if sub.endswith("sigkill"):
            return k.final_signal
        if sub.endswith("watchdog"):
            return k.watchdog_signal
        return k.restart_signal if self.r.stop_requested == "restart" and k.restart_signal else k.signal

    def signal_late(self, whom: str) -> None:
        """A process was asked for before the stop and came into being after its signal: it gets it now."""
        kill = self.r.sub.endswith("sigkill")
        if self.u.kill.mode != "none":
            self.do(Signal(whom, self.signal_number(self.r.sub), also_hup=self.u.kill.send_sighup and not kill))

    def enter_signal(self, sub: str, result: str) -> None:
        """Signal what is left and wait; nothing to wait for: go on at once (systemd.kill(5))."""
        self.fail(result)
        k = self.u.kill
        kill, number = sub.endswith("sigkill"), self.signal_number(sub)
        group = k.mode == "control-group" or (k.mode == "mixed" and kill)
        if k.mode != "none" and (group or self.main_alive or self.control_alive):
            timeout = self.abort_timeout if sub.endswith("watchdog") else self.stop_timeout
            # Leftovers alone get the same two rounds of signals; Empty comes at once when there are none.
            self.enter(sub, timeout)
            self.do(Signal("all" if group else "main+control", number, also_hup=k.send_sighup and not kill))
            self.do(WatchEmpty())
        elif sub in ("stop-sigterm", "stop-watchdog", "final-sigterm", "final-watchdog") and k.send_sigkill and k.mode == "mixed":
            self.enter_signal("stop-sigkill" if sub.startswith("stop") else "final-sigkill", "success")
        elif sub in STOPPING:
            self.enter_stop_post("success")
        else:
            self.enter_dead("success", True)

    def enter_dead(self, result: str, allow_restart: bool) -> None:
        """Down. A commanded stop always wins over Restart=."""
        r = self.r
        self.fail(result)
        r.main_pid, r.main_token = 0, ""
        r.control_pid, r.control_token, r.control_role = 0, "", ""
        last = Exit(r.exec_main_code, r.exec_main_status) if r.exec_main_code else None
        again = allow_restart and not r.stop_requested and restart.decide(self.s, r.result, last)
        if r.result not in ("success", "exec-condition") and not r.last_failure:
            r.last_failure = describe(r)
        end = "dead" if r.result in ("success", "exec-condition") else "failed"
        self.do(Cleanup(restarting=again))
        if again:
            wait = restart.delay(self.s, r.restart_attempt)
            r.restart_delay = wait
            r.restart_attempt += 1
            if self.s.restart_mode != "direct":
                self.enter(end)
            self.enter("auto-restart")
            if wait != INFINITY:
                self.arm("restart", wait)
        else:
            r.flush_restarts = True
            self.enter(end)
        self.finish("start", "done" if end == "dead" else "failed")
        self.finish("stop", "done")
        self.finish("reload", "failed")

    def kill_after_timeout(self, mode: str, final: bool) -> None:
        """A start, stop or post step took too long: Timeout*FailureMode=."""
        stem = "final" if final else "stop"
        if mode == "abort":
            self.enter_signal(f"{stem}-watchdog", "timeout")
        elif mode == "kill":
            if self.u.kill.send_sigkill:
                self.enter_signal(f"{stem}-sigkill", "timeout")
            elif final:
                self.enter_dead("timeout", False)
            else:
                self.enter_stop_post("timeout")
        else:
            self.enter_signal(f"{stem}-sigterm", "timeout")


def describe(r: Record) -> str:
    """Why the unit failed, in one sentence for people."""
    if r.result == "exit-code":
        return f"the main process exited with status {r.exec_main_status}" if r.exec_main_code == CLD_EXITED else "a control process failed"
    return {
        "signal": f"the main process was killed by signal {r.exec_main_status}",
        "core-dump": f"the main process dumped core (signal {r.exec_main_status})",
        "timeout": "a timeout was exceeded",
        "watchdog": "the watchdog was not fed in time",
        "protocol": "it did not signal readiness as its Type= demands",
        "resources": "the manager could not set up what it needs",
        "oom-kill": "it ran out of memory",
    }.get(r.result, r.result)

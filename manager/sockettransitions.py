"""How a socket unit enters and leaves its states (systemd.socket(5)). Pure; `socketmachine` has the table of state × event."""

from __future__ import annotations

from unitd.manager.socketstates import ChownSockets, CloseSockets, OpenSockets, UnwatchSockets, WatchSockets
from unitd.manager.states import Changed, Cleanup, Signal
from unitd.manager.transitions import Step
from unitd.units.model import INFINITY, Command, Unit

STOPPING = ("stop-pre", "stop-pre-sigterm", "stop-pre-sigkill", "stop-post", "final-sigterm", "final-sigkill")
#: States in which the sockets exist.
OPEN = ("start-chown", "start-post", "listening", "running", "stop-pre", "stop-pre-sigterm", "stop-pre-sigkill")
#: SubStates of a service that leave its socket to wait for traffic again.
SERVICE_DOWN = ("dead", "failed", "final-sigterm", "final-sigkill", "auto-restart")


def commands(unit: Unit, role: str) -> tuple[Command, ...]:
    """The commands of an Exec*= role."""
    s = unit.socket
    return {"ExecStartPre": s.exec_start_pre, "ExecStartPost": s.exec_start_post, "ExecStopPre": s.exec_stop_pre, "ExecStopPost": s.exec_stop_post}[role]


class SocketStep(Step):
    """One step under way."""

    def enter(self, sub: str, timeout: float = INFINITY) -> None:
        """Change the SubState; sockets are watched in `listening` only, and closed where they have no business to be."""
        old, self.r.sub = self.r.sub, sub
        self.arm("state", timeout)
        self.disarm("poll")
        if old == "listening" and sub != "listening":
            self.do(UnwatchSockets())
        if old in OPEN and sub not in OPEN:
            self.do(CloseSockets())
        if old != sub:
            self.do(Changed(old, sub))

    def run(self, sub: str, role: str) -> bool:
        """Enter `sub` and run the commands of `role`, if there are any."""
        if not commands(self.u, role):
            return False
        self.enter(sub, self.u.socket.timeout)
        self.spawn(role)
        return True

    # -- the way up

    def enter_start_pre(self) -> None:
        if not self.run("start-pre", "ExecStartPre"):
            self.do(OpenSockets())

    def enter_start_chown(self) -> None:
        if self.u.socket.user or self.u.socket.group:
            self.enter("start-chown", self.u.socket.timeout)
            self.do(ChownSockets())
        else:
            self.enter_start_post()

    def enter_start_post(self, empty: bool = False) -> None:
        if not self.run("start-post", "ExecStartPost"):
            self.enter_listening()

    def enter_listening(self) -> None:
        came_up = self.r.sub not in ("listening", "running")
        self.enter("listening")
        self.do(WatchSockets(flush=self.u.socket.flush_pending and not self.u.socket.accept))
        if came_up:
            self.finish("start", "done")

    # -- the way down

    def enter_stop_pre(self, result: str) -> None:
        self.fail(result)
        if not self.run("stop-pre", "ExecStopPre"):
            self.enter_stop_post("success")

    def enter_stop_post(self, result: str) -> None:
        self.fail(result)
        if not self.run("stop-post", "ExecStopPost"):
            self.enter_signal("final-sigterm", "success")

    def enter_signal(self, sub: str, result: str) -> None:
        """Signal the control process and wait for it; without one go on at once."""
        self.fail(result)
        kill = sub.endswith("sigkill")
        if self.control_alive and self.u.kill.mode != "none" and (not kill or self.u.kill.send_sigkill):
            self.enter(sub, self.u.socket.timeout)
            self.do(Signal("control", self.u.kill.final_signal if kill else self.u.kill.signal, also_hup=self.u.kill.send_sighup and not kill))
        elif sub.startswith("stop-pre"):
            self.enter_stop_post("success")
        else:
            self.down("success")

    def down(self, result: str) -> None:
        self.fail(result)
        r = self.r
        if any(commands(self.u, role) for role in ("ExecStartPre", "ExecStartPost", "ExecStopPre", "ExecStopPost")):
            self.do(Signal("all", 9))  # what the commands left behind
        r.control_pid, r.control_token, r.control_role = 0, "", ""
        if r.result != "success" and not r.last_failure:
            r.last_failure = REASONS.get(r.result, r.result)
        self.enter("dead" if r.result == "success" else "failed")
        self.do(Cleanup(restarting=r.stop_requested == "restart"))
        self.finish("start", "failed")
        self.finish("stop", "done")


REASONS = {
    "resources": "its sockets could not be made",
    "timeout": "a command took too long",
    "exit-code": "a command failed",
    "signal": "a command was killed by a signal",
    "core-dump": "a command dumped core",
    "trigger-limit-hit": "it was triggered too often (TriggerLimitBurst= in TriggerLimitIntervalSec=)",
    "service-start-limit-hit": "its service was started too often",
    "start-limit-hit": "start of the socket was attempted too often",
}

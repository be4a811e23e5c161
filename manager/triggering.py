"""What the machines of timer and path units share: starts, ends, failures, the activation of another unit. Pure."""

from __future__ import annotations

from unitd.manager import restart
from unitd.manager.states import Changed, Effect, Event, Finished, Log, Record, Reload, ResetFailed, Start, Stop
from unitd.manager.triggerstates import TriggerState
from unitd.units.model import Unit

DOWN = ("dead", "failed")
#: Results of timer and path units in words.
REASONS = {
    "resources": "the unit to activate cannot be started",
    "start-limit-hit": "it was started too often (StartLimitBurst= in StartLimitIntervalSec=)",
    "trigger-limit-hit": "it was triggered too often (TriggerLimitBurst= in TriggerLimitIntervalSec=)",
    "unit-start-limit-hit": "the unit to activate was started too often (its StartLimitBurst= in StartLimitIntervalSec=)",
}


class Step:
    """One step of a machine: a record of its own to change, and the effects so far."""

    def __init__(self, record: Record, unit: Unit, now: float, jitter: float) -> None:
        self.r, self.unit, self.now, self.jitter = record.copy(), unit, now, jitter
        self.r.deadlines = dict(record.deadlines)
        self.effects: list[Effect] = []

    def do(self, *effects: Effect) -> None:
        """Ask for effects."""
        self.effects += effects

    def enter(self, sub: str) -> None:
        """Change the SubState."""
        old, self.r.sub = self.r.sub, sub
        if old != sub:
            self.do(Changed(old, sub))

    # -- what timers and paths do alike

    def job(self, event: Event) -> bool:
        """Act on a job or on reset-failed, which mean the same to both; False for any other event."""
        match event:
            case Start():
                self.start(event)
            case Stop():
                self.stop()
            case Reload():
                self.do(Finished("reload", "failed"))
            case ResetFailed():
                self.reset()
            case _:
                return False
        return True

    def start(self, event: Start) -> None:
        """Refuse, be done, or ask for the facts that the start needs."""
        r = self.r
        r.condition_result, r.assert_result = event.condition, event.condition and event.assertion
        if not r.assert_result:
            self.do(Finished("start", "assert" if event.condition else "done"))
        elif r.sub not in DOWN:
            self.do(Finished("start", "done"))
        else:
            self.do(self.question(event.invocation))

    def stop(self) -> None:
        """Be dead."""
        if self.r.sub not in DOWN:
            self.rest()
            self.r.result = "success"
            self.enter("dead")
        self.do(Finished("stop", "done"))

    def question(self, invocation: str) -> Effect:
        """What asks for the facts that a start needs."""
        raise NotImplementedError

    def rest(self) -> None:
        """Watch nothing any more."""
        raise NotImplementedError

    def not_activated(self, problem: str) -> None:
        """The unit to activate cannot be started."""
        self.fail("resources", f"{self.unit.name} cannot activate its unit: {problem}")

    def may_start(self, invocation: str, trigger: TriggerState, problem: str = "") -> bool:
        """Begin a new activation, or end the start job with the reason why not."""
        u, r = self.unit.unit, self.r
        ok, r.start_history = restart.within_limit(r.start_history, u.start_limit_interval, u.start_limit_burst, self.now)
        r.last_failure = "" if ok else REASONS["start-limit-hit"]
        if not ok:
            r.result = "start-limit-hit"
            self.enter("failed")
        problem = problem or trigger.problem
        if problem:
            r.last_failure = problem
            self.do(Log("error", f"cannot start {self.unit.name}, because {problem}"))
        if r.last_failure:
            self.do(Finished("start", "failed"))
            return False
        r.result, r.invocation = "success", invocation
        return True

    def fail(self, result: str, reason: str = "") -> None:
        """The unit is failed."""
        self.r.result, self.r.last_failure = result, reason or REASONS[result]
        self.enter("failed")

    def reset(self) -> None:
        """reset-failed."""
        self.r.result, self.r.last_failure, self.r.start_history = "success", "", []
        if self.r.sub == "failed":
            self.enter("dead")


def is_down(trigger: TriggerState) -> bool:
    """Is the unit that is activated neither up nor on its way?"""
    return trigger.active in ("inactive", "failed")

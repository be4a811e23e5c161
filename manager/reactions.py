"""What other units make of a unit's change of state: BindsTo=, Upholds=, StopWhenUnneeded=, OnFailure= and their like. No system calls.

The rules are those of systemd's unit_notify().
"""

from __future__ import annotations

from collections import defaultdict, deque

from unitd.manager.jobqueue import JobQueue
from unitd.manager.jobs import UP_STATES, Job, Refused
from unitd.manager.platform import Platform
from unitd.manager.states import Record, exit_status
from unitd.manager.unittable import UnitSource
from unitd.units.model import Unit

#: Automatic starts and stops of one unit by Upholds=, BindsTo= and StopWhenUnneeded=: at most so many in so many seconds.
AUTOMATIC_BURST, AUTOMATIC_INTERVAL = 16, 10.0


class Reactions(JobQueue):
    """Turns changes into requests. What depends on a continuing state is looked at once the queue has run (`settle`)."""

    def __init__(self, source: UnitSource, platform: Platform) -> None:
        super().__init__(source, platform)
        self.monitors: dict[str, dict[str, str]] = {}  # TRIGGER_* of units started by timers and paths
        self._unneeded: dict[str, None] = {}
        self._bound: dict[str, None] = {}
        self._upheld: dict[str, None] = {}
        self._history: dict[str, deque[float]] = defaultdict(deque)

    def request(self, name: str, verb: str, mode: str = "replace") -> None:
        """A job that nobody waits for: a refusal is logged."""
        try:
            self.submit([name], verb, mode)
        except Refused as error:
            self.platform.log("error", f"cannot {verb} {name}: {error}")

    def react(self, unit: Unit, record: Record, old: str, new: str) -> None:
        """The unit went from ActiveState `old` to `new`; its job has not heard of it yet."""
        name, related = unit.name, self.graph.related
        down, was_down = new in ("inactive", "failed"), old in ("inactive", "failed")
        unexpected = self.process(name, old, new)
        if unexpected and was_down and new in UP_STATES:
            after = related(name, "After")
            for other in related(name, "retroactive-start"):
                if other not in after and not self.is_up(other):
                    self.request(other, "start")
            for other in related(name, "Wants"):
                if other not in after and not self.is_up(other):
                    self.request(other, "start", "fail")
            for other in related(name, "retroactive-stop-on-start"):
                if self.is_up(other):
                    self.request(other, "stop")
        elif unexpected and old in UP_STATES and new not in UP_STATES:
            for other in related(name, "retroactive-stop-on-stop"):
                if self.is_up(other):
                    self.request(other, "stop")
        will_restart = record.sub == "auto-restart"
        if new == "failed" and old != "failed":
            if not will_restart:
                self.trigger(unit, "OnFailure")
                self.act(unit, record, "failure")
        elif new == "inactive" and not was_down and not will_restart:
            self.trigger(unit, "OnSuccess")
            self.act(unit, record, "success")
        if down:
            self._unneeded.update(dict.fromkeys(related(name, "pinned")))
            self._bound.update(dict.fromkeys(related(name, "BoundBy")))
            self._upheld[name] = None
            self.look_at(name)
        elif new in ("active", "reloading"):
            self._upheld.update(dict.fromkeys(related(name, "Upholds")))
            self._unneeded[name] = self._bound[name] = None
        if new != old:
            self.platform.later()

    def trigger(self, unit: Unit, kind: str) -> None:
        """Start the OnFailure= or OnSuccess= units."""
        mode = unit.unit.on_failure_job_mode if kind == "OnFailure" else unit.unit.on_success_job_mode
        for name in self.graph.related(unit.name, kind):
            self.request(name, "start", mode)

    def monitored(self, unit: Unit) -> dict[str, str]:
        """The MONITOR_* variables of a service: the state of the one service that names it in OnFailure= or OnSuccess=; none where that is not clear."""
        sources = [*self.graph.related(unit.name, "OnFailureOf"), *self.graph.related(unit.name, "OnSuccessOf")]
        if len(sources) != 1 or not sources[0].endswith(".service"):
            return {}
        record = self.record(sources[0])
        told = {"MONITOR_SERVICE_RESULT": record.result, "MONITOR_UNIT": sources[0]}
        if record.main_exit_result:
            told |= {"MONITOR_EXIT_CODE": record.main_exit_result, "MONITOR_EXIT_STATUS": exit_status(record)}
        if record.invocation:
            told["MONITOR_INVOCATION_ID"] = record.invocation
        return told

    def act(self, unit: Unit, record: Record, what: str) -> None:
        """SuccessAction=, FailureAction=, StartLimitAction=: what the end of a unit means for all of unitd."""
        u = unit.unit
        action, status = (u.failure_action, u.failure_action_exit_status) if what == "failure" else (u.success_action, u.success_action_exit_status)
        if action == "none":
            return
        if status is None:
            status = record.exec_main_status if record.exec_main_code == 1 else 1 if what == "failure" else 0
        self.platform.act(unit.name, action, status)

    def job_failed(self, job: Job, result: str) -> None:
        unit = self.graph.units.get(job.unit)
        if unit is None:
            return
        self.platform.log("warning", f"job {job.unit}/{job.type} failed with result '{result}'")
        self.trigger(unit, "OnFailure")
        action = unit.unit.job_timeout_action
        if result == "timeout" and action != "none":
            self.platform.act(unit.name, action, 1)

    # -- states that call for something as long as they last

    def settle(self) -> bool:
        """Start what is upheld, stop what is bound to something that is down or not needed; True if there was anything to look at."""
        upheld, self._upheld = self._upheld, {}
        bound, self._bound = self._bound, {}
        unneeded, self._unneeded = self._unneeded, {}
        for name in upheld:
            by = self._upheld_by(name)
            if by and self._not_too_often(name, f"start {name}, which {by} upholds"):
                self.request(name, "start", "fail")
        for name in bound:
            to = self._bound_to_down(name)
            if to and self._not_too_often(name, f"stop {name}, which is bound to {to}"):
                self.request(name, "stop")
        for name in unneeded:
            if self._is_unneeded(name) and self._not_too_often(name, f"stop {name}, which is not needed any more"):
                self.request(name, "stop", "fail")
        return bool(upheld or bound or unneeded)

    def _not_too_often(self, name: str, what: str) -> bool:
        now, history = self.platform.now(), self._history[name]
        while history and history[0] <= now - AUTOMATIC_INTERVAL:
            history.popleft()
        if len(history) >= AUTOMATIC_BURST:
            self.platform.log("warning", f"cannot {what}, because that was tried too often lately")
            return False
        history.append(now)
        return True

    def _upheld_by(self, name: str) -> str:
        if self.active(name) not in ("inactive", "failed") or name in self.jobs:
            return ""
        ups = (o for o in self.graph.related(name, "UpheldBy") if o not in self.jobs and self.active(o) in ("active", "reloading"))
        return next(ups, "")

    def _bound_to_down(self, name: str) -> str:
        if self.active(name) not in ("active", "reloading") or name in self.jobs:
            return ""
        downs = (o for o in self.graph.related(name, "BindsTo") if o not in self.jobs and self.active(o) in ("inactive", "failed"))
        return next(downs, "")

    def _is_unneeded(self, name: str) -> bool:
        unit = self.graph.units.get(name)
        if unit is None or not unit.unit.stop_when_unneeded or name in self.jobs or self.active(name) not in ("active", "reloading"):
            return False
        return all(o not in self.jobs and self.active(o) in ("inactive", "failed") for o in self.graph.related(name, "pins"))

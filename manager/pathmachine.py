"""The machine of path units: what is watched, and when it activates the unit (systemd.path(5); states and rules are those of systemd's path.c). Pure.

dead -> waiting (watching) -> running (the unit was activated and is up) -> waiting ...
"""

from __future__ import annotations

import copy

from unitd.manager import restart
from unitd.manager.states import Effect, Event, Finished, Record
from unitd.manager.triggering import DOWN, Step, is_down
from unitd.manager.triggerstates import Activate, Activated, AskPath, PathEvent, PathFacts, PathState, Resumed, TriggerChanged, UnwatchPath
from unitd.units.model import Unit

#: What activates the unit as long as it is so; the others at a change only.
_LASTING = ("PathExists", "PathExistsGlob", "DirectoryNotEmpty")


def step(record: Record, unit: Unit, event: Event, now: float, jitter: float = 0.0) -> tuple[Record, list[Effect]]:
    """The record after `event`, and what to do."""
    s = _PathStep(record, unit, now, jitter)
    if s.job(event):
        return s.r, s.effects
    sub = record.sub
    match event:
        case PathFacts():
            s.facts(event)
        case PathEvent() if sub == "waiting":
            if event.changed:
                s.activate(unit.path.specs[event.index].path if 0 <= event.index < len(unit.path.specs) else "")
            else:
                s.do(AskPath(watch=True))
        case Activated() if sub == "running" and event.problem:
            s.not_activated(event.problem)
        case TriggerChanged() if sub in ("waiting", "running"):
            if event.state.start_limit_hit:
                s.do(UnwatchPath())
                s.fail("unit-start-limit-hit")
            elif is_down(event.state) == (sub == "running"):
                s.do(AskPath(by_trigger=True, watch=True))
        case Resumed() if sub in ("waiting", "running"):
            s.do(AskPath(watch=True, by_trigger=event.reloaded))
        case _:
            return record, []
    return s.r, s.effects


class _PathStep(Step):
    def __init__(self, record: Record, unit: Unit, now: float, jitter: float) -> None:
        super().__init__(record, unit, now, jitter)
        self.p = self.r.path = copy.deepcopy(record.path) if record.path is not None else PathState()

    def question(self, invocation: str) -> Effect:
        return AskPath(starting=invocation, make=True, watch=True)

    def rest(self) -> None:
        self.do(UnwatchPath())

    def facts(self, f: PathFacts) -> None:
        """Look at what is there (path_enter_waiting in systemd). The watch stands already, so nothing is missed between."""
        if f.starting:
            if self.r.sub not in DOWN:
                return
            if not self.may_start(f.starting, f.trigger, f.problem):
                self.do(UnwatchPath())
                return
            self.p.exists, self.p.history = [], []
        elif self.r.sub in DOWN:
            return
        elif f.problem or f.trigger.problem:
            self.do(UnwatchPath())
            self.fail("resources", f.problem or f.trigger.problem)
            return
        if not is_down(f.trigger):
            self.p.exists = list(f.exists)
            self.do(UnwatchPath())
            self.enter("running")
        else:
            found = self.good(f)
            if found is not None:
                self.activate(found)
            else:
                self.enter("waiting")
        if f.starting:
            self.do(Finished("start", "done"))

    def good(self, f: PathFacts) -> str | None:
        """The path that calls for the unit, or None."""
        before, self.p.exists = self.p.exists, list(f.exists)
        for index, (spec, there) in enumerate(zip(self.unit.path.specs, f.exists, strict=False)):
            name = f.found[index] if index < len(f.found) else spec.path
            if spec.kind in _LASTING:
                if there:
                    return name
            elif not f.starting and not f.by_trigger and index < len(before) and there != before[index]:
                return name  # it came or went
        return None

    def activate(self, path: str) -> None:
        """Start the unit (path_enter_running)."""
        section = self.unit.path
        self.do(UnwatchPath())
        ok, self.p.history = restart.within_limit(self.p.history, section.trigger_limit_interval, section.trigger_limit_burst, self.now)
        if not ok:
            self.fail("trigger-limit-hit")
            return
        self.enter("running")
        self.do(Activate((("TRIGGER_UNIT", self.unit.name), ("TRIGGER_PATH", path))))

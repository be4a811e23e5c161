"""The machine of units that are only a name with dependencies, targets and slices: up at once, down at once. Pure."""

from __future__ import annotations

from unitd.manager.states import Changed, Effect, Event, Finished, Record, Reload, ResetFailed, Start, Stop
from unitd.units.model import Unit


def step(record: Record, unit: Unit, event: Event, now: float, jitter: float = 0.0) -> tuple[Record, list[Effect]]:
    """The record after `event`, and what to do."""
    if isinstance(event, Start):
        r = record.copy()
        r.condition_result, r.assert_result = event.condition, event.condition and event.assertion
        if not r.assert_result:
            return r, [Finished("start", "assert" if event.condition else "done")]
        r.sub, r.invocation = "active", event.invocation
        return r, [Changed(record.sub, "active"), Finished("start", "done")]
    if isinstance(event, Stop | ResetFailed):
        r = record.copy()
        r.sub = "dead" if isinstance(event, Stop) or record.sub == "failed" else record.sub
        return r, [*([Changed(record.sub, r.sub)] if r.sub != record.sub else []), Finished("stop", "done")]
    if isinstance(event, Reload):
        return record, [Finished("reload", "failed")]
    return record, []

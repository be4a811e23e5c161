"""What subscribers are told about units: built from records, machine events and effects. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from unitd.bus import events as bus
from unitd.bus.events import payload
from unitd.manager.jobs import Job
from unitd.manager.states import ACTIVE_OF, Changed, Effect, Event, Exited, Finished, Record

#: (topic, data) to publish.
Message = tuple[str, dict[str, Any]]

_CODES = {1: "exited", 2: "killed", 3: "dumped"}


def changed(record: Record, change: Changed, at: float) -> Message:
    """A unit is in another state. `at` is CLOCK_REALTIME, here and below."""
    event = bus.UnitChanged(
        unit=record.name,
        time=at,
        active=ACTIVE_OF[change.new_sub],
        sub=change.new_sub,
        old_active=ACTIVE_OF[change.old_sub],
        old_sub=change.old_sub,
        result=record.result,
        main_pid=record.main_pid,
        restarts=record.n_restarts,
    )
    return f"unit.{record.name}", payload(event)


def job(job: Job, state: str, at: float, result: str = "") -> Message:
    """A job waits ("waiting"), or is over ("finished")."""
    return f"job.{job.unit}", payload(bus.JobChanged(unit=job.unit, time=at, id=job.id, type=job.type, state=state, result=result))


def of_step(before: Record, after: Record, event: Event, effects: Iterable[Effect], now: float, at: float) -> Iterator[Message]:
    """What one step of a unit's machine tells besides its changes of state: exits, plans to restart, status texts, reloads."""
    topic, name = f"unit.{after.name}", after.name
    if isinstance(event, Exited) and event.pid > 0:
        role = "ExecStart" if event.token and event.token == before.main_token else before.control_role if event.token == before.control_token else ""
        if role:
            code = _CODES.get(event.exit.code, "exited")
            yield topic, payload(bus.ProcessExited(unit=name, time=at, pid=event.pid, role=role, code=code, status=event.exit.status))
    pending = after.deadlines.get("restart")
    if pending is not None and pending != before.deadlines.get("restart"):
        reason = after.last_failure or after.result
        plan = bus.RestartPlanned(
            unit=name, time=at, reason=reason, delay=after.restart_delay, attempt=after.restart_attempt, at=at + max(0.0, pending[0] - now)
        )
        yield topic, payload(plan)
    if (after.status_text, after.status_errno) != (before.status_text, before.status_errno) and (after.status_text or after.status_errno):
        yield topic, payload(bus.StatusText(unit=name, time=at, text=after.status_text, errno=after.status_errno))
    for effect in effects:
        if isinstance(effect, Finished) and effect.job == "reload":
            yield topic, payload(bus.Reloaded(unit=name, time=at, result=effect.result))


def reloaded(problems: list[str], at: float) -> Message:
    """Unit files were read again."""
    return "manager.reload", payload(bus.Reloaded(time=at, problems=problems))


def manager(what: str, instance: str, at: float, detail: str = "") -> Message:
    """Something about the manager itself: "started", "stopping"."""
    return f"manager.{what}", payload(bus.ManagerEvent(time=at, what=what, instance=instance, detail=detail))


def socket(name: str, what: str, at: float, peer: str = "", accepted: int = 0, connections: int = 0) -> Message:
    """A socket unit had a connection, traffic, a refusal."""
    event = bus.SocketActivity(unit=name, time=at, what=what, peer=peer, accepted=accepted, connections=connections)
    return f"unit.{name}", payload(event)


def log_written(name: str, size: int, at: float) -> Message:
    """Output of a unit has reached its file."""
    return f"log.{name}", payload(bus.LogWritten(unit=name, time=at, size=size))

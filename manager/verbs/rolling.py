"""Rolling restarts: units one by one."""

from __future__ import annotations

from typing import Any

from unitd.bus.messages import Reply, Request
from unitd.manager import rollout
from unitd.manager.jobs import Refused
from unitd.manager.verbs.base import Context, verb
from unitd.manager.verbs.jobs import explain, job_result
from unitd.units import names, pools


def members(c: Context, patterns: list[str]) -> list[str]:
    """What a rolling restart goes through: pools and templates stand for their instances that are up; in the order of their numbers."""
    found: dict[str, None] = {}
    for unit in c.expand(patterns):
        stem = pools.template_of(unit.name) or (unit.name if "@." in unit.name else "")
        if stem:
            prefix = names.split(stem)[0]
            found.update(dict.fromkeys(n for n in c.engine.graph.units if names.split(n)[0] == prefix and names.split(n)[1] and n.endswith(".service")))
        else:
            found[unit.name] = None
    up = [n for n in found if c.engine.is_up(n)]
    return sorted(up, key=lambda n: (names.split(n)[0], pools.number_of(n), n))


@verb("rolling")
async def rolling(c: Context, request: Request) -> Reply:
    """Restart units that are up one at a time, each when the one before is ready again; stop at the first that fails."""
    units = members(c, request.units)
    if not units:
        raise Refused("nothing", f"cannot restart {' '.join(request.units)}, because no unit of that name is up", 5)
    state = rollout.begin(units)
    errors: list[str] = []
    while state.current:
        name = state.current
        unit, result = c.engine.unit(name), "failed"
        try:
            ((_, job),) = c.engine.submit([name], "restart")
            if job is not None:
                unit, result = await job_result(c, unit, job)
        except Refused as error:
            errors.append(f"Failed to restart {name}: {error}")
        state = rollout.ended(state, name, result)
    if state.failed:
        errors += explain(c, c.engine.unit(state.failed), "restart", "failed") if not errors else []
        errors.append(f"The rolling restart ended with {state.failed}; {len(state.done)} units were restarted, {len(state.todo)} were left as they are.")
    data: dict[str, Any] = {"done": list(state.done), "failed": state.failed, "left": list(state.todo)}
    return Reply(id=request.id, ok=not errors, exit_code=1 if errors else 0, err="".join(e + "\n" for e in errors), data=data)

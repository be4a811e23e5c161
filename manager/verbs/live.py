"""Verbs of the live view, and what its keys command."""

from __future__ import annotations

import unitd
from unitd.bus.messages import Reply, Request
from unitd.manager.verbs import scale
from unitd.manager.verbs.base import Context, failure, verb

#: Modules whose verbs come with these.
WITH = (scale,)


@verb("snapshot")
async def snapshot(c: Context, request: Request) -> Reply:
    """All units, or those that are named, at one position in the events."""
    units = c.expand(request.units) if request.units else c.all_units()
    return Reply(id=request.id, ok=True, data=c.live.snapshot(units))


@verb("stats")
async def stats(c: Context, request: Request) -> Reply:
    """What units use now: those that are named, or all that are up. Options: measure (seconds for which CPU is watched), history (seconds), pss, sockets."""
    if request.units:
        units = c.expand(request.units)
        missing = [u.name for u in units if u.load_state == "not-found" and not c.engine.is_up(u.name)]
        if missing:
            return failure(request, "no-such-unit", f"Unit {missing[0]} not found.", "unitctl list-units --all lists what there is", 4)
    else:
        up = set(c.live.sampler.up())
        units = [unit for unit in c.all_units() if unit.name in up]
    measure, history = (number(request, name, default, most) for name, default, most in (("measure", 0.5, 10.0), ("history", 0.0, 86400.0)))
    flags = {name: bool(request.options.get(name)) for name in ("pss", "sockets")}
    return Reply(id=request.id, ok=True, data=await c.live.usage(units, measure, history, **flags))


@verb("metrics")
async def metrics(c: Context, request: Request) -> Reply:
    """OpenMetrics text of all figures, in `out`."""
    return Reply(id=request.id, ok=True, out=await c.live.metrics(unitd.__version__))


def number(request: Request, name: str, default: float, most: float) -> float:
    """A number of seconds among the options. Raises ValueError."""
    value = request.options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise ValueError(f"cannot use {name}={value!r}, because it has to be a number of seconds from 0 to {most:g}")
    return float(value)

"""Verbs of the live view."""

from __future__ import annotations

from unitd.bus.messages import Reply, Request
from unitd.manager.verbs.base import Context, verb


@verb("snapshot")
async def snapshot(c: Context, request: Request) -> Reply:
    """All units, or those that are named, at one position in the events."""
    units = c.expand(request.units) if request.units else c.all_units()
    return Reply(id=request.id, ok=True, data=c.live.snapshot(units))

"""Verbs about captured output."""

from __future__ import annotations

import os

from unitd.bus import logstore
from unitd.bus.messages import Reply, Request
from unitd.manager.verbs.base import Context, failure, verb


@verb("logs")
async def logs(c: Context, request: Request) -> Reply:
    """Write out what is in the pipes, and say under which name a unit's output is kept."""
    units = c.expand(request.units) if request.units else c.all_units()
    missing = [u.name for u in units if u.load_state == "not-found" and not os.path.isdir(c.output.directory(u.name))]
    if missing and request.units:
        return failure(request, "no-such-unit", f"Unit {missing[0]} not found.", "unitctl list-units --all lists what there is", 4)
    await c.flush_output()
    return Reply(id=request.id, ok=True, data=[{"unit": u.name, "dir": c.output.directory(u.name)} for u in units])


@verb("logs-rotate")
async def rotate(c: Context, request: Request) -> Reply:
    """Begin new files now."""
    for unit in logstore.units(c.output.log_dir, request.units):
        c.output.log.rotate(unit, c.output.directory(unit))
    await c.flush_output()
    return Reply(id=request.id, ok=True)

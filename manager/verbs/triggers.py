"""list-timers, list-paths."""

from __future__ import annotations

from unitd.bus.messages import Reply, Request
from unitd.manager import triggerviews
from unitd.manager.verbs.base import Context, verb
from unitd.units.model import Unit


def chosen(c: Context, request: Request, kind: str) -> list[Unit]:
    """Units of a type that the patterns name, or all; those that are down only with --all."""
    wanted = [name if any(ch in name for ch in "*?[") or name.endswith("." + kind) else f"{name}.{kind}" for name in request.units]
    units = c.expand(wanted) if wanted else c.all_units()
    rows = [unit for unit in units if unit.type == kind and unit.load_state == "loaded"]
    return rows if request.options.get("all") else [unit for unit in rows if c.engine.record(unit.name).active == "active"]


@verb("list-timers")
async def list_timers(c: Context, request: Request) -> Reply:
    platform = c.engine.platform
    realtime, now = platform.realtime(), platform.now()
    rows = [triggerviews.timer_row(unit, c.engine.record(unit.name), realtime, now) for unit in chosen(c, request, "timer")]
    rows.sort(key=lambda row: (not row["next"], row["next"], row["unit"]))
    return Reply(id=request.id, ok=True, data={"now": realtime, "timers": rows})


@verb("list-paths")
async def list_paths(c: Context, request: Request) -> Reply:
    rows = [row for unit in chosen(c, request, "path") for row in triggerviews.path_rows(unit, c.engine.record(unit.name))]
    return Reply(id=request.id, ok=True, data=sorted(rows, key=lambda row: (row["path"], row["unit"])))

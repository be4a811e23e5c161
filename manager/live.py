"""The live view of all units for the bus: snapshots that fit into the stream of events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from unitd.bus.events import payload
from unitd.manager import metrics, procsockets
from unitd.units import names
from unitd.units.model import Unit

if TYPE_CHECKING:
    from unitd.bus.server import BusServer
    from unitd.manager.engine import Engine
    from unitd.manager.sampler import Sampler
    from unitd.manager.views import Views

#: Timestamp from which a unit is in its ActiveState.
_SINCE = {"active": "ActiveEnter", "reloading": "ActiveEnter", "inactive": "InactiveEnter", "failed": "InactiveEnter"}


class Live:
    """Reads; changes nothing."""

    def __init__(self, bus: BusServer, engine: Engine, views: Views, sampler: Sampler) -> None:
        self.bus, self.engine, self.views, self.sampler = bus, engine, views, sampler
        self.tally = metrics.Tally()
        bus.on_served, bus.on_event = self.tally.served, self.tally.event
        self.started = engine.platform.realtime()

    def snapshot(self, units: list[Unit]) -> dict[str, Any]:
        """Rows of `units`, with the position in the events that they belong to (see `unitd.bus.messages`)."""
        return {
            "instance": self.bus.instance,
            "position": self.bus.position,
            "time": self.engine.platform.realtime(),
            "units": [self.row(unit) for unit in units],
        }

    def row(self, unit: Unit) -> dict[str, Any]:
        """One unit."""
        record, platform = self.engine.record(unit.name), self.engine.platform
        pending = record.deadlines.get("restart")
        plan = None
        if pending is not None:
            plan = {
                "at": platform.realtime() + max(0.0, pending[0] - platform.now()),
                "delay": record.restart_delay,
                "attempt": record.restart_attempt,
                "reason": record.last_failure or record.result,
            }
        stamps = record.stamps
        stats = self.sampler.stats.get(unit.name)
        wanting = {n for kind in ("Requires", "Requisite", "Wants", "BindsTo") for n in self.engine.graph.rdeps(unit.name, kind)}
        return {
            **self.views.row(unit),
            "result": record.result,
            "since": stamps.get(_SINCE.get(record.active, "InactiveExit"), 0.0) or stamps.get("StateChange", 0.0),
            "active_enter": stamps.get("ActiveEnter", 0.0),
            "main_pid": record.main_pid,
            "restarts": record.n_restarts,
            "restart": plan,
            "status_text": record.status_text,
            "last_failure": record.last_failure,
            "targets": sorted(n for n in wanting if n.endswith(".target")),
            "template": names.template_of(unit.name) or "",
            "stats": payload(stats.last) if stats is not None and stats.last is not None and self.sampler.fresh(unit.name) else None,
        }

    async def usage(self, units: list[Unit], wait: float, history: float, pss: bool, sockets: bool) -> list[dict[str, Any]]:
        """Rows of `stats`: a sample of each unit that is up, and what else was asked for (`history`: seconds back)."""
        samples = await self.sampler.ask([unit.name for unit in units], wait)
        rows = []
        for unit in units:
            record, sample, known = self.engine.record(unit.name), samples.get(unit.name), self.sampler.stats.get(unit.name)
            row = payload(sample) if sample is not None else {"unit": unit.name, "time": self.engine.platform.realtime(), "restarts": record.n_restarts}
            row |= {"active": record.active, "sub": record.sub}
            pids = [process.pid for process in sample.processes] if sample is not None else []
            if pss:
                row["pss"] = await asyncio.to_thread(procsockets.pss, pids)
            if sockets:
                row["sockets"] = await asyncio.to_thread(procsockets.listening, pids)
            if history:
                row["history"] = known.history.rows(self.engine.platform.realtime() - history) if known is not None else []
            rows.append(row)
        return rows

    async def metrics(self, version: str) -> str:
        """OpenMetrics text about everything."""
        samples = await self.sampler.ask(self.sampler.up(), 0.0)
        rows = []
        for name, record in sorted(self.engine.records.items()):
            if name in self.engine.graph.units and "@." not in name:
                sample = samples.get(name)
                rows.append(
                    {
                        "unit": name,
                        "active": record.active,
                        "restarts": record.n_restarts,
                        "log_lost": record.log_lost,
                        "stats": payload(sample) if sample is not None else None,
                    }
                )
        about = {"version": version, "instance": self.bus.instance}
        return metrics.render(rows, self.tally, about, self.started, len(self.engine.jobs))

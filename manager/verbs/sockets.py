"""list-sockets."""

from __future__ import annotations

import fnmatch

from unitd.bus.messages import Reply, Request
from unitd.manager.verbs.base import Context, listed, verb
from unitd.units.socket import WORDS, service_of


@verb("list-sockets")
async def list_sockets(c: Context, request: Request) -> Reply:
    """A row for each address: those of active sockets, with `all` of every socket that is loaded, sorted as systemctl does."""
    rows = []
    states = listed(request.options.get("state"))
    for unit in c.engine.graph.units.values():
        if unit.type != "socket" or unit.load_state not in ("loaded", "bad-setting"):
            continue
        if request.units and not any(fnmatch.fnmatchcase(unit.name, p) or fnmatch.fnmatchcase(unit.name, p + ".socket") for p in request.units):
            continue
        record = c.engine.record(unit.name)
        if states and not {record.active, record.sub} & set(states):
            continue
        if not states and not request.options.get("all") and record.active in ("inactive", "failed"):
            continue
        triggers = c.views.show(unit).get("Triggers", "").split() or [service_of(unit)]
        for listener in unit.socket.listeners:
            row = {"listen": listener.address, "type": WORDS[listener.kind], "unit": unit.name, "activates": triggers}
            rows.append(row | {"active": record.active, "sub": record.sub})
    return Reply(id=request.id, ok=True, data=sorted(rows, key=lambda r: (str(r["listen"]), str(r["type"]), str(r["unit"]))))

"""The verb for whoever supervises unitd: leave, but let the services run."""

from __future__ import annotations

from unitd.bus.messages import Reply, Request
from unitd.manager.verbs.base import Context, verb


@verb("detach")
async def detach(c: Context, request: Request) -> Reply:
    """unitd leaves without stopping anything: the next one on the same runtime directory takes over."""
    c.detach()
    return Reply(id=request.id, ok=True)

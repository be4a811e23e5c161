"""Verbs on running units and on the manager itself that make no job."""

from __future__ import annotations

import asyncio
import os

import unitd
from unitd.bus.messages import Reply, Request
from unitd.manager.verbs.base import Context, verb


@verb("reset-failed")
async def reset_failed(c: Context, request: Request) -> Reply:
    if not request.units:
        for name in list(c.engine.records):
            c.engine.reset_failed(name)
        return Reply(id=request.id, ok=True)
    errors = []
    for unit in c.expand(request.units):
        if unit.load_state in ("not-found", "masked") and c.engine.record(unit.name).sub == "dead":
            errors.append(f"Failed to reset failed state of unit {unit.name}: Unit {unit.name} not loaded.")
        else:
            c.engine.reset_failed(unit.name)
    return Reply(id=request.id, ok=not errors, exit_code=1 if errors else 0, err="".join(e + "\n" for e in errors))


@verb("ping")
async def ping(c: Context, request: Request) -> Reply:
    return Reply(id=request.id, ok=True, out="pong\n", data={"instance": c.instance, "pid": os.getpid()})


@verb("version")
async def version(c: Context, request: Request) -> Reply:
    return Reply(id=request.id, ok=True, out=f"unitd {unitd.__version__}\n", data={"version": unitd.__version__})


@verb("exit")
async def exit(c: Context, request: Request) -> Reply:
    asyncio.get_running_loop().call_soon(c.shutdown)
    return Reply(id=request.id, ok=True)


@verb("daemon-reexec")
async def daemon_reexec(c: Context, request: Request) -> Reply:
    """Have the warden end this manager and become the program on disk, which starts a manager that takes over where this one stopped."""
    asyncio.get_running_loop().call_later(0.05, c.reexec)  # the answer goes out first
    return Reply(id=request.id, ok=True)

"""The environment that the manager gives to services: show-environment, set-environment, unset-environment."""

from __future__ import annotations

import json

from unitd.bus.messages import Reply, Request
from unitd.manager import environment
from unitd.manager.jobs import Refused
from unitd.manager.verbs.base import Context, verb


@verb("show-environment")
async def show_environment(c: Context, request: Request) -> Reply:
    """Rows NAME=VALUE of what was set."""
    given = c.executor.given
    return Reply(id=request.id, ok=True, out="".join(f"{name}={given[name]}\n" for name in sorted(given)), data=given)


@verb("set-environment", "unset-environment")
async def set_environment(c: Context, request: Request) -> Reply:
    """Counts for processes that are made from now on, until the end of unitd."""
    change = environment.changed if request.verb == "set-environment" else environment.without
    try:
        c.executor.given = change(c.executor.given, request.units)
    except environment.BadVariable as error:
        raise Refused("bad-argument", str(error), 1) from error
    c.executor.note("environment", json.dumps(c.executor.given))
    return Reply(id=request.id, ok=True)

"""Serves the bus: finds the verb of a request, and makes what goes wrong an error reply. Every request runs in a task of its own."""

from __future__ import annotations

from unitd.bus.messages import Reply, Request
from unitd.bus.server import Peer
from unitd.manager.jobs import Refused
from unitd.manager.verbs import (  # noqa: F401 - importing them fills VERBS
    clean,
    control,
    environment,
    files,
    jobs,
    kill,
    live,
    logs,
    overrides,
    questions,
    rolling,
    scale,
    sockets,
    supervision,
    transient,
    triggers,
)
from unitd.manager.verbs.base import VERBS, Context, failure
from unitd.units.errors import ValueProblem


async def handle(context: Context, request: Request, peer: Peer) -> Reply:
    """Answer one request. Wrong input is an error reply."""
    handler = VERBS.get(request.verb)
    if handler is None:
        return failure(request, "unknown-verb", f"Unknown command verb {request.verb}.", "unitctl help lists the verbs", 1)
    try:
        return await handler(context, request)
    except Refused as error:
        return failure(request, error.code, str(error), "", error.exit_code)
    except (ValueProblem, ValueError) as error:
        return failure(request, "bad-argument", str(error), getattr(error, "hint", ""), 1)
    except OSError as error:
        return failure(request, "os-error", f"cannot {request.verb}, because {error.filename or 'the system'} says: {error.strerror}", "", 1)

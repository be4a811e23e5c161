"""scale: so many numbered instances of a template."""

from __future__ import annotations

import asyncio

from unitd.bus.messages import Reply, Request
from unitd.manager import scale
from unitd.manager.jobs import Refused
from unitd.manager.verbs.base import Context, verb
from unitd.manager.verbs.jobs import job_verb
from unitd.units import names, pools


@verb("scale")
async def scale_verb(c: Context, request: Request) -> Reply:
    """Start or stop instances. Options: count, or by (how many more, or fewer); no_block."""
    if len(request.units) != 1:
        raise Refused("bad-argument", "scale takes one template.", 1)
    name = c.check_name(request.units[0])
    template = names.template_of(name) or name
    up = [unit for unit in c.engine.graph.units if c.engine.is_up(unit)]
    have = len(scale.numbers(template, up))
    count, by = request.options.get("count"), request.options.get("by")
    if not isinstance(count, int) or isinstance(count, bool):
        if not isinstance(by, int) or isinstance(by, bool):
            raise Refused("bad-argument", "scale takes the number of instances.", 1)
        count = max(0, have + by)
    start, stop = scale.plan(template, up, count)
    unit = c.loader.load(template)
    if unit.service.instances:  # a pool: its target and its socket go by the number too, until unitd ends
        c.loader.scale(template, count)
        target = c.engine.adopt(c.loader.load(pools.target_of(template)))
        c.engine.record(target.name).scale = count
        c.engine.changed.add(target.name)
        start += [target.name] if count else []
    options = {"no_block": bool(request.options.get("no_block"))}
    steps = [Request(verb=word, units=units, options=options, id=request.id) for word, units in (("start", start), ("stop", stop)) if units]
    replies = await asyncio.gather(*(job_verb(c, step) for step in steps))
    jobs = [job for reply in replies for job in reply.data["jobs"]]
    return Reply(
        id=request.id,
        ok=all(reply.ok for reply in replies),
        exit_code=max((reply.exit_code for reply in replies), default=0),
        err="".join(reply.err for reply in replies),
        data={"template": template, "before": have, "count": count, "started": start, "stopped": stop, "jobs": jobs},
    )

"""Verbs that make jobs: start, stop, restart, reload and what belongs to jobs."""

from __future__ import annotations

import asyncio
from typing import Any

from unitd.bus.messages import Reply, Request
from unitd.manager.jobs import GOOD_RESULTS, MODES, Job, Refused
from unitd.manager.verbs.base import Context, verb
from unitd.manager.views import LOG_LINES
from unitd.units import names
from unitd.units.model import Unit

JOB_VERBS = ("start", "stop", "restart", "try-restart", "reload", "reload-or-restart", "try-reload-or-restart")

#: Job results as systemctl words them.
BECAUSE = {
    "timeout": "a timeout was exceeded",
    "canceled": "the job was canceled",
    "dependency": "a dependency failed",
    "assert": "an assertion did not hold",
    "skipped": "it was skipped",
    "unsupported": "unitd does not run units of this type yet",
}

#: Service results as systemctl words them.
WHY = {
    "exit-code": "the control process exited with error code",
    "signal": "a fatal signal was delivered to the control process",
    "core-dump": "a fatal signal was delivered causing the control process to dump core",
    "timeout": "a timeout was exceeded",
    "watchdog": "the service failed to send watchdog ping",
    "resources": "of unavailable resources or another system error",
    "protocol": "the service did not take the steps required by its unit configuration",
}


@verb(*JOB_VERBS)
async def job_verb(c: Context, request: Request) -> Reply:
    options = request.options
    units = c.expand(request.units)
    verb = request.verb
    errors: list[str] = []
    code = 0
    results: list[dict[str, Any]] = []
    waits: list[asyncio.Future[tuple[Unit, str]]] = []
    mode = str(options.get("job_mode") or "replace")
    if options.get("isolate"):
        mode = "isolate"
    if mode not in MODES:
        raise Refused("bad-argument", f"Failed to {verb}: unknown job mode {mode}.", 1)
    for unit in units:
        try:
            may(c, unit, verb)
            for name, job in c.engine.submit([unit.name], verb, mode):
                if job is not None and not options.get("no_block"):
                    waits.append(job_result(c, c.engine.unit(name), job))
        except Refused as error:
            code = max(code, error.exit_code)
            errors += refusal(verb, unit, error)
    ended = await asyncio.gather(*waits)
    if any(result not in GOOD_RESULTS for _, result in ended):
        await c.flush_output()
    for unit, result in ended:
        if result not in GOOD_RESULTS:
            code = code or 1
            errors += explain(c, unit, verb, result)
        results.append({"unit": unit.name, "result": result, "log_tail": c.views.log_tail(unit.name, LOG_LINES) if result not in GOOD_RESULTS else []})
    if options.get("wait") and verb in ("start", "restart") and not code:
        await asyncio.gather(*(until_down(c, unit) for unit in units))
    refused = [c.engine.record(unit.name) for unit, result in ended if result == "failed" and unit.type != "service"]
    out = "".join(f"{r.name} is not started, because {r.last_failure}.\n" for r in refused if r.last_failure and r.result == "success")
    return Reply(id=request.id, ok=not code, exit_code=code, out=out, err="".join(e + "\n" for e in errors), data={"jobs": results})


def refusal(verb: str, unit: Unit, error: Refused) -> list[str]:
    """Why no job was made, as systemctl says it."""
    if error.whole:
        return [str(error)]
    lines = [f"Failed to {verb} {unit.name}: {error}"]
    if error.code not in ("no-such-unit", "masked", "not-applicable"):
        lines.append(f"See system logs and 'unitctl status {unit.name}' for details.")
    return lines


def may(c: Context, unit: Unit, verb: str) -> None:
    """RefuseManualStart=, RefuseManualStop= (exit code 4), templates."""
    if names.split(unit.name)[1] == "" and "@." in unit.name:
        raise Refused("template", f"Unit name {unit.name} is missing the instance name.", 1)
    if verb in ("start", "restart", "try-restart") and unit.unit.refuse_manual_start:
        raise Refused("refused", f"Operation refused, unit {unit.name} may be requested by dependency only (it is configured to refuse manual start/stop).", 4)
    if verb in ("stop", "restart", "try-restart") and unit.unit.refuse_manual_stop:
        raise Refused("refused", f"Operation refused, unit {unit.name} may be requested by dependency only (it is configured to refuse manual start/stop).", 4)


def job_result(c: Context, unit: Unit, job: Job) -> asyncio.Future[tuple[Unit, str]]:
    future: asyncio.Future[tuple[Unit, str]] = asyncio.get_running_loop().create_future()
    c.engine.wait(job, lambda _job, result: None if future.done() else future.set_result((unit, result)))
    return future


async def until_down(c: Context, unit: Unit) -> None:
    while c.engine.is_up(unit.name):
        await next_change(c, unit.name)


async def next_change(c: Context, name: str) -> None:
    """Wait for the next change of state of a unit."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    c.engine.change_waiters[name].append(lambda: None if future.done() else future.set_result(None))
    await future


def explain(c: Context, unit: Unit, verb: str, result: str) -> list[str]:
    """Why a job failed, in systemctl's words, with the last lines of output."""
    record = c.engine.record(unit.name)
    if unit.type != "service" and result == "failed" and record.result == "success":
        return ['Job failed. See "unitctl status" for details.']
    if result == "dependency":
        return [f"A dependency job for {unit.name} failed. See 'unitctl status' of what it requires for details."]
    limited = record.last_failure.startswith("start of the service was attempted")
    because = BECAUSE.get(result) or (record.last_failure if limited else WHY.get(record.result)) or record.last_failure or "it failed"
    lines = [f"Job for {unit.name} failed because {because}.", f'See "unitctl status {unit.name}" and "unitctl logs {unit.name}" for details.']
    if limited:
        lines += [f'To force a start use "unitctl reset-failed {unit.name}"', f'followed by "unitctl start {unit.name}" again.']
    elif record.last_failure and record.last_failure != because:
        lines.append(f"What happened: {record.last_failure}.")
    return lines + [f"  | {line}" for line in c.views.log_tail(unit.name, LOG_LINES)]


@verb("isolate")
async def isolate(c: Context, request: Request) -> Reply:
    return await job_verb(c, Request(verb="start", units=request.units, options={**request.options, "isolate": True}, id=request.id))


@verb("cancel")
async def cancel(c: Context, request: Request) -> Reply:
    wanted = {int(u) for u in request.units if u.isdigit()}
    for job in list(c.engine.jobs.values()):
        if not request.units or job.id in wanted:
            c.engine.cancel(job)
    return Reply(id=request.id, ok=True)


@verb("list-jobs")
async def list_jobs(c: Context, request: Request) -> Reply:
    rows = [{"job": j.id, "unit": j.unit, "type": j.type, "state": "running" if j.running else "waiting"} for j in c.engine.jobs.values()]
    return Reply(id=request.id, ok=True, data=sorted(rows, key=lambda r: int(str(r["job"]))))

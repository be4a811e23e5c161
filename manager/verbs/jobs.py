"""Verbs that make jobs: start, stop, restart, reload and what belongs to jobs."""

from __future__ import annotations

import asyncio
from typing import Any

from unitd.bus.messages import Reply, Request
from unitd.manager.jobs import GOOD_RESULTS, MODES, Job, Refused
from unitd.manager.verbs.base import Context, verb
from unitd.manager.views import LOG_LINES
from unitd.units import names, pools
from unitd.units.model import Unit

JOB_VERBS = ("start", "stop", "restart", "try-restart", "reload", "reload-or-restart", "try-reload-or-restart")

#: How jobs end, as systemctl words it.
ENDED = {
    "canceled": "Job for {} canceled.",
    "timeout": "Job for {} timed out.",
    "dependency": "A dependency job for {} failed. See 'unitctl status' of what it requires for details.",
    "invalid": "{} is not active, cannot reload.",
    "assert": "Assertion failed on job for {}.",
    "unsupported": "Operation on or unit type of {} not supported on this system.",
    "collected": "Queued job for {} was garbage collected.",
    "once": "Unit {} was started already once and can't be started again.",
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
    """Queue jobs and, unless `no_block`, wait for their ends. Options: job_mode, no_block, wait, dry_run, show_transaction."""
    options, verb = request.options, request.verb
    # The name of a template with Instances= stands for its pool.
    units = [c.engine.unit(pools.target_of(u.name)) if "@." in u.name and u.service.instances else u for u in c.expand(request.units, loaded_only=True)]
    mode = "isolate" if options.get("isolate") else str(options.get("job_mode") or "replace")
    if options.get("dry_run"):
        return dry_run(c, request, units, mode)
    errors: list[str] = []
    out: list[str] = []
    code = 0
    waits: list[asyncio.Future[tuple[Unit, str]]] = []
    for unit in units:
        before = set(c.engine.jobs)
        try:
            may(c, unit, verb, mode)
            if c.loader.changed(unit):
                changed = "The unit file, source configuration file or drop-ins of {} changed on disk. Run 'unitctl daemon-reload' to reload units."
                errors.append("Warning: " + changed.format(unit.name))
            for name, job in c.engine.submit([unit.name], verb, mode):
                if job is not None and not options.get("no_block"):
                    waits.append(job_result(c, c.engine.unit(name), job))
                if job is not None and options.get("show_transaction"):
                    out.append(f"Enqueued anchor job {job.id} {job.unit}/{job.type}.")
                    others = [j for n, j in sorted(c.engine.jobs.items()) if n not in before and j is not job]
                    out += [f"Enqueued auxiliary job {j.id} {j.unit}/{j.type}." for j in others]
        except Refused as error:
            code = max(code, error.exit_code)
            errors += refusal(verb, unit, error)
    ended = await asyncio.gather(*waits)
    if any(result not in GOOD_RESULTS for _, result in ended):
        await c.flush_output()
    results: list[dict[str, Any]] = []
    for unit, result in ended:
        good = result in GOOD_RESULTS
        if not good:
            code = code or 1
            errors += [] if options.get("quiet") else explain(c, unit, verb, result)
        results.append({"unit": unit.name, "result": result, "log_tail": [] if good else c.views.log_tail(unit.name, LOG_LINES)})
    if verb == "stop" and not options.get("quiet") and not options.get("no_block"):
        errors += [line for unit in units for line in still_triggered(c, unit)]
    if options.get("wait") and verb in ("start", "restart") and not code:
        await asyncio.gather(*(until_down(c, unit) for unit in units))
        code = int(any(c.engine.active(unit.name) == "failed" for unit in units))
    refused = [c.engine.record(unit.name) for unit, result in ended if result == "failed" and unit.type != "service"]
    out += [f"{r.name} is not started, because {r.last_failure}." for r in refused if r.last_failure and r.result == "success"]
    return Reply(
        id=request.id, ok=not code, exit_code=code, out="".join(o + "\n" for o in out), err="".join(e + "\n" for e in errors), data={"jobs": results}
    )


def dry_run(c: Context, request: Request, units: list[Unit], mode: str) -> Reply:
    """What the verb would do: rows {unit, type}, what was asked for first. Nothing is queued."""
    rows: dict[str, dict[str, str]] = {}
    errors, code = [], 0
    for unit in units:
        try:
            may(c, unit, request.verb, mode)
            planned = c.engine.plan(unit, request.verb, mode)
        except Refused as error:
            code = max(code, error.exit_code)
            errors += refusal(request.verb, unit, error)
            continue
        if planned is not None:
            anchor = planned.anchor.unit
            for name, entry in sorted(planned.entries.items(), key=lambda item: (item[0] != anchor, item[0])):
                rows[name] = {"unit": name, "type": entry.type}
    out = "".join(f"{row['unit']}/{row['type']}\n" for row in rows.values())
    return Reply(id=request.id, ok=not code, exit_code=code, out=out, err="".join(e + "\n" for e in errors), data=list(rows.values()))


def refusal(verb: str, unit: Unit, error: Refused) -> list[str]:
    """Why no job was made, as systemctl says it."""
    if error.whole:
        return [str(error)]
    lines = [f"Failed to {verb} {unit.name}: {error}"]
    if error.code not in ("no-such-unit", "masked", "not-applicable"):
        lines.append(f"See system logs and 'unitctl status {unit.name}' for details.")
    return lines


def may(c: Context, unit: Unit, verb: str, mode: str) -> None:
    """Job modes, RefuseManualStart=, RefuseManualStop= (exit code 4), templates."""
    if mode not in MODES:
        raise Refused("bad-argument", f"Job mode {mode} invalid; it is one of {', '.join(MODES)}", 1)
    if names.split(unit.name)[1] == "" and "@." in unit.name:
        raise Refused("template", f"Unit name {unit.name} is missing the instance name.", 1)
    reloads = verb.endswith("reload-or-restart") and c.engine.can_reload(unit)
    up = c.engine.active(unit.name) in ("active", "reloading")
    if verb.endswith("reload-or-restart"):
        verb = "restart" if not reloads else "start" if verb == "reload-or-restart" and not up else "reload"
    if verb in ("start", "restart", "try-restart") and unit.unit.refuse_manual_start:
        raise Refused("refused", f"Operation refused, unit {unit.name} may be requested by dependency only (it is configured to refuse manual start/stop).", 4)
    if verb in ("stop", "restart", "try-restart") and unit.unit.refuse_manual_stop:
        raise Refused("refused", f"Operation refused, unit {unit.name} may be requested by dependency only (it is configured to refuse manual start/stop).", 4)


def still_triggered(c: Context, unit: Unit) -> list[str]:
    """A warning when a socket, timer or path may start the stopped unit again."""
    by = [name for name in sorted(c.engine.graph.related(unit.name, "TriggeredBy")) if c.engine.active(name) in ("active", "reloading")]
    return [f"Warning: Stopping {unit.name}, but it can still be activated by:", *(f"  {name}" for name in by)] if by else []


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
    ended = ENDED.get(result)
    if ended is not None:
        return [ended.format(unit.name)]
    limited = record.last_failure.startswith("start of the service was attempted")
    because = (record.last_failure if limited else WHY.get(record.result)) or record.last_failure or "it failed"
    if record.result == "success":  # a reload: the service itself is well
        because = ""
    lines = [f"Job for {unit.name} failed because {because}." if because else f"Job for {unit.name} failed.", f'See "unitctl status {unit.name}" and "unitctl logs {unit.name}" for details.']
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
    """Cancel the jobs with these ids, or all."""
    by_id = {str(job.id): job for job in c.engine.jobs.values()}
    errors = []
    for word in request.units or list(by_id):
        job = by_id.get(word)
        if job is not None:
            c.engine.cancel(job)
        else:
            why = f"Job {word} does not exist." if word.isdigit() else "a job is named by its number, see unitctl list-jobs"
            errors.append(f"Failed to cancel job {word}: {why}\n")
    return Reply(id=request.id, ok=not errors, exit_code=1 if errors else 0, err="".join(errors))


@verb("list-jobs")
async def list_jobs(c: Context, request: Request) -> Reply:
    """Jobs that wait or run. With `after` what each waits for, with `before` what waits for it, as rows {job, unit, type, state}."""
    jobs = c.engine.jobs
    waits_for = {name: [jobs[o] for o in c.engine.blockers(job)] for name, job in jobs.items()}

    def row(job: Job) -> dict[str, Any]:
        return {"job": job.id, "unit": job.unit, "type": job.type, "state": "running" if job.running else "waiting"}

    rows = []
    for job in sorted(jobs.values(), key=lambda j: j.id):
        rows.append(row(job))
        if request.options.get("after"):
            rows[-1]["after"] = [row(other) for other in waits_for[job.unit]]
        if request.options.get("before"):
            rows[-1]["before"] = [row(jobs[name]) for name, others in sorted(waits_for.items()) if job in others]
    return Reply(id=request.id, ok=True, data=rows)

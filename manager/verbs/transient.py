"""run: transient services, timers and paths (systemd-run(1))."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from unitd.bus.messages import Reply, Request
from unitd.manager.jobs import GOOD_RESULTS, Refused
from unitd.manager.verbs.base import Context, verb
from unitd.manager.verbs.jobs import explain, job_result, refusal, until_down
from unitd.units import names, transient
from unitd.units.model import Unit
from unitd.units.transient import Setting

_EXISTS = "Failed to start transient unit: Unit {0} was already loaded or has a fragment file."
#: What may trigger a transient service, with the directives that its unit gets by itself.
TRIGGERS = {"timer": ("RemainAfterElapse=no",), "path": ()}


@verb("run")
async def run(c: Context, request: Request) -> Reply:
    """Make the units, start them, and with `wait` wait for the end of the service.

    Options: unit (name), command {path, arguments, expand}, properties and timer or path (lists of NAME=value), fds (token of a hand-over), no_block, wait.
    Data: {unit, trigger, result, code, status, runtime}.
    """
    o = request.options
    triggers = {kind: strings(o, kind) for kind in TRIGGERS if o.get(kind)}
    if len(triggers) > 1 or (triggers and (o.get("fds") or o.get("wait"))):
        raise Refused("bad-argument", "cannot do that: a service that a timer or path starts later has nobody to wait for it.", 1)
    name = str(o.get("unit") or f"run-r{uuid.uuid4().hex}")
    kind = next(iter(triggers), "")
    stem = name.rpartition(".")[0] if name.rpartition(".")[2] in names.TYPES else name
    service = c.check_name(name if not kind or name.endswith(".service") else f"{stem}.service")
    if not service.endswith(".service"):
        raise Refused("bad-argument", f"cannot run {service}: transient units are services, timers and paths.", 1)
    made: list[str] = []
    try:
        if o.get("command"):
            create(c, service, service_settings(o), made)
        elif not kind:
            raise Refused("bad-argument", "cannot run nothing: a command is missing.", 1)
        elif c.engine.unit(service).load_state != "loaded":
            raise Refused("no-such-unit", f"Unit {service} not found.", 5)
        trigger = f"{stem}.{kind}" if kind else ""
        if kind:
            settings = [transient.place(text, kind) for text in (*TRIGGERS[kind], *triggers[kind])]
            about = [("Unit", "Description", str(o["description"]))] if o.get("description") else []
            create(c, trigger, [*about, *settings, (kind.capitalize(), "Unit", service)], made)
    except (Refused, ValueError, OSError):
        for unit in made:
            c.engine.forget(unit)
            c.own_files.forget(unit)
            c.units.drop(unit)
        raise
    started = c.engine.unit(trigger or service)
    if o.get("fds") and not c.handover.give(service, str(o["fds"])):
        raise Refused("bad-argument", "cannot use the descriptors that were handed over, because they are not there any more.", 1)
    c.engine.held.append(started.name)
    try:
        return await begin(c, request, started, service, trigger)
    finally:
        c.engine.held.remove(started.name)
        c.engine.look_at(started.name)


async def begin(c: Context, request: Request, unit: Unit, service: str, trigger: str) -> Reply:
    """Start what was made."""
    data: dict[str, Any] = {"unit": service, "trigger": trigger}
    warnings = [str(p) for p in unit.problems if p.severity == "warning"]
    try:
        [(_, job)] = c.engine.submit([unit.name], "start")
    except Refused as error:
        return Reply(id=request.id, ok=False, exit_code=error.exit_code, err="".join(e + "\n" for e in refusal("start", unit, error)), data=data)
    if job is not None and not request.options.get("no_block"):
        _, result = await job_result(c, unit, job)
        if result not in GOOD_RESULTS and not (request.options.get("wait") and c.engine.record(unit.name).exec_main_code):
            await c.flush_output()
            return Reply(id=request.id, ok=False, exit_code=1, err="".join(e + "\n" for e in explain(c, unit, "start", result)), data=data)
    if request.options.get("wait"):
        await until_down(c, unit)
        data |= ended(c, unit)
    return Reply(id=request.id, ok=True, err="".join(w + "\n" for w in warnings), data=data)


@verb("await-end")
async def await_end(c: Context, request: Request) -> Reply:
    """Wait until a unit is down: for a client of `run` whose manager was replaced."""
    [unit] = c.expand(request.units)
    if unit.load_state == "not-found" and not c.engine.is_up(unit.name):
        raise Refused("no-such-unit", f"{unit.name} is gone, and how it ended is not known any more.", 1)
    c.engine.held.append(unit.name)
    try:
        await until_down(c, unit)
        return Reply(id=request.id, ok=True, data={"unit": unit.name, **ended(c, unit)})
    finally:
        c.engine.held.remove(unit.name)
        c.engine.look_at(unit.name)


def ended(c: Context, unit: Unit) -> dict[str, Any]:
    """How a service ended."""
    record = c.engine.record(unit.name)
    begin, end = record.stamps.get("ExecMainStart", 0.0), record.stamps.get("ExecMainExit", 0.0)
    return {
        "result": record.result,
        "code": record.exec_main_code,
        "status": record.exec_main_status,
        "runtime": max(0.0, end - begin) if begin and end else 0.0,
        "failure": record.last_failure,
    }


def strings(options: dict[str, Any], key: str) -> list[str]:
    """An option that is a list of strings. Raises ValueError."""
    value = options.get(key) or []
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ValueError(f"cannot use {key}, because it has to be a list of strings")
    return value


def service_settings(o: dict[str, Any]) -> list[Setting]:
    """The lines of a transient service."""
    given = o["command"]
    if not isinstance(given, dict) or not isinstance(given.get("path"), str) or not given["path"].startswith("/"):
        raise ValueError("cannot use command, because it has to be {path, arguments}, and path absolute")
    line = transient.command(given["path"], strings(given, "arguments"), bool(given.get("expand", True)))
    settings: list[Setting] = [("Unit", "Description", str(o["description"]).replace("%", "%%"))] if o.get("description") else []
    settings += [transient.place(text, "service") for text in strings(o, "properties")]
    return [*settings, ("Service", "ExecStart", line)]


def create(c: Context, name: str, settings: Sequence[Setting], made: list[str]) -> None:
    """Write a transient unit and load it. Raises Refused if there is such a unit, or it cannot be loaded as it was asked for."""
    have = c.engine.unit(name)
    if have.load_state != "not-found" or c.engine.is_up(name) or c.engine.job(name) is not None:
        raise Refused("exists", _EXISTS.format(name), 1)
    c.own_files.write(name, transient.text(settings, "This is a transient unit file, created by 'unitctl run'. Do not edit."))
    made.append(name)
    unit = c.engine.unit(name)
    wrong = [p for p in unit.problems if p.severity == "error" or (p.severity == "warning" and not p.confines)]
    if unit.load_state != "loaded" or wrong:
        raise Refused("bad-setting", "; ".join(p.message + (f" ({p.hint})" if p.hint else "") for p in wrong) or f"{name} is {unit.load_state}", 1)



"""kill: a signal to processes of units, which makes no job (systemctl(1))."""

from __future__ import annotations

from unitd.bus.messages import Reply, Request
from unitd.manager.jobs import Refused
from unitd.manager.states import Record, Signal
from unitd.manager.verbs.base import Context, verb
from unitd.units.errors import ValueProblem
from unitd.units.model import Unit
from unitd.units.values import parse_signal

WHOM = ("main", "control", "all", "main-fail", "control-fail", "all-fail")
#: Types that may have processes.
KILLABLE = ("service", "socket", "slice")


@verb("kill")
async def kill(c: Context, request: Request) -> Reply:
    """Signal the processes of each unit. What cannot be reached is said, and the others get theirs all the same."""
    text = str(request.options.get("signal") or "TERM")
    try:
        number = parse_signal(text)
    except ValueProblem as error:
        raise Refused("bad-argument", f'Failed to parse signal string "{text}".', 1) from error
    whom = str(request.options.get("kill_whom") or "all")
    errors = []
    for unit in c.expand(request.units):
        record = c.engine.record(unit.name)
        problem = obstacle(unit, record, whom, bool(c.engine.is_up(unit.name)))
        if not problem and whom == "all-fail" and not c.executor.processes.members(unit.name, record):
            problem = "No matching processes to kill"
        if problem:
            errors.append(f"Failed to kill unit {unit.name}: {problem}\n")
        else:
            c.executor.signal(unit, record, Signal(whom.removesuffix("-fail"), number, wake=False))
    return Reply(id=request.id, ok=not errors, exit_code=1 if errors else 0, err="".join(errors))


def obstacle(unit: Unit, record: Record, whom: str, up: bool) -> str:
    """Why no signal can be sent, in systemd's words; empty if it can."""
    if unit.load_state in ("not-found", "masked") and not up:
        return f"Unit {unit.name} not loaded."
    if unit.type not in KILLABLE:
        return "Operation not supported"
    if whom not in WHOM:
        return f"Invalid who argument {whom}"
    part = whom.removesuffix("-fail")
    if part == "main" and unit.type != "service" or part == "control" and unit.type == "slice":
        return f"{unit.type} units have no {part} processes"
    if part == "main" and record.main_pid <= 1 or part == "control" and record.control_pid <= 1:
        return f"No {part} process to kill"
    return ""

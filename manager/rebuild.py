"""Records for processes that run though nothing is known of their unit: the memory was lost, the services were not. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unitd.manager.states import Record
from unitd.units.model import Unit


def unit_of(token: str) -> str:
    """The unit in a token (`UNIT|INVOCATION|ROLE|NUMBER`)."""
    return token.partition("|")[0]


def role_of(token: str) -> str:
    """The role in a token; empty if there is none."""
    words = token.split("|")
    return words[2] if len(words) > 2 else ""


def socket_record(name: str, busy: bool, realtime: float) -> Record:
    """A socket unit whose sockets are there: it listens, or its service (`busy`) does."""
    record = Record(name, sub="running" if busy else "listening")
    record.stamps = {"StateChange": realtime, "InactiveExit": realtime, "ActiveEnter": realtime}
    return record


def record_for(unit: Unit, kids: Sequence[tuple[int, str]], invocations: Mapping[int, str], realtime: float) -> Record:
    """What the unit must be, by its (pid, token)s that still run and the INVOCATION_ID of each.

    With a main process it runs (or still starts, for a oneshot); with none but a stop command it stops. What was counted is lost.
    """
    record = Record(unit.name)
    record.stamps = {"StateChange": realtime, "InactiveExit": realtime}
    for pid, token in kids:
        record.invocation = invocations.get(pid) or record.invocation
        role = role_of(token)
        if role == "ExecStart" and not record.main_pid:
            record.main_pid, record.main_token, record.exec_main_pid, record.exec_done = pid, token, pid, True
        elif role:
            record.control_pid, record.control_token, record.control_role = pid, token, role
    record.start_succeeded = record.condition_result = record.assert_result = True
    if record.control_role == "ExecStop":
        record.sub = "stop"
    elif record.control_role == "ExecStopPost":
        record.sub = "stop-post"
    elif record.control_role == "ExecStartPost":
        record.sub = "start-post"
    elif record.control_role in ("ExecStartPre", "ExecCondition"):
        record.sub = "start-pre" if record.control_role == "ExecStartPre" else "condition"
        record.start_succeeded = False
    elif record.control_role == "ExecReload":
        record.sub = "reload"
    elif unit.service.type in ("oneshot", "forking") and record.main_pid:
        record.sub, record.start_succeeded = "start", False
    else:
        record.sub = "running"
        record.stamps["ActiveEnter"] = realtime
    return record

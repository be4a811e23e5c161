"""Readers of values that one assignment decides."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable

from unitd.units import values
from unitd.units.builder import Builder, Fatal, Reader
from unitd.units.directives import Directive
from unitd.units.errors import ValueProblem

JOB_MODES = ("fail", "replace", "replace-irreversibly", "isolate", "flush", "ignore-dependencies", "ignore-requirements")


def scalar(read: Callable[[str], object]) -> Reader:
    """A value that the last assignment decides; an empty one is no value and is ignored, as systemd does with times, booleans and most numbers."""

    def reader(b: Builder, d: Directive, value: str, _: str) -> None:
        if value == "":
            raise ValueProblem("there is no value", "leave the line out for the default")
        b.put(d.field, read(value))

    return reader


def resettable(read: Callable[[str], object]) -> Reader:
    """A value that the last assignment decides; empty resets it to the default."""

    def reader(b: Builder, d: Directive, value: str, _: str) -> None:
        if value == "":
            b.reset(d.field)
        else:
            b.put(d.field, read(value))

    return reader


def _str(b: Builder, d: Directive, value: str, _: str) -> None:
    b.put(d.field, b.soft(value))


def _enum(b: Builder, d: Directive, value: str, words: str) -> None:
    if value == "" and d.name == "KillMode":  # the one word that can be reset
        b.reset(d.field)
        return
    if value not in words.split(","):
        near = difflib.get_close_matches(value.lower(), words.split(","), 1)
        raise ValueProblem(f"cannot take {value!r}", f"did you mean {near[0]}?" if near else "one of " + words.replace(",", ", "))
    b.put(d.field, value)


def _int(b: Builder, d: Directive, value: str, bounds: str) -> None:
    low, _, high = bounds.partition(":")
    b.put(d.field, values.parse_int(value, int(low), int(high)))


def _level(b: Builder, d: Directive, value: str, bounds: str) -> None:
    if value == "":
        b.reset(d.field)
    else:
        _int(b, d, value, bounds)


def _timeout(text: str) -> float:
    return values.parse_timespan(text) or math.inf


def _timeout_both(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        raise ValueProblem("there is no value", "leave the line out for the default")
    seconds = _timeout(value)
    b.put("service.timeout_start", seconds)
    b.put("service.timeout_stop", seconds)


def _path(b: Builder, d: Directive, value: str, _: str) -> None:
    path = b.soft(value)
    b.put(d.field, values.parse_path(path) if path else "")


def _fatal_path(b: Builder, d: Directive, value: str, _: str) -> None:
    """A path without which the process would run elsewhere: a bad one keeps the unit from loading."""
    try:
        _path(b, d, value, "")
    except ValueProblem as error:
        raise Fatal(str(error), error.hint) from None


def _pid_file(b: Builder, d: Directive, value: str, _: str) -> None:
    path = b.soft(value)
    if path and not path.startswith("/"):
        path = f"{b.host.runtime_dir}/{path}"
    try:
        path = values.parse_path(path) if path else ""
    except ValueProblem as error:
        raise Fatal(str(error), error.hint) from None
    b.put(d.field, "/run/" + path.removeprefix("/var/run/") if path.startswith("/var/run/") else path)


def _bus_name(b: Builder, d: Directive, value: str, _: str) -> None:
    name = b.soft(value)
    if not re.fullmatch(r"[A-Za-z_-][A-Za-z0-9_-]*(\.[A-Za-z_-][A-Za-z0-9_-]*)+", name):
        raise ValueProblem(f"cannot take {name!r}, because it is no bus name", "a bus name looks like org.example.Service")
    b.put(d.field, name)


def _preserve(text: str) -> str:
    return text if text == "restart" else "yes" if values.parse_bool(text) else "no"


def _isolate(b: Builder, d: Directive, value: str, _: str) -> None:
    b.put(d.field, "isolate" if values.parse_bool(value) else "replace")


def _cpu_policy(b: Builder, d: Directive, value: str, _: str) -> None:
    """The policy, with the priority moved into what it allows (config_parse_exec_cpu_sched_policy)."""
    _POLICY(b, d, value, "")
    low, high = _priorities(b.fields.get(d.field, 0))
    b.put("exec.cpu_scheduling_priority", min(max(b.fields.get("exec.cpu_scheduling_priority", 0), low), high) if value else 0)


def _priorities(policy: int) -> tuple[int, int]:
    return (1, 99) if policy in (1, 2) else (0, 0)


def _choice(table: dict[str, int]) -> Reader:
    def reader(b: Builder, d: Directive, value: str, _: str) -> None:
        if value == "":
            b.reset(d.field)
        elif value in table:
            b.put(d.field, table[value])
        elif value.isascii() and value.isdigit() and int(value) in table.values():
            b.put(d.field, int(value))
        else:
            raise ValueProblem(f"cannot take {value!r}", "one of " + ", ".join(table))

    return reader


def _job_mode(b: Builder, d: Directive, value: str, _: str) -> None:
    _enum(b, d, value, ",".join(JOB_MODES))


def _nsec(text: str) -> int | None:
    match = re.fullmatch(r"\s*[+]?([0-9]{1,19})\s*(ns|nsec)?\s*", text)
    usec = None if match else values.parse_usec(text)
    return int(match[1]) if match else None if usec is None else usec * 1000


_POLICY = _choice({"other": 0, "fifo": 1, "rr": 2, "batch": 3, "idle": 5})


READERS: dict[str, Reader] = {
    "str": _str,
    "enum": _enum,
    "int": _int,
    "level": _level,
    "bool": scalar(values.parse_bool),
    "span": scalar(values.parse_timespan),
    "timeout": scalar(_timeout),
    "timeoutboth": _timeout_both,
    "uint": scalar(lambda t: values.parse_int(t, 0)),
    "signal": scalar(values.parse_signal),
    "mode": scalar(values.parse_mode),
    "exitcode": resettable(values.parse_exit_code),
    "optspan": resettable(values.parse_timespan),
    "fatalpath": _fatal_path,
    "busname": _bus_name,
    "preserve": scalar(_preserve),
    "isolatemode": _isolate,
    "path": _path,
    "pidfile": _pid_file,
    "jobmode": _job_mode,
    "nsec": scalar(_nsec),
    "ioclass": _choice({"none": 0, "realtime": 1, "best-effort": 2, "idle": 3}),
    "cpupolicy": _cpu_policy,
    "keep": lambda b, d, v, _: None,
}

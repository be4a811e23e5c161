"""Readers of values that one assignment decides."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable

from unitd.units import values
from unitd.units.builder import Builder, Reader
from unitd.units.directives import Directive
from unitd.units.errors import ValueProblem

JOB_MODES = ("fail", "replace", "replace-irreversibly", "isolate", "flush", "ignore-dependencies", "ignore-requirements")


def scalar(read: Callable[[str], object]) -> Reader:
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
    if value not in words.split(","):
        near = difflib.get_close_matches(value.lower(), words.split(","), 1)
        raise ValueProblem(f"cannot take {value!r}", f"did you mean {near[0]}?" if near else "one of " + words.replace(",", ", "))
    b.put(d.field, value)


def _int(b: Builder, d: Directive, value: str, bounds: str) -> None:
    low, _, high = bounds.partition(":")
    if value == "":
        b.reset(d.field)
    else:
        b.put(d.field, values.parse_int(value, int(low), int(high)))


def _timeout(text: str) -> float:
    return values.parse_timespan(text) or math.inf


def _timeout_both(b: Builder, d: Directive, value: str, _: str) -> None:
    seconds = _timeout(value) if value else 90.0
    b.put("service.timeout_start", seconds)
    b.put("service.timeout_stop", seconds)


def _path(b: Builder, d: Directive, value: str, _: str) -> None:
    path = b.soft(value)
    if path and not path.startswith("/"):
        raise ValueProblem(f"cannot use {path!r}, because it is not absolute", "write an absolute path")
    b.put(d.field, path)


def _pid_file(b: Builder, d: Directive, value: str, _: str) -> None:
    path = b.soft(value)
    if path and not path.startswith("/"):
        path = f"{b.host.runtime_dir}/{path}"
    b.put(d.field, "/run/" + path.removeprefix("/var/run/") if path.startswith("/var/run/") else path)


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


def _nsec(text: str) -> int:
    match = re.fullmatch(r"\s*([0-9]{1,19})\s*(ns|nsec)?\s*", text)
    return int(match[1]) if match else int((values.parse_usec(text) or 0) * 1000)


READERS: dict[str, Reader] = {
    "str": _str,
    "enum": _enum,
    "int": _int,
    "bool": scalar(values.parse_bool),
    "span": scalar(values.parse_timespan),
    "timeout": scalar(_timeout),
    "timeoutboth": _timeout_both,
    "uint": scalar(lambda t: values.parse_int(t, 0)),
    "signal": scalar(values.parse_signal),
    "mode": scalar(values.parse_mode),
    "exitcode": scalar(values.parse_exit_code),
    "path": _path,
    "pidfile": _pid_file,
    "jobmode": _job_mode,
    "nsec": scalar(_nsec),
    "ioclass": _choice({"none": 0, "realtime": 1, "best-effort": 2, "idle": 3}),
    "cpupolicy": _choice({"other": 0, "fifo": 1, "rr": 2, "batch": 3, "idle": 5}),
    "keep": lambda b, d, v, _: None,
}

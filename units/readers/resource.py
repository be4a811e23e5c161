"""Readers of systemd.resource-control(5): they check a value; `Unit.settings` keeps it as written."""

from __future__ import annotations

from collections.abc import Callable

from unitd.units import names, values
from unitd.units.builder import Builder, Reader
from unitd.units.directives import Directive
from unitd.units.errors import ValueProblem


def checked(check: Callable[[str], object]) -> Reader:
    """Keep the value if `check` takes it; empty resets."""

    def reader(b: Builder, d: Directive, value: str, _: str) -> None:
        if value:
            check(value)

    return reader


def _slice(b: Builder, d: Directive, value: str, _: str) -> None:
    text = b.kept = b.soft(value)
    name = text.removesuffix(".slice")
    if not names.is_valid_name(text) or not text.endswith(".slice") or (name != "-" and ("" in name.split("-") or "/" in name)):
        raise ValueProblem(f"cannot take {text!r} as a slice", "write a name such as web.slice or web-api.slice, or -.slice")


def _delegate(b: Builder, d: Directive, value: str, _: str) -> None:
    """What is no boolean is a yes, with the controllers that are known."""
    try:
        values.parse_bool(value or "yes")
    except ValueProblem:
        unknown = set(value.split()) - {"cpu", "cpuacct", "cpuset", "io", "blkio", "memory", "devices", "pids", "bpf-firewall", "bpf-devices"}
        if unknown:
            b.warn(f"Delegate=: cannot delegate {' '.join(sorted(unknown))}; it is ignored", "write yes, no, or names of controllers such as memory pids")


def _shares(text: str) -> None:
    values.parse_int(text, 2, 262144)


READERS: dict[str, Reader] = {
    "memory": checked(values.parse_memory),
    "memorymax": checked(values.parse_memory_max),
    "cpuquota": checked(values.parse_cpu_quota),
    "cpuweight": checked(values.parse_weight),
    "ioweight": checked(lambda text: values.parse_int(text, 1, 10000)),
    "cpushares": checked(_shares),
    "tasks": checked(values.parse_tasks),
    "cpus": checked(values.parse_cpu_set),
    "quotaperiod": checked(values.parse_timespan),
    "slice": _slice,
    "delegate": _delegate,
}

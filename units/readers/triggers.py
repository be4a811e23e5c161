"""Readers of [Timer] and [Path]."""

from __future__ import annotations

import posixpath

from unitd.units import names, values
from unitd.units.builder import Builder, Reader
from unitd.units.calendar import parse_calendar
from unitd.units.directives import Directive
from unitd.units.errors import ValueProblem
from unitd.units.path import WATCHES, PathSpec
from unitd.units.timer import MONOTONIC, TimerValue


def _forget(b: Builder, field: str, section: str, keys: tuple[str, ...]) -> None:
    """An empty assignment to one of these directives resets all of them."""
    b.reset(field)
    for key in keys:
        b.settings.pop((section, key), None)


def _timer(b: Builder, d: Directive, value: str, _: str) -> None:
    if not value:
        _forget(b, d.field, "Timer", (*MONOTONIC, "OnCalendar"))
    elif d.name == "OnCalendar":
        b.append(d.field, TimerValue(d.name, calendar=parse_calendar(b.soft(value), b.host.zone)))
    else:
        b.append(d.field, TimerValue(d.name, values.parse_timespan(b.soft(value))))


def _watch(b: Builder, d: Directive, value: str, _: str) -> None:
    if not value:
        _forget(b, d.field, "Path", WATCHES)
        return
    path = b.soft(value)
    if not path.startswith("/"):
        raise ValueProblem(f"cannot watch {path!r}, because it is not absolute", "write an absolute path")
    if "/../" in path + "/":
        raise ValueProblem(f"cannot watch {path!r}, because it has .. in it", "write the path without it")
    b.append(d.field, PathSpec(d.name, "/" + posixpath.normpath(path).lstrip("/")))


def _trigger(b: Builder, d: Directive, value: str, _: str) -> None:
    if b.fields.get(d.field):
        raise ValueProblem(f"{b.fields[d.field]} is to be triggered already", "the first line counts; a unit triggers one other")
    name = b.soft(value)
    if not names.is_valid_name(name):
        raise ValueProblem(f"cannot use {name!r}, because it is no unit name", "a unit name looks like web.service")
    if name.rpartition(".")[2] == b.name.rpartition(".")[2]:
        raise ValueProblem(f"cannot trigger {name}, because it is of the same type", "name a service or a target")
    b.put(d.field, names.instance_for(name, b.name))


READERS: dict[str, Reader] = {"timer": _timer, "watch": _watch, "trigger": _trigger}

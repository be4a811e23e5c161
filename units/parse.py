"""Assignments -> a typed unit, with every problem found on the way. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from unitd.units.builder import Builder, Defaults, Fatal
from unitd.units.directives import DIRECTIVES, SECTIONS, Directive
from unitd.units.errors import Problem, ValueProblem
from unitd.units.lexer import Assignment
from unitd.units.model import ExecContext, InstallSection, KillContext, LogContext, ServiceSection, Unit, UnitSection
from unitd.units.path import PathSection, finish_path
from unitd.units.readers import READERS
from unitd.units.service import finish_service, unfinished
from unitd.units.socket import SocketSection, finish_socket
from unitd.units.specifiers import HostFacts
from unitd.units.timer import TimerSection, finish_timer

__all__ = ["Defaults", "build"]

#: Values with which a confining directive confines nothing.
_OFF = frozenset(("", "no", "n", "false", "f", "off", "0", "infinity", "none", "default"))
#: First part of a directive's field -> what it is collected into; the name is also the unit's attribute.
_PARTS: Mapping[str, Callable[..., Any]] = {
    "unit": UnitSection,
    "service": ServiceSection,
    "socket": SocketSection,
    "exec": ExecContext,
    "kill": KillContext,
    "log": LogContext,
    "install": InstallSection,
    "timer": TimerSection,
    "path": PathSection,
}
#: Unit type -> what completes and checks it once all is read: finish(builder, parts), parts being part -> field -> value.
_FINISH: Mapping[str, Callable[[Builder, dict[str, dict[str, Any]]], None]] = {"service": finish_service, "socket": finish_socket, "timer": finish_timer, "path": finish_path}


def feed(b: Builder, a: Assignment) -> None:
    """Take one assignment in; a bad one becomes a problem at its line."""
    if a.file in b.skipped:
        return
    b.place = (a.file, a.line)
    directive = DIRECTIVES.get((a.section, a.key))
    if directive is None:
        _unknown(b, a)
        return
    try:
        _apply(b, directive, a)
    except Fatal as error:
        if a.file == b.fragment or not b.fragment:
            b.bad = True
            b.problems.append(Problem("error", f"{a.key}=: {error}", a.file, a.line, error.hint))
        else:  # systemd goes on without the rest of a drop-in
            b.skipped.add(a.file)
            b.problems.append(Problem("warning", f"{a.key}=: {error}; the rest of the drop-in is ignored", a.file, a.line, error.hint))
    except ValueProblem as error:
        b.problems.append(Problem("warning", f"{a.key}=: {error}; the line is ignored", a.file, a.line, error.hint))
    else:
        if directive.tier == "noted":
            _note(b, directive, a)


def _note(b: Builder, d: Directive, a: Assignment) -> None:
    """What is not acted on is told, unless a later line takes it back."""
    if a.value.lower() in _OFF:
        b.noted.pop((a.section, a.key), None)
    elif not d.confines:
        b.noted[a.section, a.key] = Problem("note", f"{a.key}= is noted, unitd does not act on it", a.file, a.line)
    elif b.defaults.strict:
        hint = f"set {a.key}= to its default in a drop-in to run the service without"
        text = f"{a.key}= would confine the service, unitd cannot apply it, and sandbox = strict refuses that"
        b.noted[a.section, a.key] = Problem("error", text, a.file, a.line, hint, confines=True)
    else:
        text = f"{a.key}= would confine the service, but unitd does not apply it"
        b.noted[a.section, a.key] = Problem("warning", text, a.file, a.line, confines=True)


def _unknown(b: Builder, a: Assignment) -> None:
    if a.section.startswith("X-") or a.key.startswith("X-"):
        if a.section == "X-Unitd":
            b.problems.append(Problem("warning", f"unknown directive {a.key}= in [X-Unitd] is ignored", a.file, a.line))
        return
    if a.section not in SECTIONS:
        near = difflib.get_close_matches(a.section, SECTIONS, 1)
        hint = f"did you mean [{near[0]}]?" if near else ""
        b.problems.append(Problem("warning", f"unknown section [{a.section}], {a.key}= is ignored", a.file, a.line, hint))
        return
    near = difflib.get_close_matches(a.key, [k for s, k in DIRECTIVES if s == a.section], 1)
    elsewhere = [s for s, k in DIRECTIVES if k == a.key]
    hint = f"it belongs into [{elsewhere[0]}]" if elsewhere else f"did you mean {near[0]}=?" if near else ""
    b.problems.append(Problem("warning", f"unknown directive {a.key}= in [{a.section}] is ignored", a.file, a.line, hint))


def _apply(b: Builder, d: Directive, a: Assignment) -> None:
    kind, _, argument = d.kind.partition(":")
    b.kept = a.value
    READERS[kind](b, d, a.value, argument)
    kept = b.settings.setdefault((a.section, a.key), [])
    if not a.value and kind not in ("deps",):
        kept.clear()
    else:
        kept.append(b.kept)


def build(name: str, assignments: list[Assignment], fragment: str, host: HostFacts, defaults: Defaults, *, whole: bool = True) -> tuple[Unit, list[Problem]]:
    """The unit `name` from all its assignments (drop-ins included, in order), and every problem. Never raises.

    `whole` is False when a file of the unit could not be read: then nothing is said about what is missing.
    """
    b = Builder(name, fragment, host, defaults)
    beyond: Builder | None = None  # systemd reads no further than a line that keeps the unit from loading; what is wrong behind it is told all the same
    for assignment in assignments:
        feed(beyond or b, assignment)
        if b.bad and beyond is None:
            beyond = Builder(name, fragment, host, defaults)
    if beyond is not None:
        b.problems += beyond.problems
    b.problems += b.noted.values()
    b.bad = b.bad or any(problem.severity == "error" for problem in b.noted.values())
    parts: dict[str, dict[str, Any]] = {part: {} for part in _PARTS}
    for path, value in b.fields.items():
        part, _, rest = path.partition(".")
        field, _, key = rest.partition(".")
        if key:
            parts[part].setdefault(field, {})[key] = value
        else:
            parts[part][field] = value
    if b.deps:
        parts["unit"]["dependencies"] = {kind: tuple(units) for kind, units in b.deps.items()}
    if "job_timeout" in parts["unit"]:
        parts["unit"].setdefault("job_running_timeout", parts["unit"]["job_timeout"])
    parts["unit"].setdefault("start_limit_interval", defaults.start_limit_interval)
    parts["unit"].setdefault("start_limit_burst", defaults.start_limit_burst)
    finish = _FINISH.get(name.rpartition(".")[2])
    if finish is not None and whole and beyond is None:
        finish(b, parts)
    elif name.endswith(".service"):
        unfinished(b, parts)
    built = {part: _PARTS[part](**fields) for part, fields in parts.items()}
    settings = {key: tuple(v) for key, v in b.settings.items()}
    return Unit(name, load_state="bad-setting" if b.bad else "loaded", settings=settings, **built), b.problems

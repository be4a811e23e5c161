"""Dependencies that nobody writes down: those of DefaultDependencies=yes, of slices and of paths (systemd.unit(5) and the page of each type). Pure.

A target's After= on what it pulls in depends on both units; `manager.graph` has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unitd.units import names
from unitd.units.model import Unit

#: Types whose units come after early boot and go before the end.
_ORDINARY = ("service", "socket", "timer", "path", "scope")


def slice_of(unit: Unit, user: bool = False) -> str:
    """The slice a unit is in: Slice=, or a default one; a slice is in the one that its name says. Empty for what is in none."""
    if unit.type == "slice":
        stem = unit.name.removesuffix(".slice")
        return "" if stem == "-" else f"{stem.rpartition('-')[0] or '-'}.slice"
    if unit.type not in ("service", "scope", "socket"):
        return ""
    asked = unit.settings.get((unit.type.capitalize(), "Slice"), ())
    if asked and asked[-1]:
        return asked[-1]
    if user:
        return "app.slice"
    prefix, instance, _ = names.split(unit.name)
    return f"system-{prefix.replace('-', chr(92) + 'x2d')}.slice" if instance is not None else "system.slice"


def dependencies(unit: Unit, said: Mapping[str, Sequence[str]], user: bool = False) -> dict[str, tuple[str, ...]]:
    """All dependencies of a unit: those that are `said`, and what goes without saying. `user` is for a manager that is not root's."""
    lists: dict[str, dict[str, None]] = {kind: dict.fromkeys(n) for kind, n in said.items()}

    def add(name: str, *kinds: str) -> None:
        if name != unit.name:
            for kind in kinds:
                lists.setdefault(kind, {})[name] = None

    parent = slice_of(unit, user)
    if parent:
        add(parent, "Requires", "After")
    if unit.unit.default_dependencies:
        if unit.type in _ORDINARY:
            add("sysinit.target", "Requires", "After")
            if unit.type == "service":
                add("basic.target", "After")
        if unit.type in _ORDINARY or unit.type in ("target", "slice"):
            if not (unit.name == "shutdown.target" or unit.name == "-.slice"):
                add("shutdown.target", "Before", "Conflicts")
    if unit.type == "service" and not user and _journal(unit):
        add("systemd-journald.socket", "After")
    return {kind: tuple(each) for kind, each in lists.items()}


def _journal(unit: Unit) -> bool:
    output, error = unit.exec.standard_output, unit.exec.standard_error
    return output.startswith(("journal", "kmsg", "syslog")) or error.startswith(("journal", "kmsg", "syslog"))


def ignores_isolate(unit: Unit, assigned: Mapping[tuple[str, str], tuple[str, ...]]) -> bool:
    """IgnoreOnIsolate=: off for what runs, on for the rest, unless it is set."""
    if ("Unit", "IgnoreOnIsolate") in assigned:
        return unit.unit.ignore_on_isolate
    return unit.type not in ("service", "target", "socket", "timer", "path")

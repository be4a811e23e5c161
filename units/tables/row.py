"""A row of the directive table, and the short notation the tables are written in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

ACTIONS = "enum:none,reboot,reboot-force,reboot-immediate,poweroff,poweroff-force,poweroff-immediate,exit,exit-force,kexec,halt,soft-reboot"
KINDS = {"@ACTIONS": ACTIONS}


@dataclass(frozen=True)
class Directive:
    """One directive. `kind` names a reader of `units.readers`, its argument behind a colon. `field` is a path in the model
    ("service.restart_sec"), empty for what only `Unit.settings` keeps."""

    section: str  # a section, or a group of them: Exec, Kill, Resource
    name: str
    kind: str
    field: str
    tier: str  # honoured, partly, noted
    help: str
    confines: bool = False  # a service without it has more rights than its author meant it to have
    default: str = ""


def rows(section: str, text: str, tier: str = "honoured") -> Iterator[Directive]:
    """Rows written `name|kind|field|default|help`, a line each."""
    for line in text.strip().splitlines():
        name, kind, field, default, help_ = line.strip().split("|", 4)
        yield Directive(section, name, KINDS.get(kind, kind), field, tier, help_, default=default)


def noted(section: str, text: str) -> Iterator[Directive]:
    """Directives that are known and kept, but not acted on: `name|type|default|help`, a line each, or names alone with blanks between;
    with a ! behind the names of those that would have confined the service."""
    for line in text.strip().splitlines():
        for word in [line.strip()] if "|" in line else line.split():
            name, kind, default, help_ = (word + "|||").split("|")[:4]
            yield Directive(section, name.rstrip("!"), f"keep:{kind}" if kind else "keep", "", "noted", help_, confines=name.endswith("!"), default=default)

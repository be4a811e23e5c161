"""Look-up in the one table of directives: section, name, how its value is read, where it goes, its default and meaning, whether it is honoured.

Parser, `show`, `verify`, `help` and the generated reference come from it. The rows are in `units.tables`, a module per section or group; `kind` of a row
names a reader of `units.readers`.
"""

from __future__ import annotations

from unitd.units.tables import exec, install, kill, other, path, resource, service, socket, timer, unit, xunitd
from unitd.units.tables.row import Directive

__all__ = ["DIRECTIVES", "GROUPS", "SECTIONS", "Directive"]

_TABLES = (unit, service, exec, kill, resource, install, socket, timer, path, other, xunitd)
#: Which sections take the directives of which groups.
GROUPS = {
    "Service": ("Exec", "Kill", "Resource"),
    "Socket": ("Exec", "Kill", "Resource"),
    "Mount": ("Exec", "Kill", "Resource"),
    "Swap": ("Exec", "Kill", "Resource"),
    "Slice": ("Resource",),
    "Scope": ("Kill", "Resource"),
}
SECTIONS = ("Unit", "Install", "Service", "Socket", "Timer", "Path", "Mount", "Automount", "Swap", "Slice", "Scope", "X-Unitd")


def _build() -> dict[tuple[str, str], Directive]:
    table: dict[tuple[str, str], Directive] = {}
    for module in _TABLES:
        for directive in module.ROWS:
            homes = [s for s, groups in GROUPS.items() if directive.section in groups] or [directive.section]
            for home in homes:
                table.setdefault((home, directive.name), directive)
    for name in ("StartLimitInterval", "StartLimitBurst", "StartLimitAction", "FailureAction"):  # where systemd had them once
        table["Service", name] = table["Unit", name]
    return table


#: (section, directive) -> its entry.
DIRECTIVES = _build()

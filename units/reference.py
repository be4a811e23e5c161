"""The directive reference as Markdown, from the one table."""

from __future__ import annotations

import sys

from unitd.units.directives import DIRECTIVES, GROUPS, SECTIONS


def markdown() -> str:
    """A page with every directive: how it is read, whether it is honoured, what it means."""
    lines = ["# Directives", "", "Made by `make docs` from the table that the parser uses. *noted*: accepted and shown, not acted on; **confines**: loading warns.", ""]
    shared = {g for groups in GROUPS.values() for g in groups}
    for section in ("Unit", "Service", "Exec", "Kill", "Resource", "Install", *(s for s in SECTIONS if s not in ("Unit", "Service", "Install"))):
        rows = {d.name: d for (home, _), d in DIRECTIVES.items() if d.section == section and (section in shared or home == section)}
        if not rows:
            continue
        where = " (in " + ", ".join(f"[{s}]" for s, groups in GROUPS.items() if section in groups) + ")" if section in shared else ""
        lines += [f"## {section}{where}", "", "| directive | read as | | meaning |", "|---|---|---|---|"]
        for name in sorted(rows):
            d = rows[name]
            lines.append(f"| {name}= | {d.kind.replace('|', ' ')} | {d.tier}{', **confines**' if d.confines else ''} | {d.help} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(markdown())

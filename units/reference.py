"""The directive reference, as a page of Markdown and as the entry that `unitctl help DIRECTIVE` prints, from the one table."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from unitd.units.directives import DIRECTIVES, GROUPS, SECTIONS
from unitd.units.tables.row import Directive

_HEAD = """# Directives

Every directive of unit files that unitd knows: those of systemd 252, some of later versions, and `[X-Unitd]`. The page is made by `make docs`
from the table that the parser uses; `unitctl help DIRECTIVE` prints an entry.

- *honoured*: it works as systemd's manual says.
- *partly*: it works where the kernel or the machine allows it; `status` tells when it does not.
- *noted*: the value is read, kept and shown, and nothing is done. Where that leaves the service with more rights than its author meant it to have
  (**confines**), `verify` and `status` warn, and `sandbox = strict` in unitd.conf refuses the unit.
"""
#: Kind of a reader -> what a user writes.
TYPES = {
    "bindipv6only": "default, both, ipv6-only", "bool": "boolean", "bytes": "size", "busname": "bus name", "envnames": "names of variables", "fatalpath": "path", "isolatemode": "boolean", "mounts": "paths", "optspan": "time span", "preserve": "boolean, or restart", "capabilities": "capabilities", "colonpaths": "paths with : between", "command": "command line", "condition": "value to test",
    "cpupolicy": "other, batch, idle, fifo, rr", "cpuquota": "percentage", "cpus": "list of CPUs", "cpuset": "list of CPUs", "cpushares": "number",
    "cpuweight": "1 to 10000, or idle", "credential": "NAME:VALUE or NAME:PATH", "delegate": "boolean or controllers", "deps": "units",
    "directories": "names", "dirmode": "mode", "documentation": "URIs", "envfile": "path, - in front: may be missing", "environment": "NAME=VALUE ...",
    "exitcode": "0 to 255", "exits": "exit statuses and signals", "fdname": "name", "inputdata": "Base64", "inputtext": "text",
    "ioclass": "none, realtime, best-effort, idle", "ioweight": "1 to 10000", "iptos": "number or word", "jobmode": "job mode", "keep": "text",
    "limit": "value, or soft:hard", "listen": "address or path", "logage": "time span", "logcompress": "no, yes, zstd, gzip", "logsize": "size", "memory": "size or percentage",
    "memorymax": "size or percentage", "mode": "octal mode", "names": "units", "nsec": "nanoseconds", "path": "path", "pidfile": "path",
    "quotaperiod": "time span", "securebits": "words", "signal": "signal", "slice": "slice", "socketprotocol": "udplite, sctp",
    "socketservice": "service", "span": "time span", "str": "text", "symlinks": "paths", "tasks": "number or percentage", "timeout": "time span",
    "timeoutboth": "time span", "timer": "time span or calendar expression", "timestamping": "off, us, ns", "trigger": "unit", "uint": "number",
    "user": "name or number", "users": "names or numbers", "watch": "path", "words": "words", "workdir": "path, or ~",
    "stdin": "null, tty, tty-force, tty-fail, data, file:PATH, socket, fd:NAME",
    "stdout": "inherit, null, tty, journal, file:PATH, append:PATH, truncate:PATH, socket, fd:NAME",
}  # fmt: skip


def type_of(directive: Directive) -> str:
    """What a user writes behind the equals sign, in words."""
    kind, _, argument = directive.kind.partition(":")
    if kind == "enum":
        return argument.replace(",", ", ")
    if kind in ("int", "level"):
        return argument.replace(":", " to ")
    if kind == "keep" and argument:
        return argument
    return TYPES.get(kind, kind)


def home(directive: Directive) -> str:
    """The sections that take the directive, as they are written."""
    sections = [s for s, groups in GROUPS.items() if directive.section in groups] or [directive.section]
    return ", ".join(f"[{s}]" for s in sections)


def find(name: str) -> list[Directive]:
    """Entries of a directive in all its sections; any case, with or without the equals sign."""
    wanted = name.rstrip("=").lower()
    return list(dict.fromkeys(d for (_, key), d in DIRECTIVES.items() if key.lower() == wanted))


def describe(directive: Directive) -> str:
    """One entry as text."""
    how = {"honoured": "honoured", "partly": "partly honoured: where the kernel or the machine allows it", "noted": "noted only: nothing is done"}[directive.tier]
    if directive.confines:
        how += "; loading warns, because the service gets more rights than it should have (sandbox = strict refuses it)"
    lines = [f"{directive.name}=   in {home(directive)}", f"    {directive.help}", f"    value:   {type_of(directive)}"]
    if directive.default:
        lines.append(f"    default: {directive.default}")
    return "\n".join([*lines, f"    unitd:   {how}"]) + "\n"


def markdown() -> str:
    """The page."""
    lines = [_HEAD]
    shared = {group for groups in GROUPS.values() for group in groups}
    for section in ("Unit", "Service", "Exec", "Kill", "Resource", "Install", *(s for s in SECTIONS if s not in ("Unit", "Service", "Install"))):
        rows = {d.name: d for (place, _), d in DIRECTIVES.items() if d.section == section and (section in shared or place == section)}
        if not rows:
            continue
        where = f"{section}, in {home(next(iter(rows.values())))}" if section in shared else f"[{section}]"
        lines += [f"## {where}", "", "| directive | value | default | unitd | meaning |", "|---|---|---|---|---|", *table(rows.values()), ""]
    return "\n".join(lines)


def table(rows: Iterable[Directive]) -> list[str]:
    """Lines of the Markdown table."""
    lines = []
    for d in sorted(rows, key=lambda d: d.name):
        cells = (f"{d.name}=", type_of(d), d.default, d.tier + (", **confines**" if d.confines else ""), d.help)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


if __name__ == "__main__":
    sys.stdout.write(markdown())

"""Text of a unit file -> assignments with their lines (systemd.syntax(7)). Pure; never raises."""

from __future__ import annotations

import msgspec

from unitd.units.errors import Problem


class Assignment(msgspec.Struct, frozen=True):
    """`key=value` in `[section]`, at `line` of `file`."""

    section: str
    key: str
    value: str
    file: str
    line: int


def lex(text: str, file: str) -> tuple[list[Assignment], list[Problem]]:
    """All assignments in order, and what is wrong. A malformed section line is an error, other stray lines are warnings (cases drop-022 to 024)."""
    assignments: list[Assignment] = []
    problems: list[Problem] = []
    section = ""
    pending: list[str] = []
    first = 0
    lines = text.removeprefix("\ufeff").split("\n")
    lines.append("")  # so that a file ending in a comment still completes a continued line
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\r")
        stripped = line.strip(" \t")
        if stripped[:1] in ("#", ";"):
            continue  # also between continued lines, which it does not end (case cmd-030)
        if not pending:
            if not stripped:
                continue
            first = number
        if (len(line) - len(line.rstrip("\\"))) % 2 and number < len(lines):
            pending.append(line[:-1])
            continue
        whole = " ".join([*pending, line]).strip(" \t")
        pending = []
        if whole.startswith("["):
            if not whole.endswith("]") or len(whole) < 2 or any(c < " " or c in "\"'\\\x7f" for c in whole):
                problems.append(Problem("error", f"cannot read the section line {whole!r}, because it does not end in ]", file, first, "write [Unit], [Service] or [Install]"))
                section = ""
            else:
                section = whole[1:-1]
            continue
        key, equals, value = whole.partition("=")
        key = key.strip(" \t")
        if not equals or not key:
            problems.append(Problem("warning", f"line without an assignment is ignored: {whole[:60]!r}", file, first, "write Key=Value"))
        elif not section:
            problems.append(Problem("warning", f"{key}= stands before any section and is ignored", file, first, "put a section line such as [Service] above it"))
        else:
            assignments.append(Assignment(section, key, value.strip(" \t"), file, first))
    return assignments, problems

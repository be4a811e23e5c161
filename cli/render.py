"""Tables and colours. Pure: data in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_LEGEND = """LOAD   = Reflects whether the unit definition was properly loaded.
ACTIVE = The high-level unit activation state, i.e. generalization of SUB.
SUB    = The low-level unit activation state, values depend on unit type.
"""


class Painter:
    """Wraps text in terminal colours, or leaves it alone."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def _wrap(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text

    def green(self, text: str) -> str:
        """Good."""
        return self._wrap(text, "0;1;32")

    def red(self, text: str) -> str:
        """Bad."""
        return self._wrap(text, "0;1;31")

    def yellow(self, text: str) -> str:
        """To be looked at."""
        return self._wrap(text, "0;1;33")

    def grey(self, text: str) -> str:
        """Of less interest."""
        return self._wrap(text, "0;90")

    def underline(self, text: str) -> str:
        """Heads of tables."""
        return self._wrap(text, "4")

    def state(self, active: str, text: str) -> str:
        """In the colour of an ActiveState."""
        if active == "failed":
            return self.red(text)
        if active == "active":
            return self.green(text)
        return self.yellow(text) if active in ("activating", "deactivating", "reloading") else text


def table(head: Sequence[str], rows: Sequence[Sequence[str]], legend: bool = True) -> list[str]:
    """Left-aligned columns, as wide as their widest cell; the last is not padded."""
    lines = [list(head), *rows] if legend else list(rows)
    widths = [max((len(line[i]) for line in lines), default=0) for i in range(len(head))]
    return [" ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def units(rows: Sequence[Mapping[str, Any]], paint: Painter, *, legend: bool, plain: bool, everything: bool, filtered: bool) -> str:
    """list-units. A mark stands before failed and missing units unless `plain`."""
    jobs = any(row.get("job") for row in rows)
    head = ["UNIT", "LOAD", "ACTIVE", "SUB", *(["JOB"] if jobs else []), "DESCRIPTION"]
    cells = [
        [
            str(row["unit"]),
            str(row["load"]),
            str(row["active"]),
            str(row["sub"]),
            *([str(row.get("job") or "")] if jobs else []),
            str(row["description"]),
        ]
        for row in rows
    ]
    lines = table(head, cells, legend)
    out = []
    if legend:
        out.append(("" if plain else "  ") + paint.underline(lines.pop(0)))
    for row, line in zip(rows, lines, strict=True):
        bad = row["active"] == "failed" or row["load"] not in ("loaded", "stub")
        if not plain:
            line = (paint.red("●") if bad else " ") + " " + (paint.red(line) if bad else line)
        out.append(line)
    text = "".join(line + "\n" for line in out)
    if legend:
        text += ("\n" + _LEGEND if rows else "") + f"{len(rows)} loaded units listed."
        if everything:
            text += "\nTo show all installed unit files use 'unitctl list-unit-files'."
        elif not filtered:
            text += " Pass --all to see loaded but inactive units, too.\nTo show all installed unit files use 'unitctl list-unit-files'."
        text += "\n"
    return text


def unit_files(rows: Sequence[Mapping[str, Any]], paint: Painter, legend: bool) -> str:
    """list-unit-files."""
    without = ("alias", "static", "generated", "transient")
    cells = [[str(r["unit_file"]), str(r["state"]), str(r.get("preset") or "-") if r["state"] not in without else "-"] for r in rows]
    return _listing(["UNIT FILE", "STATE", "PRESET"], cells, paint, legend, "unit files listed.")


def jobs(rows: Sequence[Mapping[str, Any]], paint: Painter, legend: bool) -> str:
    """list-jobs."""
    if not rows:
        return "No jobs running.\n" if legend else ""
    cells = []
    for r in rows:
        cells.append([str(r["job"]), str(r["unit"]), str(r["type"]), str(r["state"])])
        for key, what in (("after", "waiting for job"), ("before", "blocking job")):
            cells += [["", f"└─ {what} {o['job']} ({o['unit']}/{o['type']})", "", str(o["state"])] for o in r.get(key, ())]
    return _listing(["JOB", "UNIT", "TYPE", "STATE"], cells, paint, legend, "jobs listed.", len(rows))


def _listing(head: Sequence[str], cells: Sequence[Sequence[str]], paint: Painter, legend: bool, what: str, count: int | None = None) -> str:
    lines = table(head, cells, legend)
    if legend:
        lines[0] = paint.underline(lines[0])
        lines += ["", f"{len(cells) if count is None else count} {what}"]
    return "".join(line + "\n" for line in lines)


def dependencies(rows: Sequence[Mapping[str, Any]], paint: Painter, plain: bool) -> str:
    """list-dependencies: rows in order of a walk, each with its depth."""
    out = []
    for i, row in enumerate(rows):
        depth, name = int(row["depth"]), str(row["unit"])
        if plain:
            out.append(("  " if depth else "") + name)
            continue
        branches = ""
        for level in range(1, depth + 1):
            more = _more(rows, i, level)
            branches += ("├─" if more else "└─") if level == depth else ("│ " if more else "  ")
        dot = paint.state(str(row["active"]), dot_of(str(row["active"]))) + " " if depth else ""
        out.append(dot + branches + name)
    return "".join(line + "\n" for line in out)


def _more(rows: Sequence[Mapping[str, Any]], index: int, level: int) -> bool:
    """Does another branch follow at this level?"""
    for row in rows[index + 1 :]:
        if int(row["depth"]) <= level:
            return int(row["depth"]) == level
    return False


def dot_of(active: str) -> str:
    """systemctl's mark of an ActiveState."""
    return {"active": "●", "failed": "×", "activating": "↻", "reloading": "↻", "deactivating": "●", "maintenance": "○"}.get(active, "○")


def bytes_text(size: float) -> str:
    """`1.2M`, as systemd's format_bytes."""
    for factor, suffix in ((1024**4, "T"), (1024**3, "G"), (1024**2, "M"), (1024, "K")):
        if size >= factor:
            return f"{int(size * 10 // factor) / 10:.1f}{suffix}"
    return f"{int(size)}B"


def duration(seconds: float) -> str:
    """`1.234s`, `5min 3.120s`, `12ms`: a span to the millisecond (format_timespan)."""
    if seconds < 1:
        return f"{int(seconds * 1000)}ms" if seconds >= 0.001 else f"{int(seconds * 1e6)}us" if seconds > 0 else "0"
    words = []
    rest = seconds
    for size, word in ((86400 * 7, "w"), (86400, "d"), (3600, "h"), (60, "min")):
        if rest >= size:
            words.append(f"{int(rest // size)}{word}")
            rest %= size
    if len(words) < 3 and int(rest * 1000):
        words.append(f"{int(rest * 1000) / 1000:.3f}s")
    return " ".join(words)

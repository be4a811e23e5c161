"""From the model to lines of styled text, as wide as the terminal. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from unitd.cli import spark
from unitd.cli.render import bytes_text
from unitd.cli.top.model import SORTS, Line, Model, Row


class Span(NamedTuple):
    """Text in one style: "", "good", "bad", "warn", "dim", "head", "title"."""

    text: str
    style: str = ""


class Column(NamedTuple):
    """A column: its title, its width, whether numbers stand to the right."""

    key: str
    title: str
    width: int
    right: bool = False


HELP = (
    "up down j k      choose a unit           c m n u e a   sort by CPU, memory, name, state, restarts, age",
    "PgUp PgDn        choose a page further   i             the other way round",
    "Enter o          its output, live        /             filter by a part of the name or by state; Esc ends it",
    "t                processes as a tree     v             units that are no services as well",
    "S T R L          start stop restart reload the unit    K   send a signal",
    "+ -              one instance of its template more, or less",
    "space            hold the picture        h ?   this help       q   leave",
)


def clean(text: str) -> str:
    """Text without characters that would move the cursor."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _width(char: str) -> int:
    return 0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, width: int, right: bool = False) -> str:
    """Text cut or filled to `width` columns of a terminal."""
    used, out = 0, []
    for char in text:
        w = _width(char)
        if used + w > width:
            break
        out.append(char)
        used += w
    pad = " " * (width - used)
    return pad + "".join(out) if right else "".join(out) + pad


def age_text(seconds: float) -> str:
    """`12s`, `5m`, `3h`, `2d`: at most four characters up to years."""
    for size, word in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{word}"
    return f"{int(seconds)}s"


def columns(width: int, longest: int) -> list[Column]:
    """The columns that fit, the name getting what is left."""
    wanted = [
        Column("state", "STATE", 13),
        Column("cpu", "CPU%", 6, True),
        Column("memory", "MEM", 7, True),
        Column("restarts", "RST", 4, True),
        Column("age", "AGE", 5, True),
        Column("cpu_graph", "CPU", 12),
        Column("memory_graph", "MEM", 12),
        Column("tasks", "THR", 4, True),
        Column("fds", "FDS", 5, True),
        Column("note", "", 24),
    ]
    left = width - min(max(longest, 12), 40)
    chosen = []
    for column in wanted:
        if left < column.width + 1:
            break
        chosen.append(column)
        left -= column.width + 1
    order = ["state", "cpu", "cpu_graph", "memory", "memory_graph", "restarts", "age", "tasks", "fds", "note"]
    chosen.sort(key=lambda column: order.index(column.key))
    rest = width - sum(column.width + 1 for column in chosen)
    return [Column("name", "UNIT", max(4, rest)), *chosen]


def state_style(row: Row) -> str:
    """The colour of a unit's state."""
    if row.active == "failed":
        return "bad"
    if row.active == "active":
        return "good"
    return "warn" if row.active in ("activating", "deactivating", "reloading") else "dim"


def name(line: Line) -> str:
    """What stands in the first column."""
    if line.process is None:
        return clean(line.row.unit)
    return "  " * line.depth + f"{line.process.pid} {clean(line.process.name)}"


def cell(column: Column, line: Line, now: float, unicode: bool) -> Span:
    """One cell."""
    row, process = line.row, line.process
    style = ""
    if process is not None:
        values = {
            "name": name(line),
            "cpu": f"{process.cpu:.1f}",
            "memory": bytes_text(process.memory),
            "tasks": str(process.threads),
            "fds": str(process.fds),
        }
        return Span(fit(values.get(column.key, ""), column.width, column.right), "dim")
    match column.key:
        case "name":
            text = name(line)
        case "state":
            text, style = row.sub + (f" {row.job}" if row.job else ""), state_style(row)
        case "cpu":
            text, style = f"{row.cpu:.1f}" if row.up or row.cpu else "", "warn" if row.cpu >= 80 else ""
        case "memory":
            text = bytes_text(row.memory) if row.memory else ""
        case "restarts":
            text, style = str(row.restarts) if row.restarts else "", "warn" if row.restarts else ""
        case "age":
            seconds = row.age(now)
            text = age_text(seconds) if seconds else ""
        case "cpu_graph":
            text, style = spark.spark(list(row.cpu_points), column.width, 100.0, unicode) if row.cpu_points else "", "good"
        case "memory_graph":
            text, style = spark.spark(list(row.memory_points), column.width, 1.0, unicode) if row.memory_points else "", "dim"
        case "tasks":
            text = str(row.tasks) if row.tasks else ""
        case "fds":
            text = str(row.fds) if row.fds else ""
        case _:
            text, style = note(row, now)
    return Span(fit(text, column.width, column.right), style)


def note(row: Row, now: float) -> tuple[str, str]:
    """A few words: the planned restart, why it failed, or what the service says."""
    if row.plan_at:
        return f"restart in {max(0.0, row.plan_at - now):.0f}s: {clean(row.last_failure)}", "warn"
    if row.active == "failed":
        return clean(row.last_failure or row.result), "bad"
    return clean(row.status_text), "dim"


def heading(model: Model, width: int) -> list[list[Span]]:
    """The first line: what there is, and what is shown of it."""
    states, cpu, memory = model.totals()
    words = ", ".join(f"{states[s]} {s}" for s in ("active", "failed", "activating", "deactivating", "reloading", "inactive") if states.get(s))
    left = f"unitd: {words or 'no units'}; CPU {cpu:.1f}%, memory {bytes_text(memory)}"
    title, _key, _descending = SORTS[model.sort]
    right = f"by {title}" + (" reversed" if model.reverse else "") + (", tree" if model.tree else "") + (f", only {model.filter!r}" if model.filter else "")
    lines = [[Span(fit(left, max(0, width - len(right) - 1)), "title"), Span(" " + fit(right, min(len(right), max(0, width - 1))), "dim")]]
    if not model.connected:
        lines[0] = [Span(fit(f"unitd: {model.trouble}; what is shown is old", width), "bad")]
    return lines


def table(model: Model, lines: Sequence[Line], width: int, now: float, unicode: bool) -> tuple[list[Span], list[list[Span]]]:
    """(the heads of the columns, one list of spans for each line)."""
    shape = columns(width, max((len(name(line)) for line in lines), default=0))
    head = Span(fit(" ".join(fit(c.title, c.width, c.right) for c in shape), width), "head")
    out = []
    for line in lines:
        spans: list[Span] = []
        for column in shape:
            if spans:
                spans.append(Span(" "))
            spans.append(cell(column, line, now, unicode))
        out.append(spans)
    return [head], out


def frame(model: Model, width: int, now: float, unicode: bool, height: int = 0) -> str:
    """A whole picture as text, for --batch; `height` 0: all lines."""
    lines = model.lines(now)
    head, body = table(model, lines[:height] if height else lines, width, now, unicode)
    spans = [*heading(model, width), head, *body]
    return "".join("".join(span.text for span in row).rstrip() + "\n" for row in spans)

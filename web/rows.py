"""Turns what the bus answers into what the page shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from unitd.bus.logread import LogLine
from unitd.units import special
from unitd.web.types import Detail, Line, Process, Unit

STREAMS = {0: "out", 1: "err", 2: "manager"}
#: Well-known targets that people fill themselves.
OWN = frozenset({"default.target", "multi-user.target"})
#: Longer lines are cut: a page is no place for a megabyte without a newline.
LONGEST = 8192


def from_snapshot(row: Mapping[str, Any]) -> Unit:
    """A row of the bus verb `snapshot`."""
    name = str(row.get("unit") or "")
    stats = row.get("stats") or {}
    return Unit(
        unit=name,
        description=str(row.get("description") or name),
        type=type_of(name),
        built_in=name.endswith(".slice") or (name in special.TARGETS and name not in OWN),
        load=str(row.get("load") or ""),
        active=str(row.get("active") or ""),
        sub=str(row.get("sub") or ""),
        result=str(row.get("result") or ""),
        since=float(row.get("since") or 0.0),
        restarts=int(row.get("restarts") or 0),
        next_restart=float((row.get("restart") or {}).get("at") or 0.0),
        job=str(row.get("job") or ""),
        template=str(row.get("template") or ""),
        targets=[str(t) for t in row.get("targets") or ()],
        main_pid=int(row.get("main_pid") or 0),
        status_text=str(row.get("status_text") or ""),
        cpu=float(stats.get("cpu") or 0.0) / 100 if stats else None,
        memory=int(stats.get("memory") or 0) if stats else None,
    )


def type_of(name: str) -> str:
    """`service` of `web@1.service`."""
    return name.rpartition(".")[2]


def detail(unit: Unit, row: Mapping[str, Any], properties: Mapping[str, str]) -> Detail:
    """A unit's row with one of `status` and one of `show`."""
    if unit.memory is None and row.get("memory"):
        unit.memory = int(row["memory"])
    return Detail(
        unit=unit,
        now=float(row.get("now") or 0.0),
        fragment=str(row.get("fragment") or ""),
        drop_ins=[str(p) for p in row.get("drop_ins") or ()],
        unit_file_state=str(row.get("unit_file_state") or ""),
        last_failure=str(row.get("last_failure") or ""),
        warnings=[str(w) for w in row.get("warnings") or ()] + ([str(row["load_error"])] if row.get("load_error") else []),
        documentation=[str(d) for d in row.get("docs") or ()],
        processes=[Process(int(p.get("pid") or 0), str(p.get("cmdline") or ""), int(p.get("depth") or 0)) for p in row.get("tree") or ()],
        properties={str(k): str(v) for k, v in properties.items()},
    )


def text_of(raw: bytes) -> str:
    """Output as text: what is no UTF-8 shows as \\xNN, a long line is cut."""
    return raw[:LONGEST].decode("utf-8", "backslashreplace") + ("…" if len(raw) > LONGEST else "")


def line(found: LogLine) -> Line:
    """A line of output."""
    return Line(found.realtime, STREAMS.get(found.stream, str(found.stream)), text_of(found.text))


def state_class(active: str) -> str:
    """The CSS class of a state: names of classes never come from elsewhere."""
    return active if active in ("active", "reloading", "inactive", "failed", "activating", "deactivating", "maintenance") else "unknown"


def matches(row: Unit, words: Iterable[str]) -> bool:
    """Does a row fit the filter? Every word must be in its name, description, state or targets."""
    text = " ".join((row.unit, row.description, row.active, row.sub, row.load, row.template, *row.targets)).casefold()
    return all(word in text for word in words)


def grouped(rows: Iterable[Unit], by: str) -> list[tuple[str, list[Unit]]]:
    """Rows under headings: by `target`, `template` or `type`, otherwise all under one without a name."""
    groups: dict[str, list[Unit]] = {}
    for row in rows:
        if by == "target":
            keys = row.targets or ["no target"]
        elif by == "template":
            keys = [row.template or "no template"]
        elif by == "type":
            keys = [row.type]
        else:
            keys = [""]
        for key in keys:
            groups.setdefault(key, []).append(row)
    return sorted(groups.items(), key=lambda item: (item[0].startswith("no "), item[0]))

"""The picture of what a unit needs and what needs it, as SVG. Pure; every text is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

from unitd.web.rows import state_class

#: (heading, kinds) on the left: what pulls the unit in; on the right: what it pulls in.
NEEDED_BY = (("required by", ("RequiredBy", "RequisiteOf", "BoundBy")), ("wanted by", ("WantedBy", "UpheldBy")), ("triggered by", ("TriggeredBy",)))
NEEDS = (("requires", ("Requires", "Requisite", "BindsTo")), ("wants", ("Wants", "Upholds")), ("triggers", ("Triggers",)), ("part of", ("PartOf",)), ("conflicts", ("Conflicts",)))
MOST = 16
WIDTH, HEIGHT, GAP, COLUMN = 220, 26, 8, 340
#: Every unit has these; they tell nothing.
DULL = frozenset({"shutdown.target", "basic.target", "sysinit.target", "system.slice", "-.slice", "umount.target"})


def related(properties: Mapping[str, str], sides: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[str, str]]:
    """(how, unit) of one side, each unit once."""
    found: dict[str, str] = {}
    for how, kinds in sides:
        for kind in kinds:
            for name in properties.get(kind, "").split():
                if name not in DULL:
                    found.setdefault(name.strip('"'), how)
    return [(how, name) for name, how in found.items()]


def link(unit: str) -> str:
    """The path of a unit's page."""
    return "/unit/" + quote(unit, safe="@:.-_")


def draw(unit: str, properties: Mapping[str, str], states: Mapping[str, str]) -> str:
    """The picture; `states` has the active state of each unit."""
    left, right = related(properties, NEEDED_BY), related(properties, NEEDS)
    rows = max(1, *(min(len(side), MOST) + (len(side) > MOST) for side in (left, right)))
    height = rows * (HEIGHT + GAP) + GAP
    middle = height / 2
    parts = [
        f'<svg class="picture" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * COLUMN + WIDTH} {height}" role="group" '
        f'aria-label="Dependencies of {escape(unit)}">'
    ]
    for side, x in ((left, 0), (right, 2 * COLUMN)):
        shown = side[:MOST]
        used = (len(shown) + (len(side) > MOST)) * (HEIGHT + GAP)
        y = (height - used) / 2 + GAP / 2
        for how, name in shown:
            parts.append(_edge(x, y + HEIGHT / 2, middle, how))
            parts.append(_node(name, x, y, states.get(name, ""), f"{name}, {how}"))
            y += HEIGHT + GAP
        if len(side) > MOST:
            parts.append(f'<text class="more" x="{x + WIDTH / 2}" y="{y + 17}">and {len(side) - MOST} more</text>')
    parts.append(_node(unit, COLUMN, middle - HEIGHT / 2, states.get(unit, ""), unit, True))
    if not left and not right:
        parts.append(f'<text class="more" x="{COLUMN + WIDTH + 20}" y="{middle + 5}">nothing depends on it, it depends on nothing</text>')
    return "".join(parts) + "</svg>"


def _node(name: str, x: float, y: float, state: str, title: str, here: bool = False) -> str:
    short = name if len(name) <= 28 else name[:26] + "…"
    label = escape(f"{title}: {state}" if state else title)
    body = (
        f'<rect class="node {state_class(state)}{" here" if here else ""}" x="{x + 1}" y="{y:g}" width="{WIDTH - 2}" height="{HEIGHT}" rx="5"/>'
        f'<text x="{x + 10}" y="{y + 17.5:g}">{escape(short)}</text>'
    )
    if here:
        return f"<g><title>{label}</title>{body}</g>"
    return f'<a href="{escape(link(name))}" aria-label="{label}"><title>{label}</title>{body}</a>'


def _edge(x: float, y: float, middle: float, how: str) -> str:
    begin, end = (x + WIDTH, COLUMN) if x == 0 else (COLUMN + WIDTH, x)
    from_y, to_y = (y, middle) if x == 0 else (middle, y)
    bend = (begin + end) / 2
    kind = "strong" if how in ("requires", "required by") else "conflict" if how == "conflicts" else "weak"
    return (
        f'<path class="edge {kind}" d="M{begin} {from_y:g} C{bend:g} {from_y:g} {bend:g} {to_y:g} {end} {to_y:g}"/>'
        f'<text class="how" x="{bend:g}" y="{(y * 3 + middle) / 4 - 3:g}">{how}</text>'
    )

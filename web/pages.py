"""The pages as HTML that reads without scripts; the scripts take over from what stands there. Templates escape every value by themselves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import bottle

import unitd
from unitd.bus.connecting import BusError
from unitd.bus.timetext import log_stamp, stamp
from unitd.web import charts, logs, picture, requests, rows
from unitd.web.requests import Refused
from unitd.web.types import ACTIONS, File, Line, Unit

TEMPLATES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")
GROUPS = ("target", "template", "type")
#: Lines of output on a page without scripts.
LINES = 100
#: The signals offered; others by unitctl kill.
SIGNALS = ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGSTOP", "SIGCONT")


class Pages:
    """One method for each page. They raise Refused and BusError."""

    def __init__(self, api: Any, read_only: bool) -> None:
        self.api, self.read_only = api, read_only
        self._templates: dict[str, bottle.SimpleTemplate] = {}

    def routes(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        """(path, function) of all pages."""
        yield "/", self.overview
        yield "/unit/<unit>", self.unit
        yield "/login", self.login

    def _render(self, name: str, **values: Any) -> str:
        template = self._templates.get(name)
        if template is None:
            template = self._templates[name] = bottle.SimpleTemplate(name=name, lookup=[TEMPLATES])
        helpers = {
            "size": charts.size, "percent": charts.percent, "spark": charts.sparkline, "stamp": stamp, "log_stamp": log_stamp,
            "link": picture.link, "state_class": rows.state_class, "quote": quote, "version": unitd.__version__, "read_only": self.read_only,
        }  # fmt: skip
        text: str = template.render(**helpers, **values)
        return text

    def overview(self) -> str:
        """All units, filtered and grouped as the query says."""
        query = requests.text("q", 200)
        group = requests.choice("group", (*GROUPS, "none"))
        found = self.api.hub.snapshot()
        words = query.casefold().split()
        every = requests.choice("all", ("0", "1")) == "1"
        units = [u for u in found.units if every or not u.built_in or u.active == "failed"]
        shown = [u for u in units if rows.matches(u, words)]
        counts: dict[str, int] = {}
        for unit in units:
            counts[unit.active] = counts.get(unit.active, 0) + 1
        return self._render(
            "overview.tpl", title="Units", groups=rows.grouped(shown, group), group=group, query=query, every=every, shown=len(shown), counts=counts, cursor=found.cursor,
            now=found.now, when=lambda at: charts.when(at, found.now), due=lambda at: _due(at, found.now), choices=GROUPS, cpu=self._cpu, memory=self._memory,
        )  # fmt: skip

    def _cpu(self, unit: Unit) -> str:
        return charts.sparkline([s.cpu for s in self.api.samples(unit.unit)[-60:]])

    def _memory(self, unit: Unit) -> str:
        return charts.sparkline([float(s.memory) for s in self.api.samples(unit.unit)[-60:]])

    def unit(self, unit: str) -> str:
        """One unit."""
        name = requests.unit_name(unit)
        hub = self.api.hub
        hub.touch()
        found = self.api.unit(name)
        states = {u.unit: u.active for u in hub.rows.values()}
        states[found.unit.unit] = found.unit.active
        samples = self.api.unit_stats(name).units[name]
        events = [e for e in hub.events if e.get("unit") == found.unit.unit]
        return self._render(
            "unit.tpl", title=found.unit.unit, detail=found, row=found.unit, files=self._files(name), lines=self._lines(name), cursor=hub.cursor,
            picture=picture.draw(found.unit.unit, found.properties, states), now=found.now, when=lambda at: charts.when(at, found.now),
            due=lambda at: _due(at, found.now), actions=_actions(found.properties, found.unit), signals=SIGNALS, events=events[::-1],
            cpu=charts.sparkline([s.cpu for s in samples], 480, 80), memory=charts.sparkline([float(s.memory) for s in samples], 480, 80),
        )  # fmt: skip

    def _files(self, name: str) -> list[File]:
        try:
            return list(self.api.source.files(name))
        except BusError:
            return []

    def _lines(self, name: str) -> list[Line]:
        try:
            return logs.last_lines(self.api.source.log_dir(name), LINES)
        except (BusError, OSError):
            return []

    def login(self, problem: str = "", target: str = "") -> str:
        """The form that takes token or password."""
        return self._render("login.tpl", title="Log in", problem=problem, target=target or requests.text("next", 2000))

    def problem(self, refused: Refused) -> str:
        """Why something is not shown."""
        return self._render("problem.tpl", title="Not now" if refused.status >= 500 else "Not here", refused=refused, retry=refused.status == 503)


def _due(at: float, now: float) -> str:
    return f"in {max(0.0, at - now):.0f} s" if at else ""


def _actions(properties: dict[str, str], unit: Unit) -> list[str]:
    """What may be done to a unit at all."""
    found = [a for a in ACTIONS if a not in ("reload", "kill", "scale", "reset-failed")]
    if properties.get("CanStart") == "no":
        found = [a for a in found if a not in ("start", "restart")]
    if properties.get("CanStop") == "no":
        found = [a for a in found if a not in ("stop", "restart")]
    if properties.get("CanReload") == "yes":
        found.append("reload")
    if unit.type == "service":
        found.append("kill")
    if unit.type == "service" and unit.template:
        found.append("scale")
    return [*found, "reset-failed"]


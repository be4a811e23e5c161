"""The JSON API: a function for each endpoint of `openapi.ENDPOINTS`. They raise Refused and BusError."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import bottle
import msgspec

from unitd.bus.connecting import CallFailed
from unitd.bus.messages import Reply
from unitd.units.names import template_of
from unitd.web import logs, openapi, requests, rows, sse
from unitd.web.hub import Hub
from unitd.web.requests import Refused
from unitd.web.source import Source
from unitd.web.types import Action, Done, Files, Jobs, Lines, Planned, Preview, Sample, Snapshot, Stats

WORDS = {"reset-failed": "its failed state is cleared", "kill": "{} is sent to its processes", "scale": "its pool is brought to {} instances"}
#: Seconds of the manager's own memory of a unit that are shown to begin with.
HISTORY = 300.0
#: It is built in and never up: to stop it does nothing.
NOTHING = "shutdown.target"


class Api:
    """The endpoints."""

    def __init__(self, source: Source, hub: Hub, watches: logs.Watches) -> None:
        self.source, self.hub, self.watches = source, hub, watches
        self._plans = False
        self._document = msgspec.json.encode(openapi.document())

    def routes(self) -> Iterator[tuple[str, str, Callable[..., Any]]]:
        """(method, path, function) of all endpoints."""
        for endpoint in openapi.ENDPOINTS:
            function = getattr(self, endpoint.name)
            path = openapi.BASE + endpoint.path.replace("{unit}", "<unit>").replace("{action}", "<action>")
            yield endpoint.method, path, function

    def openapi(self) -> bytes:
        return self._document

    def snapshot(self) -> Snapshot:
        return self.hub.snapshot()

    def units(self) -> Snapshot:
        found = self.hub.snapshot()
        words = requests.text("q", 200).casefold().split()
        found.units = [u for u in found.units if rows.matches(u, words)]
        return found

    def unit(self, unit: str) -> Any:
        name = requests.unit_name(unit)
        found = self.source.detail(name)
        if found is None:
            raise Refused(404, "no-such-unit", f"Unit {name} not found.", "see the list of units")
        return found

    def files(self, unit: str) -> Files:
        return Files(self.source.files(requests.unit_name(unit)))

    def logs(self, unit: str) -> Lines:
        name = requests.unit_name(unit)
        count = requests.number("lines", 100, 0, openapi.MOST_LINES)
        stream = requests.choice("stream", tuple(openapi.STREAMS["enum"]))
        since, search = requests.seconds("since"), requests.text("q", 200)
        directory = self.source.log_dir(name)
        try:
            return Lines(name, logs.last_lines(directory, count, stream, since, search) if count else [])
        except OSError as error:
            raise Refused(409, "unreadable", f"cannot read the output of {name}: {error.strerror}") from None

    def unit_stats(self, unit: str) -> Stats:
        name = requests.unit_name(unit)
        return Stats({name: self.samples(name) or self.source.history(name, HISTORY)})

    def samples(self, name: str) -> list[Sample]:
        return list(self.hub.history.get(name, ()))

    def stats(self) -> Stats:
        return Stats({name: list(found) for name, found in sorted(self.hub.history.items())})

    def jobs(self) -> Jobs:
        return Jobs(self.source.jobs())

    def events(self) -> Iterator[bytes]:
        units = requests.text("units")
        wish = sse.Wish(
            units=units,
            stats=requests.choice("stats", ("0", "1")) == "1",
            logs=requests.number("logs", 0, 0, 1000) if requests.text("logs", 16) else None,
            last_id=bottle.request.get_header("Last-Event-ID", "") or requests.text("since", 64),
            seconds=requests.number("seconds", 0, 1, 86400),
        )
        if wish.logs is not None:
            wish = dataclasses.replace(wish, units=requests.unit_name(units))
        if len(self.hub.visitors) >= sse.MAX_STREAMS:
            raise Refused(503, "busy", f"cannot serve more than {sse.MAX_STREAMS} streams", "close some pages")
        bottle.response.content_type = openapi.STREAM
        bottle.response.set_header("X-Accel-Buffering", "no")
        return sse.stream(self.hub, self.watches, wish)

    def metrics(self) -> bytes:
        try:
            reply = self.source.check("metrics")
        except CallFailed as error:
            raise requests.of_bus(error) from None
        text = reply.out or (reply.data if isinstance(reply.data, str) else str((reply.data or {}).get("text", "")))
        bottle.response.content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"
        return text.encode()

    # -- actions

    def preview(self, unit: str, action: str) -> Preview:
        name, verb = requests.unit_name(unit), requests.action_name(action)
        wish = Action(signal=requests.text("signal", 32), instances=requests.number("instances", 1, 0, 1000))
        if self.source.detail(name) is None:
            raise Refused(404, "no-such-unit", f"Unit {name} not found.", "see the list of units")
        found = Preview(verb, name, [])
        if verb in WORDS:
            found.notes.append(WORDS[verb].format(wish.signal or "SIGTERM" if verb == "kill" else wish.instances))
            return found
        found.jobs = self.planned(name, verb)
        return found

    def planned(self, name: str, verb: str) -> list[Planned]:
        """Jobs that a verb would make, as the manager says. A manager that knows no dry run is not asked: it would do it."""
        if not self._plans:
            self._plans = isinstance(self.source.call("stop", [NOTHING], dry_run=True).data, list)
        if not self._plans:
            return [Planned(name, verb)]
        return [Planned(str(row["unit"]), str(row["type"])) for row in self.source.check(verb, [name], dry_run=True).data or ()]

    def act(self, unit: str, action: str) -> Done:
        name, verb = requests.unit_name(unit), requests.action_name(action)
        wish = requests.json_body(Action)
        if verb == "kill":
            reply = self.source.check("kill", [name], signal=wish.signal or "SIGTERM")
        elif verb == "scale":
            if wish.instances is None or not 0 <= wish.instances <= 1000:
                raise Refused(400, "bad-argument", "cannot scale without a number of instances from 0 to 1000", 'send {"instances": 3}')
            reply = self.source.check("scale", [template_of(name) or name], count=wish.instances, no_block=not wish.wait)
        elif verb == "reset-failed":
            reply = self.source.check("reset-failed", [name])
        else:
            reply = self.source.check(verb, [name], no_block=not wish.wait)
        self.hub.refresh([name])
        return done(verb, name, reply)


def done(verb: str, name: str, reply: Reply) -> Done:
    """What became of an action."""
    data = reply.data if isinstance(reply.data, dict) else {}
    return Done(reply.ok, verb, name, reply.err.strip(), list(data.get("jobs") or ()))


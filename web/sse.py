"""Event streams: what one visitor gets, as text/event-stream. A stream resumes where it broke off by Last-Event-ID."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import translate

import gevent

from unitd.bus.connecting import BusError
from unitd.web.hub import Hub, encode, wanted
from unitd.web.logs import PACE as LOG_PACE
from unitd.web.logs import Tail, Watches

#: Seconds of silence after which a comment shows whether the visitor is still there.
KEEP_ALIVE = 20.0
MAX_STREAMS = 1000
_ID = re.compile(r"([0-9a-f]{1,16}\.[0-9]{1,18})(?:\.([0-9]{1,18}-[0-9]{1,12}))?")


@dataclass(frozen=True)
class Wish:
    """What a visitor asked for. `units`: a glob, empty for all; `logs`: lines of output to begin with, None for no output (of one unit only)."""

    units: str = ""
    stats: bool = False
    logs: int | None = None
    last_id: str = ""
    seconds: float = 0.0


def parse_id(text: str) -> tuple[str, str]:
    """(place in the ring, place in the output) of an id that came back, empty if it is none of ours."""
    match = _ID.fullmatch(text)
    return (match[1], match[2] or "") if match else ("", "")


def stream(hub: Hub, watches: Watches, wish: Wish) -> Iterator[bytes]:
    """The messages of one visitor, until it leaves. The first thing said is how the connection to unitd is."""
    cursor, place = parse_id(wish.last_id)
    fits = _filter(wish.units)
    signal = hub.join(wish.stats)
    output: Output | None = None
    end = time.monotonic() + wish.seconds if wish.seconds else 0.0
    try:
        if wish.logs is not None:
            output = Output(hub, wish.units, wish.logs, place)
            watches.join(wish.units, signal)
        yield b"retry: 1000\n\n" + encode("connection", {"state": hub.state})
        fresh = not cursor
        while True:
            signal.clear()
            entries = hub.since(cursor) if cursor else []
            parts = [wanted(entries, fits, wish.stats and not wish.units)] if entries is not None else [encode("reset", {})]
            if entries and wish.units and wish.stats and any(e.kind == "stats" for e in entries):
                parts.append(_sample(hub, wish.units))
            cursor = hub.cursor
            if output is not None:
                parts.append(output.read())
            said = b"".join(parts)
            if said or fresh:
                fresh = False
                place = "." + output.cursor if output is not None and output.cursor else ""
                yield said + f"id: {cursor}{place}\n\n".encode()
            if output is not None and said:
                gevent.sleep(LOG_PACE)
            left = min(KEEP_ALIVE, end - time.monotonic()) if end else KEEP_ALIVE
            if left <= 0:
                return
            if not signal.wait(left):
                yield b": still here\n\n"
    finally:
        hub.leave(signal, wish.stats)
        if output is not None:
            watches.leave(wish.units, signal)
            output.close()


class Output:
    """The output of one unit in a stream; while unitd or the files cannot be had there is just none."""

    def __init__(self, hub: Hub, unit: str, last: int, place: str) -> None:
        self.hub, self.unit, self.last, self.cursor = hub, unit, last, place
        self._tail: Tail | None = None

    def read(self) -> bytes:
        """A message with what is new, empty if nothing is."""
        try:
            if self._tail is None:
                self._tail = Tail(self.hub.source.log_dir(self.unit), self.last, self.cursor)
            lines, skipped = self._tail.read()
        except (BusError, OSError):
            self.close()
            return b""
        self.cursor = self._tail.cursor
        return encode("log", {"unit": self.unit, "lines": lines, "skipped": skipped}) if lines or skipped else b""

    def close(self) -> None:
        """Close the files."""
        if self._tail is not None:
            self._tail.close()
            self._tail = None


def _filter(glob: str) -> Callable[[str], bool]:
    if not glob:
        return lambda _unit: True
    if not any(c in glob for c in "*?["):
        return lambda unit: unit == glob
    pattern = re.compile(translate(glob))
    return lambda unit: pattern.match(unit) is not None


def _sample(hub: Hub, unit: str) -> bytes:
    history = hub.history.get(unit)
    if not history:
        return b""
    last = history[-1]
    return encode("stats", {unit: [round(last.at, 3), round(last.cpu, 4), last.memory]})

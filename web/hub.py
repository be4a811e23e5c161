"""One subscription at the bus, fanned out to any number of event streams.

What is sent is kept in one ring, encoded once; a stream has no queue but only its place in the ring, so a client that does not read costs a
greenlet and nothing else. One that fell out of the ring is told to start over from a snapshot ("reset").
The subscription begins with the first visitor and ends some time after the last: without visitors there is no work.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import gevent
import msgspec
from gevent.event import Event as Signal

from unitd.bus import events as bus_events
from unitd.bus.connecting import BusError
from unitd.web.source import Source
from unitd.web.types import Sample, Snapshot, Unit

log = logging.getLogger(__name__)

RING = 4096
#: Streams are woken at most every so many seconds: a storm of events becomes batches.
PACE = 0.05
#: The subscription outlives the last visitor by this, so that the next page finds it warm.
LINGER = 30.0
RETRY = 0.25
#: Samples that are kept of each unit.
HISTORY = 120
GONE = (OSError, BusError)


class Entry(msgspec.Struct):
    """One message to visitors. `unit` is empty for what concerns all of them."""

    seq: int
    kind: str
    unit: str
    wire: bytes


def encode(kind: str, data: Any) -> bytes:
    """A message of text/event-stream without its id. JSON has no newline in it."""
    return b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"


class Hub:
    """The state of all units as last heard, and the ring of what was said about it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.epoch = secrets.token_hex(4)
        self.seq = 0
        self.state = "connecting"
        self.rows: dict[str, Unit] = {}
        self.history: dict[str, deque[Sample]] = {}
        self.ring: deque[Entry] = deque(maxlen=RING)
        self.events: deque[dict[str, Any]] = deque(maxlen=RING)
        self.visitors: set[Signal] = set()
        self.watchers = 0  # visitors that want stats
        self._pump: gevent.Greenlet | None = None
        self._stats: gevent.Greenlet | None = None
        self._loaded = Signal()
        self._dirty: set[str] = set()
        self._refresh_due = self._wake_due = False
        self._woken = 0.0
        self._left = time.monotonic()
        self._samples: dict[str, Sample] = {}

    # -- visitors

    def join(self, stats: bool = False) -> Signal:
        """A new visitor; its signal is set whenever there is more."""
        signal = Signal()
        self.visitors.add(signal)
        self.watchers += stats
        self.touch()
        if stats and self._stats is None:
            self._stats = gevent.spawn(self._watch_stats)
        return signal

    def leave(self, signal: Signal, stats: bool = False) -> None:
        """It is gone."""
        self.visitors.discard(signal)
        self.watchers -= stats
        self._left = time.monotonic()
        if not self.watchers and self._stats is not None:
            self._stats.kill(block=False)
            self._stats = None

    def touch(self) -> None:
        """Somebody looks: have the subscription, for some time at least."""
        self._left = time.monotonic()
        if self._pump is None:
            self._loaded.clear()
            self._pump = gevent.spawn(self._run)

    @property
    def cursor(self) -> str:
        """The place of what was said last."""
        return f"{self.epoch}.{self.seq}"

    def snapshot(self) -> Snapshot:
        """All units as they are now. Raises BusError when the manager cannot be asked."""
        self.touch()
        self._loaded.wait(5)
        if self.state != "live":
            raise BusError("cannot show the units, because unitd does not answer", "is it running? the page goes on by itself when it is back")
        return Snapshot(self.cursor, time.time(), self.state, [self.rows[n] for n in sorted(self.rows)])

    def since(self, cursor: str) -> list[Entry] | None:
        """What was said after a place; None when that is not known any more."""
        epoch, _, number = cursor.partition(".")
        if epoch != self.epoch or not number.isascii() or not number.isdigit():
            return None
        seq = int(number)
        if seq == self.seq:
            return []
        if seq > self.seq or not self.ring or seq < self.ring[0].seq - 1:
            return None
        return [self.ring[i] for i in range(len(self.ring) - (self.seq - seq), len(self.ring))]

    # -- saying

    def say(self, kind: str, data: Any, unit: str = "") -> None:
        """Tell all visitors."""
        self.seq += 1
        self.ring.append(Entry(self.seq, kind, unit, encode(kind, data)))
        if self._wake_due:
            return
        wait = self._woken + PACE - time.monotonic()
        if wait <= 0:
            self._wake()
        else:
            self._wake_due = True
            gevent.spawn_later(wait, self._wake)

    def _wake(self) -> None:
        self._wake_due, self._woken = False, time.monotonic()
        for signal in list(self.visitors):
            signal.set()

    def _become(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.say("connection", {"state": state})

    # -- listening

    def _idle(self) -> bool:
        return not self.visitors and time.monotonic() - self._left > LINGER

    def _run(self) -> None:
        """Until nobody is there: subscribe, take a snapshot, follow the events; after a loss the same again."""
        try:
            while not self._idle():
                try:
                    with self.source.events(["unit.", "job.", "manager."]) as events:
                        self.source.gone = False
                        self._load()
                        while not self._idle():
                            event = events.next_event(LINGER)
                            if event is not None and self._take(event):
                                self._load()
                except GONE as error:
                    log.debug("the bus is gone: %s", error)
                    self.source.gone = True
                    self._become("reconnecting")
                    self._loaded.set()  # who waits is told so
                    gevent.sleep(RETRY)
        finally:
            self._pump, self.source.gone = None, False
            self.state = "connecting"
            # what happens from now on is not heard: places in the ring are worth nothing
            self.epoch = secrets.token_hex(4)

    def _load(self) -> None:
        """Everything anew."""
        found = {u.unit: u for u in self.source.units()}
        self._dirty.clear()
        self.rows = found
        for name in [n for n in self.history if n not in found]:
            del self.history[name]
        self._become("live")
        self.say("reset", {})
        self._loaded.set()

    def _take(self, event: bus_events.Event) -> bool:
        """Pass on an event, and have the row of its unit asked for. True: everything has to be asked for."""
        if isinstance(event, bus_events.Gap):
            return True
        data = {"kind": event.kind, "topic": event.topic, **msgspec.to_builtins(event)}
        self.events.append(data)
        self.say("event", data, event.unit)
        if event.unit:
            self.refresh([event.unit])
        return event.topic == "manager.reload"

    def refresh(self, names: Iterable[str]) -> None:
        """Ask for rows and pass them on, soon, and each once however many events there were."""
        self._dirty.update(names)
        if not self._refresh_due and self._dirty:
            self._refresh_due = True
            gevent.spawn(self._refresh)

    def _refresh(self) -> None:
        try:
            while self._dirty:
                wanted, self._dirty = sorted(self._dirty), set()
                found = {u.unit: u for u in self.source.units(wanted)}
                for name in wanted:
                    row = found.get(name)
                    if row is not None:
                        old = self.rows.get(name)
                        if old is not None:
                            row.cpu, row.memory = old.cpu, row.memory or old.memory
                        self.rows[name] = row
                        self.say("unit", row, name)
                    elif self.rows.pop(name, None) is not None:
                        self.say("gone", {"unit": name}, name)
                gevent.sleep(PACE)
        except GONE as error:
            log.debug("rows cannot be had: %s", error)  # the pump sees the same and starts over
        finally:
            self._refresh_due = False

    # -- stats

    def _watch_stats(self) -> None:
        """Samples, for as long as anybody wants them: the manager takes them only then."""
        while True:
            try:
                with self.source.events(["stats."]) as events:
                    while True:
                        event = events.next_event(None if not self._samples else PACE)
                        if isinstance(event, bus_events.StatsSample):
                            self._sample(event)
                        if self._samples and (event is None or len(self._samples) >= 1000):
                            self._tell_samples()
            except GONE as error:
                log.debug("no stats: %s", error)
                gevent.sleep(1)

    def _sample(self, event: bus_events.StatsSample) -> None:
        sample = Sample(event.time or time.time(), event.cpu / 100, event.memory)
        self._samples[event.unit] = sample
        self.history.setdefault(event.unit, deque(maxlen=HISTORY)).append(sample)
        row = self.rows.get(event.unit)
        if row is not None:
            row.cpu, row.memory = sample.cpu, sample.memory

    def _tell_samples(self) -> None:
        samples, self._samples = self._samples, {}
        self.say("stats", {n: [round(s.at, 3), round(s.cpu, 4), s.memory] for n, s in samples.items()})


def wanted(entries: Iterable[Entry], fits: Callable[[str], bool], stats: bool) -> bytes:
    """What a visitor gets of these."""
    return b"".join(e.wire for e in entries if (e.kind != "stats" or stats) and (not e.unit or fits(e.unit)))

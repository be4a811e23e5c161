"""Samples what units use, only while somebody subscribes to `stats.` topics; one-shot samples for verbs and metrics.

Without subscribers there is no timer, no descriptor and no wake-up. A sweep over all units is spread over the interval.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from unitd.bus.events import StatsSample
from unitd.manager.members import Members
from unitd.manager.procstat import ProcReader
from unitd.manager.stats import UnitStats, slices
from unitd.manager.transitions import DOWN

if TYPE_CHECKING:
    from unitd.bus.server import BusServer
    from unitd.manager.engine import Engine
    from unitd.manager.processes import Processes

log = logging.getLogger("unitd")

INTERVAL = 1.0
#: Units of one burst of a one-shot sample, between which the loop does other things.
BURST = 25
#: With more units than this, descriptors, IO and new members of each cgroup are looked at in every fourth sweep only: they cost as much
#: as all the rest.
MANY, SELDOM = 200, 4


class Sampler:
    """`wanted` is called when subscriptions changed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, bus: BusServer, engine: Engine, processes: Processes, interval: float = INTERVAL) -> None:
        self.loop, self.bus, self.engine, self.interval = loop, bus, engine, interval
        self.stats: dict[str, UnitStats] = {}
        self.reader = ProcReader()
        self.members = Members(engine, processes, self.reader)
        self._timer: asyncio.TimerHandle | None = None
        self._due: list[str] = []
        self._swept: set[str] = set()
        self._size, self._gap, self._slice_at, self._next_sweep = 1, 0.0, 0.0, 0.0
        self._asking = self._sweeps = self._count = 0

    # -- the sweep

    def wanted(self) -> None:
        """Subscriptions changed: begin, or stop."""
        if self._topics() and self._timer is None:
            self._next_sweep = self.loop.time()
            self._timer = self.loop.call_later(0, self._begin)
        elif not self._topics() and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._stop()

    def _topics(self) -> list[str]:
        return [topic for topic in self.bus.topics() if topic.startswith("stats")]

    def _begin(self) -> None:
        topics = self._topics()
        if not topics:
            self._timer = None
            self._stop()
            return
        everything = any("stats.".startswith(topic) for topic in topics)
        beginnings = tuple(topic.removeprefix("stats.") for topic in topics)
        self._due = [name for name in self.up() if everything or name.startswith(beginnings)]
        self._swept = set(self._due)
        for name in self.stats.keys() - self.engine.records.keys():
            del self.stats[name]
        try:
            self.members.refresh()
        except OSError as error:
            log.warning("cannot look for processes: %s", error)
        self._sweeps, self._count = self._sweeps + 1, 0
        self._size, self._gap = slices(len(self._due), self.interval)
        now = self.loop.time()
        # a sweep that came late does not make the next ones hurry
        self._next_sweep = max(self._next_sweep + self.interval, now + self.interval / 2)
        self._slice_at = now
        self._slice()

    def _slice(self) -> None:
        names, self._due = self._due[: self._size], self._due[self._size :]
        # first look, then tell: zmq's thread writes a burst in few system calls
        sparse = len(self._swept) > MANY
        made = []
        for name in names:
            self._count += 1
            record = self.engine.records.get(name)
            if record is not None and record.sub not in DOWN:
                made.append(self.sample(name, details=not sparse or (self._count + self._sweeps) % SELDOM == 0 or name not in self.stats))
        for sample in made:
            self.bus.publish(f"stats.{sample.unit}", sample)
        if self._due:
            self._slice_at += self._gap
            self._timer = self.loop.call_at(self._slice_at, self._slice)
            return
        self.members.tidy(self._swept)
        self._timer = self.loop.call_at(self._next_sweep, self._begin)

    def _stop(self) -> None:
        self._due.clear()
        if not self._asking:
            self.members.close()

    # -- samples

    def up(self) -> list[str]:
        """Units that have, or may have, processes."""
        return [name for name, record in self.engine.records.items() if record.sub not in DOWN and (record.main_pid or record.control_pid or record.cgroup)]

    def sample(self, name: str, keep: bool = True, details: bool = True) -> StatsSample:
        """Look at one unit now. `keep`: in its history; `details`: IO and descriptors too."""
        record, platform = self.engine.records[name], self.engine.platform
        stats = self.stats.get(name)
        if stats is None:
            stats = self.stats[name] = UnitStats()
        readings, seconds = self.members.of(name, details)
        since = record.stamps.get("ActiveEnter", 0.0) if record.active in ("active", "reloading") else 0.0
        return stats.sample(name, platform.now(), platform.realtime(), readings, record.n_restarts, since, seconds, keep)

    async def ask(self, names: list[str], wait: float) -> dict[str, StatsSample]:
        """Samples of units now; those that nobody samples are looked at twice, `wait` seconds apart (0: once, so without rates)."""
        up = set(self.up())
        names = [name for name in names if name in up]
        fresh = {name for name in names if self._timer is not None and self.fresh(name)}
        found: dict[str, StatsSample] = {}
        self._asking += 1
        try:
            cold = [name for name in names if name not in fresh]
            if cold and wait > 0:
                await self._burst(cold, None)
                await asyncio.sleep(wait)
            await self._burst(cold, found.__setitem__)
            for name in fresh:
                last = self.stats[name].last
                if last is not None:
                    found[name] = last
        finally:
            self._asking -= 1
            if not self._asking and self._timer is None:
                self._stop()
        return found

    def fresh(self, name: str) -> bool:
        """Is the last sample of the unit one of now?"""
        stats = self.stats.get(name)
        return stats is not None and stats.last is not None and self.engine.platform.now() - stats.sampled < 2.5 * self.interval and self.engine.records[name].sub not in DOWN

    async def _burst(self, names: list[str], take: Callable[[str, StatsSample], Any] | None) -> None:
        self.members.refresh()
        for i, name in enumerate(names):
            record = self.engine.records.get(name)
            if record is not None and record.sub not in DOWN:
                sample = self.sample(name, keep=take is not None)
                if take is not None:
                    take(name, sample)
            if i % BURST == BURST - 1:
                await asyncio.sleep(0)

    def close(self) -> None:
        """End of the manager."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.members.close()

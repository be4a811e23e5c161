"""An engine on nothing but memory: units from a dictionary, processes that end when a test says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unitd.manager.engine import Engine
from unitd.manager.states import ArmTimer, Cleanup, Deadline, Effect, Empty, Exit, Exited, ReadPidFile, Record, Signal, Spawn, Spawned
from unitd.units.model import Command, ServiceSection, Unit, UnitSection

Deps = Mapping[str, Iterable[str]]


def unit(name: str, deps: Deps | None = None, *, type: str = "notify", **section: Any) -> Unit:
    """A unit without default dependencies, unless asked for."""
    given = {kind: tuple(names) for kind, names in (deps or {}).items()}
    service = ServiceSection(type=type, exec_start=(Command("/bin/x", ("/bin/x",)),), notify_access="main", timeout_start=float("inf"))
    return Unit(name, names=(name,), service=service, unit=UnitSection(dependencies=given, **{"default_dependencies": False, **section}))


class Source:
    """Units by name; what is missing is not found."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self.units = {u.name: u for u in units}

    def load(self, name: str) -> Unit:
        return self.units.get(name) or Unit(name, load_state="not-found", names=(name,))


@dataclass
class World:
    """Implements `platform.Platform`: the clock is a number, processes are tokens in `alive`."""

    time: float = 1000.0
    alive: dict[str, str] = field(default_factory=dict)  # token -> unit
    spawned: list[str] = field(default_factory=list)  # units in order
    ended: list[str] = field(default_factory=list)
    timers: dict[tuple[str, str], ArmTimer] = field(default_factory=dict)
    logged: list[str] = field(default_factory=list)
    acted: list[tuple[str, str, int]] = field(default_factory=list)
    condition: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    engine: Engine | None = None
    pending: list[tuple[str, Any]] = field(default_factory=list)
    fresh: list[tuple[str, str]] = field(default_factory=list)  # (token, unit) of processes that a test has not looked at yet
    pids: int = 100
    signals: list[tuple[str, int]] = field(default_factory=list)
    watched: dict[str, None] = field(default_factory=dict)

    def now(self) -> float:
        return self.time

    def realtime(self) -> float:
        return self.time

    def jitter(self) -> float:
        return 0.0

    def new_invocation(self) -> str:
        return "0" * 32

    def check(self, unit: Unit) -> tuple[bool, bool]:
        return self.condition.get(unit.name, (True, True))

    def spawn(self, unit: Unit, record: Record, effect: Spawn) -> None:
        self.spawned.append(unit.name)
        self.alive[effect.token] = unit.name
        self.fresh.append((effect.token, unit.name))
        self.pids += 1
        self.pending.append((unit.name, Spawned(effect.token, self.pids)))

    def signal(self, unit: Unit, record: Record, effect: Signal) -> None:
        self.signals.append((unit.name, effect.signal))
        if record.main_pid:
            self.pending.append((unit.name, Exited(record.main_token, record.main_pid, Exit(2, effect.signal))))

    def arm(self, name: str, effect: ArmTimer) -> None:
        self.timers[name, effect.name] = effect

    def disarm(self, name: str, timer: str) -> None:
        self.timers.pop((name, timer), None)

    def watch_empty(self, unit: Unit, record: Record) -> None:
        self.watched[unit.name] = None

    def read_pid_file(self, unit: Unit, record: Record, effect: ReadPidFile) -> None: ...

    def cleanup(self, unit: Unit, record: Record, effect: Cleanup) -> None:
        self.ended.append(unit.name)

    def perform(self, unit: Unit, record: Record, effect: Effect) -> None: ...

    def publish(self, topic: str, data: dict[str, Any]) -> None: ...

    def log(self, level: str, message: str) -> None:
        self.logged.append(message)

    def act(self, name: str, action: str, exit_status: int) -> None:
        self.acted.append((name, action, exit_status))

    def later(self) -> None: ...

    # -- what a test does

    def settle(self) -> None:
        """Run jobs and deliver what processes answer, until nothing happens any more."""
        assert self.engine is not None
        while True:
            self.engine.run_queue()
            left = set(self.alive.values()) if self.watched else set()
            empty = [name for name in self.watched if name not in left]
            for name in empty:
                del self.watched[name]
                self.pending.append((name, Empty()))
            if not self.pending:
                return
            pending, self.pending = self.pending, []
            for name, event in pending:
                if isinstance(event, Exited):
                    self.alive.pop(event.token, None)
                self.engine.dispatch(name, event)

    def pass_time(self, seconds: float) -> None:
        """Let timers that are due go off."""
        assert self.engine is not None
        self.time += seconds
        for (name, timer), effect in list(self.timers.items()):
            if effect.at <= self.time:
                self.timers.pop((name, timer), None)
                self.engine.dispatch(name, Deadline(effect.name, effect.generation))
        self.settle()

    def die(self, name: str, code: int = 1, status: int = 1) -> None:
        """The main process of a unit ends by itself."""
        assert self.engine is not None
        record = self.engine.record(name)
        self.pending.append((name, Exited(record.main_token, record.main_pid, Exit(code, status))))
        self.settle()


def engine(*units: Unit, **world: Any) -> tuple[Engine, World]:
    """An engine that knows these units, loaded, and its world."""
    outside = World(**world)
    made = Engine(Source(units), outside)
    outside.engine = made
    for each in units:
        made.unit(each.name)
    return made, outside


def run(made: Engine, outside: World, name: str, verb: str = "start", mode: str = "replace") -> list[str]:
    """Submit and settle; the results that came so far."""
    results: list[str] = []
    for _, job in made.submit([name], verb, mode):
        if job is not None:
            made.wait(job, lambda _job, result: results.append(result))
    outside.settle()
    return results

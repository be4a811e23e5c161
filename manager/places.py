"""Where the processes of a unit run: its cgroup with its limits, and what the kernel tells there of memory that runs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from unitd.manager import inotify, resources
from unitd.manager.states import OutOfMemory, Record
from unitd.units.model import Unit

if TYPE_CHECKING:
    from unitd.manager.controllers import Controllers
    from unitd.manager.executor import Executor


class Places:
    """Makes them before the first process, and removes them after the last."""

    def __init__(self, executor: Executor, controllers: Controllers) -> None:
        self._executor, self._controllers = executor, controllers
        self._watched: dict[str, Callable[[], None]] = {}  # unit -> end of the watch

    def make(self, unit: Unit) -> list[str]:
        """Make the unit's cgroup with its limits; the cgroup v1 directories that a process of it must join besides."""
        executor = self._executor
        chain = resources.slice_chain(unit)
        known = executor.engine.graph.units
        slices = [known[name] for name in chain if name in known]
        grouped = chain != ("system.slice",) or any(map(resources.wanted, slices))
        directory = executor.processes.place(unit.name, chain if grouped else ())
        joins, problems = self._controllers.prepare(unit, slices, directory)
        for problem in problems:
            executor.log("warning", f"{unit.name}: {problem}")
        events = self._controllers.memory_events(unit, directory)
        if events and unit.name not in self._watched:
            self._watched[unit.name] = inotify.watch(executor.loop, events, lambda: self._memory_event(unit.name))
        return joins

    def _memory_event(self, name: str) -> None:
        engine = self._executor.engine
        unit, record = engine.graph.units.get(name), engine.record(name)
        if unit is not None and self._controllers.new_oom_kill(unit, record.cgroup):
            self._executor.log("warning", f"{name}: a process was killed by the kernel, because memory ran out")
            engine.dispatch(name, OutOfMemory())

    def remove(self, unit: Unit, record: Record) -> None:
        """The unit is down."""
        if unit.name in self._watched:
            self._watched.pop(unit.name)()
        self._controllers.remove(unit, record.cgroup)

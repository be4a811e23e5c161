"""What every verb works with, and the one table of verbs. A module of this package adds its own by `@verb`."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unitd.bus.messages import ErrorInfo, Reply, Request
from unitd.manager.jobs import Refused
from unitd.units import names
from unitd.units.model import Unit

if TYPE_CHECKING:
    from unitd.manager.engine import Engine
    from unitd.manager.executor import Executor
    from unitd.manager.handover import Handover
    from unitd.manager.live import Live
    from unitd.manager.output import Output
    from unitd.manager.transient import OwnFiles
    from unitd.manager.triggers import Triggers
    from unitd.manager.unitcache import KeptUnits
    from unitd.manager.views import Views
    from unitd.units.loader import Loader

Handler = Callable[["Context", Request], Awaitable[Reply]]

#: verb -> the function that serves it.
VERBS: dict[str, Handler] = {}


def verb(*words: str) -> Callable[[Handler], Handler]:
    """Decorator: the function serves the verbs `words`."""

    def add(handler: Handler) -> Handler:
        for word in words:
            VERBS[word] = handler
        return handler

    return add


@dataclass(frozen=True)
class Context:
    """The parts of the manager that verbs read and drive."""

    engine: Engine
    executor: Executor
    loader: Loader
    views: Views
    output: Output
    paths: list[str]
    instance: str  # changes with every manager process
    reload_units: Callable[[], Awaitable[list[str]]]
    shutdown: Callable[[], None]
    live: Live
    detach: Callable[[], None]  # leave and let services run
    reexec: Callable[[], None]  # have warden and manager replaced by what is on disk
    own_files: OwnFiles
    triggers: Triggers
    handover: Handover
    units: KeptUnits

    def expand(self, patterns: list[str], loaded_only: bool = False) -> list[Unit]:
        """Units by name or glob. With `loaded_only` globs match what systemd would have loaded: units that are not down or that such a one names
        (case ctl-014); unitd itself knows every unit file."""
        found: dict[str, Unit] = {}
        known = self.engine.graph.units
        for pattern in patterns:
            if any(c in pattern for c in "*?["):
                for name in sorted(self.engine.in_use() if loaded_only else known):
                    if fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, pattern + ".service"):
                        found[name] = self.engine.graph.units[name]
            else:
                unit = self.engine.unit(self.check_name(pattern))
                found[unit.name] = unit
        return list(found.values())

    @staticmethod
    def check_name(name: str) -> str:
        """A valid unit name with its suffix. Raises `Refused`."""
        full = names.with_suffix(name)
        if not names.is_valid_name(full):
            raise Refused("bad-name", f"Invalid unit name '{name}'.", 1)
        return full

    async def flush_output(self) -> None:
        """Have everything that services wrote until now in the files; a logger that does not answer is not waited for."""
        try:
            await asyncio.wait_for(self.output.log.flush(), 2)
        except TimeoutError:
            return

    def all_units(self) -> list[Unit]:
        return [self.engine.graph.units[name] for name in sorted(self.engine.graph.units) if "@." not in name]


def listed(value: object) -> list[str]:
    """An option that is a list, or words with commas between."""
    if not value:
        return []
    return value.split(",") if isinstance(value, str) else [str(v) for v in value] if isinstance(value, list) else []


def failure(request: Request, code: str, message: str, hint: str, exit_code: int) -> Reply:
    """An error reply; `err` is what a terminal shows."""
    text = message + (f" ({hint})" if hint else "")
    return Reply(id=request.id, ok=False, exit_code=exit_code, err=text + "\n", error=ErrorInfo(code, message, hint))

"""The one table of unit types: the machine that decides for each. A type without a machine is only a name with dependencies (targets, slices). Pure."""

from __future__ import annotations

from collections.abc import Callable

from unitd.manager import machine
from unitd.manager.states import Effect, Event, Record
from unitd.units.model import Unit

#: (record, unit, event, now, jitter) -> (record after it, effects)
Step = Callable[[Record, Unit, Event, float, float], tuple[Record, list[Effect]]]

#: Unit type -> its machine.
MACHINES: dict[str, Step] = {
    "service": machine.step,
}
#: Unit types that are only a name with dependencies: up at once, down at once.
PASSIVE = ("target", "slice")

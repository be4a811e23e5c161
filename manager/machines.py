"""The one table of unit types: the machine that decides for each. A unit of a type that is missing here is loaded and shown, but cannot be started. Pure."""

from __future__ import annotations

from collections.abc import Callable

from unitd.manager import machine, passive, pathmachine, socketmachine, sockettransitions, timermachine
from unitd.manager.states import Effect, Event, Record
from unitd.manager.transitions import commands as service_commands
from unitd.units.model import Command, Unit

#: (record, unit, event, now, jitter) -> (record after it, effects)
Step = Callable[[Record, Unit, Event, float, float], tuple[Record, list[Effect]]]

#: Unit type -> its machine.
MACHINES: dict[str, Step] = {
    "service": machine.step,
    "socket": socketmachine.step,
    "target": passive.step,
    "slice": passive.step,
    "timer": timermachine.step,
    "path": pathmachine.step,
}
#: Always up, never stopped: the root of all slices (systemd.special(7)).
PERPETUAL = ("-.slice",)


def can_reload(unit: Unit, propagates: bool) -> bool:
    """Has the unit a way to reload? A service by itself, any other by passing it on (`propagates`: there is PropagatesReloadTo=)."""
    return propagates if unit.type != "service" else bool(unit.service.exec_reload) or unit.service.type == "notify-reload"


def start_has_to_wait(record: Record) -> bool:
    """A start of a unit that is on its way down waits for the end of that; one in auto-restart waits for the restart (cases restart-*)."""
    return record.active == "deactivating" or record.sub == "auto-restart"


def commands(unit: Unit, role: str) -> tuple[Command, ...]:
    """The commands of an Exec*= role of any unit that has some."""
    return sockettransitions.commands(unit, role) if unit.type == "socket" else service_commands(unit, role)

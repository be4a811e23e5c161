"""[Timer]: its fields, and what a timer cannot be without (systemd.timer(5)). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from unitd.units.calendar import CalendarSpec
from unitd.units.errors import Problem

if TYPE_CHECKING:
    from unitd.units.builder import Builder

#: Directives that say when a timer elapses, other than OnCalendar=: they count from a moment of the machine, the manager or a unit.
MONOTONIC = ("OnActiveSec", "OnBootSec", "OnStartupSec", "OnUnitActiveSec", "OnUnitInactiveSec")


class TimerValue(msgspec.Struct, frozen=True):
    """One line that says when the timer elapses: `seconds` after the moment `base` names, or by `calendar`."""

    base: str  # one of MONOTONIC, or OnCalendar
    seconds: float = 0.0
    calendar: CalendarSpec | None = None


class TimerSection(msgspec.Struct, frozen=True):
    """[Timer]."""

    values: tuple[TimerValue, ...] = ()
    accuracy: float = 60.0
    randomized_delay: float = 0.0
    fixed_random_delay: bool = False
    on_clock_change: bool = False
    on_timezone_change: bool = False
    unit: str = ""  # "": the service of the same name
    persistent: bool = False
    wake_system: bool = False
    remain_after_elapse: bool = True


def triggered_unit(name: str, given: str) -> str:
    """The unit that a timer or path unit activates: Unit=, else the service of its own name."""
    return given or name.rpartition(".")[0] + ".service"


def finish_timer(b: Builder, parts: dict[str, dict[str, Any]]) -> None:
    """Implicit dependencies, and what a timer cannot be without (timer_verify in systemd)."""
    section = parts["timer"]
    values: tuple[TimerValue, ...] = section.get("values", ())
    if not values and not section.get("on_clock_change") and not section.get("on_timezone_change"):
        b.bad = True
        b.problems.append(Problem("error", "cannot load the timer, because nothing says when it elapses", b.fragment, 0, "add OnCalendar= or OnBootSec= to [Timer]"))
    calendar = any(value.base == "OnCalendar" for value in values)
    if section.get("persistent") and not calendar:
        b.problems.append(Problem("note", "Persistent= has no effect, because it is for OnCalendar= only", b.fragment))
    trigger_dependencies(parts, triggered_unit(b.name, section.get("unit", "")), "timers.target", ("time-set.target", "time-sync.target") if calendar else ())


def trigger_dependencies(parts: dict[str, dict[str, Any]], trigger: str, target: str, after: Iterable[str] = ()) -> None:
    """What timers and paths depend on besides what all units do (systemd.timer(5), systemd.path(5), AUTOMATIC DEPENDENCIES)."""
    found = dict(parts["unit"].get("dependencies", {}))

    def add(kind: str, *more: str) -> None:
        found[kind] = tuple(dict.fromkeys([*found.get(kind, ()), *more]))

    add("Triggers", trigger)
    add("Before", trigger)
    if parts["unit"].get("default_dependencies", True):
        add("Before", target)
        add("After", *after)
    parts["unit"]["dependencies"] = found

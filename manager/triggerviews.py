"""What is shown of timer and path units: their properties, and rows of list-timers and list-paths. Pure."""

from __future__ import annotations

from typing import Any

from unitd.bus.timetext import stamp
from unitd.manager.states import Record
from unitd.manager.triggerstates import TimerState
from unitd.units.model import Unit
from unitd.units.timer import triggered_unit
from unitd.units.values import format_seconds

_SECOND = 1_000_000


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def timer(unit: Unit, record: Record) -> dict[str, str]:
    """Properties of [Timer], in systemd's order (org.freedesktop.systemd1(5))."""
    section, state = unit.timer, record.timer or TimerState()
    monotonic, calendar = [], []
    for index, value in enumerate(section.values):
        due = state.due[index] if index < len(state.due) else 0.0
        if value.calendar is not None:
            calendar.append(f"{{ OnCalendar={value.calendar} ; next_elapse={stamp(due / _SECOND) if due else '(null)'} }}")
        else:
            monotonic.append(f"{{ {value.base.removesuffix('Sec')}USec={format_seconds(value.seconds)} ; next_elapse={format_seconds(due)} }}")
    values = {"TimersMonotonic": "\n".join(reversed(monotonic)), "TimersCalendar": "\n".join(reversed(calendar))}
    return {
        "Unit": triggered_unit(unit.name, section.unit),
        **{key: value for key, value in values.items() if value},  # systemd does not print what is not there
        "OnClockChange": _yes(section.on_clock_change),
        "OnTimezoneChange": _yes(section.on_timezone_change),
        "NextElapseUSecRealtime": stamp(state.next / _SECOND),
        "NextElapseUSecMonotonic": format_seconds(state.next_at) if state.next_at else "infinity",
        "LastTriggerUSec": stamp(state.last / _SECOND),
        "LastTriggerUSecMonotonic": format_seconds(state.last_at),
        "Result": record.result,
        "AccuracyUSec": format_seconds(section.accuracy),
        "RandomizedDelayUSec": format_seconds(section.randomized_delay),
        "FixedRandomDelay": _yes(section.fixed_random_delay),
        "Persistent": _yes(section.persistent),
        "WakeSystem": _yes(section.wake_system),
        "RemainAfterElapse": _yes(section.remain_after_elapse),
    }


def path(unit: Unit, record: Record) -> dict[str, str]:
    """Properties of [Path]."""
    section = unit.path
    return {
        "Unit": triggered_unit(unit.name, section.unit),
        **({"Paths": "\n".join(f"{spec.path} ({spec.kind})" for spec in reversed(section.specs))} if section.specs else {}),
        "MakeDirectory": _yes(section.make_directory),
        "DirectoryMode": f"{section.directory_mode:04o}",
        "Result": record.result,
        "TriggerLimitIntervalUSec": format_seconds(section.trigger_limit_interval),
        "TriggerLimitBurst": str(section.trigger_limit_burst),
    }


def next_of(unit: Unit, record: Record, realtime: float, now: float) -> float | None:
    """When a timer elapses next, in seconds of CLOCK_REALTIME; 0 for never, None for a unit that is no timer."""
    if unit.type != "timer":
        return None
    state = record.timer or TimerState()
    times = [state.next / _SECOND] if state.next else []
    if state.next_at:
        times.append(realtime + state.next_at - now)
    return min(times, default=0.0)


def timer_row(unit: Unit, record: Record, realtime: float, now: float) -> dict[str, Any]:
    """A row of list-timers; times in seconds of CLOCK_REALTIME, 0 for never."""
    state = record.timer or TimerState()
    return {
        "next": next_of(unit, record, realtime, now) or 0.0,
        "last": state.last / _SECOND,
        "unit": unit.name,
        "activates": triggered_unit(unit.name, unit.timer.unit),
        "active": record.active,
    }


def path_rows(unit: Unit, record: Record) -> list[dict[str, str]]:
    """Rows of list-paths, one for each line of what is watched."""
    activates = triggered_unit(unit.name, unit.path.unit)
    return [{"path": s.path, "condition": s.kind, "unit": unit.name, "activates": activates, "active": record.active} for s in unit.path.specs]

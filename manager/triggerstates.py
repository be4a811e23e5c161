"""Vocabulary of timer and path units: what their machines remember, the events that reach them and the effects they ask for. Joined into the unions of `states`.

Realtimes are whole microseconds since 1970, `*_at` are CLOCK_MONOTONIC seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from unitd.units.zone import UTC_ZONE, Zone


@dataclass
class TimerState:
    """What a timer remembers; a part of its record."""

    last: int = 0  # when it elapsed last
    last_at: float = 0.0
    next: int = 0  # when it elapses by the clock on the wall; 0: not by that
    next_at: float = 0.0  # when it elapses by the monotonic clock; 0: not by that
    generation: int = 0  # of `next`
    due: list[float] = field(default_factory=list)  # of each value, without the random delay: microseconds for OnCalendar=, else seconds; 0: never
    spent: list[int] = field(default_factory=list)  # values (by index) that elapsed and will not again


@dataclass
class PathState:
    """What a path unit remembers; a part of its record."""

    exists: list[bool] = field(default_factory=list)  # of each line: was the path there when it was looked at last
    history: list[float] = field(default_factory=list)  # times of activations, for TriggerLimit*


# ---- events -----------------------------------------------------------------------------------------------


class TriggerState(msgspec.Struct, frozen=True):
    """The unit that is activated, as it is now."""

    active: str = "inactive"
    problem: str = ""  # why it cannot be activated at all
    start_limit_hit: bool = False
    activated_at: float = 0.0  # when it left inactive
    deactivated_at: float = 0.0  # when it came back there


class TimerFacts(msgspec.Struct, frozen=True):
    """What a timer has to know to compute when it elapses. `realtime` is now."""

    realtime: int
    trigger: TriggerState
    started_at: float = 0.0  # when the manager came up
    boot_at: float = 0.0  # from when OnBootSec= counts
    activated_at: float = 0.0  # when the timer itself was started
    activated: int = 0
    zone: Zone = UTC_ZONE
    seed: str = ""  # of this machine and user, for FixedRandomDelay=
    stamp: int | None = None  # Persistent=: when it elapsed last, by its stamp file
    starting: str = ""  # invocation, when this answers to a start
    clock_changed: bool = False


class TriggerChanged(msgspec.Struct, frozen=True):
    """The unit that is activated changed its state, or a job of it is over."""

    state: TriggerState


class RealtimeElapsed(msgspec.Struct, frozen=True):
    """The clock on the wall has reached the time with this generation."""

    generation: int


class ClockChanged(msgspec.Struct, frozen=True):
    """The clock was set."""

    realtime: int


class ZoneChanged(msgspec.Struct, frozen=True):
    """The local time zone is another."""


class Resumed(msgspec.Struct, frozen=True):
    """A new manager has taken over; what was armed has to be armed again. `reloaded`: no, but definitions were read again."""

    reloaded: bool = False


class Activated(msgspec.Struct, frozen=True):
    """The start of the unit was asked for at this time, or refused: then `problem` says why."""

    realtime: int
    problem: str = ""


class PathFacts(msgspec.Struct, frozen=True):
    """Which of the watched paths are there, in their order. `found`: what fits, for the unit to be told."""

    exists: tuple[bool, ...]
    trigger: TriggerState
    found: tuple[str, ...] = ()
    starting: str = ""  # invocation, when this answers to a start
    by_trigger: bool = False  # the unit that is activated has changed its state
    problem: str = ""  # why a path cannot be watched


class PathEvent(msgspec.Struct, frozen=True):
    """Something happened to a watched path. `changed`: to line number `index` itself, in a way that PathChanged= or PathModified= names."""

    index: int = -1
    changed: bool = False


# ---- effects ----------------------------------------------------------------------------------------------


class AskTimer(msgspec.Struct, frozen=True):
    """Deliver `TimerFacts`."""

    starting: str = ""
    clock_changed: bool = False


class WatchTime(msgspec.Struct, frozen=True):
    """Deliver `RealtimeElapsed` at `at` (0: never), and `ClockChanged` and `ZoneChanged` as they happen."""

    at: int
    generation: int


class UnwatchTime(msgspec.Struct, frozen=True):
    """No more of that."""


class AskPath(msgspec.Struct, frozen=True):
    """Deliver `PathFacts`. `make`: make the directories first; `watch`: begin to watch first."""

    starting: str = ""
    by_trigger: bool = False
    make: bool = False
    watch: bool = False


class UnwatchPath(msgspec.Struct, frozen=True):
    """Deliver no more `PathEvent`s."""


class Activate(msgspec.Struct, frozen=True):
    """Start the unit; deliver `Activated`. `environment` is told to it."""

    environment: tuple[tuple[str, str], ...] = ()
    stamp: bool = False  # write the stamp file of Persistent=


TriggerEvent = TimerFacts | TriggerChanged | RealtimeElapsed | ClockChanged | ZoneChanged | Resumed | Activated | PathFacts | PathEvent
TriggerEffect = AskTimer | WatchTime | UnwatchTime | AskPath | UnwatchPath | Activate

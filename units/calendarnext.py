"""When a calendar expression is due next (systemd.time(7), CALENDAR EVENTS).

The search goes over readings of the wall clock, in order, as systemd's does: a time that the clocks skip when they go forward does not elapse that day,
a time that they show twice elapses once.
"""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta

from unitd.units.calendar import ALL_DAYS, MAX_YEAR, CalendarSpec, Chain
from unitd.units.zone import SECOND, Zone, end_of_gap, instants, moment_of

_LAST = 253_370_764_800 * SECOND  # year 9999: what datetime can hold


def next_elapse(spec: CalendarSpec, after: int, local: Zone) -> int | None:
    """The first instant later than `after` (microseconds since 1970) at which `spec` elapses, or None for never."""
    if not 0 <= after < _LAST:
        return None
    rules = spec.rules or local.rules
    wall = moment_of(after + 1, rules).replace(tzinfo=None, fold=0)
    while True:
        found = next_wall(spec, wall)
        if found is None:
            return None
        later = [instant for instant in instants(found, rules) if instant > after]
        if later:
            return later[0]
        wall = end_of_gap(found, rules)


def upcoming(spec: CalendarSpec, after: int, local: Zone, count: int) -> list[int]:
    """The next `count` times after `after`; fewer when it elapses no more."""
    found: list[int] = []
    while len(found) < count and (after_or_none := next_elapse(spec, after, local)) is not None:
        after = after_or_none
        found.append(after)
    return found


def next_wall(spec: CalendarSpec, wall: datetime) -> datetime | None:
    """The first reading of the clock that fits and is not before `wall`."""
    year, month, day = wall.year, wall.month, wall.day
    hour, minute, usec = wall.hour, wall.minute, wall.second * SECOND + wall.microsecond
    while True:
        fit = _match(spec.year, year)
        if fit is None or fit > MAX_YEAR:
            return None
        if fit != year:
            year, month, day, hour, minute, usec = fit, 1, 1, 0, 0, 0
        fit = _match(spec.month, month)
        if fit is None or fit > 12:
            year, month, day, hour, minute, usec = year + 1, 1, 1, 0, 0, 0
            continue
        if fit != month:
            month, day, hour, minute, usec = fit, 1, 0, 0, 0
        length = calendar.monthrange(year, month)[1]
        fit = _match_day(spec, day, length)
        if fit is None or fit > length:
            month, day, hour, minute, usec = month + 1, 1, 0, 0, 0
            continue
        if fit != day:
            day, hour, minute, usec = fit, 0, 0, 0
        if spec.weekdays != ALL_DAYS and not spec.weekdays >> calendar.weekday(year, month, day) & 1:
            day, hour, minute, usec = day + 1, 0, 0, 0
            continue
        fit = _match(spec.hour, hour)
        if fit is None or fit > 23:
            day, hour, minute, usec = day + 1, 0, 0, 0
            continue
        if fit != hour:
            hour, minute, usec = fit, 0, 0
        fit = _match(spec.minute, minute)
        if fit is None or fit > 59:
            hour, minute, usec = hour + 1, 0, 0
            continue
        if fit != minute:
            minute, usec = fit, 0
        fit = _match(spec.usec, usec)
        if fit is None or fit >= 60 * SECOND:
            minute, usec = minute + 1, 0
            continue
        return datetime(year, month, day, hour, minute) + timedelta(microseconds=fit)


def _match(chain: Chain, value: int) -> int | None:
    """The smallest value that fits and is not less than `value`; None when there is none (it may lie past the unit's end)."""
    if not chain:
        return value
    return _smallest([(c.start, c.stop, c.repeat) for c in chain], value)


def _match_day(spec: CalendarSpec, day: int, length: int) -> int | None:
    if not spec.day:
        return day
    if not spec.end_of_month:
        return _match(spec.day, day)
    ranges = []
    for c in spec.day:
        # The Nth last day; a month without one has none. A range's ends change places.
        start = length + 1 - c.start
        stop = length + 1 - c.stop if c.stop > 0 else -1
        if stop > 0:
            start, stop = stop, start
        if start < 1:
            if c.repeat == 0 or stop > 0:
                continue
            start += -(-(1 - start) // c.repeat) * c.repeat
        ranges.append((start, stop, c.repeat))
    return _smallest(ranges, day)


def _smallest(ranges: list[tuple[int, int, int]], value: int) -> int | None:
    best: int | None = None
    for start, stop, repeat in ranges:
        if start >= value:
            fit = start
        elif repeat > 0:
            fit = start + -(-(value - start) // repeat) * repeat
            if 0 <= stop < fit:
                continue
        else:
            continue
        if best is None or fit < best:
            best = fit
    return best

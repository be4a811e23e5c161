"""Points in time as people write them: "10 min ago", "today", "2012-11-23 11:12:13", "@1395716396", "+5min" (systemd.time(7), PARSING TIMESTAMPS)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from unitd.units.errors import ValueProblem
from unitd.units.values import USEC_INFINITY, parse_timespan_usec
from unitd.units.zone import SECOND, Zone, find_zone, instant_of, instants, moment_of

_HINT = "write a date such as 2012-11-23 11:12:13, or today, yesterday, now, 10 min ago, +5min, @1395716396"
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DATE = r"(?P<year>[0-9]{4}|[0-9]{2})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
_TIME = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2})(?::(?P<second>[0-9]{1,2})(?:\.(?P<fraction>[0-9]+))?)?"
_FORMS = re.compile(rf"(?:{_DATE}(?:(?:\s+|T){_TIME})?|{_TIME.replace('?P<', '?P<only_')})")
_OFFSET = re.compile(r"(?P<rest>.*[0-9])\s*(?:(?P<zulu>Z)|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})?)")


def parse_timestamp(text: str, now: int, local: Zone) -> int:
    """Microseconds since 1970 of the time that `text` names, seen from `now` in the zone `local`. Raises ValueProblem.

    As in systemd.time(7): a day's name must fit the date, two-digit years are 1969 to 2068, no time means 00:00:00. With
    RFC 3339 forms ("2012-11-23T11:12:13Z", "+02:00").
    """
    problem = ValueProblem(f"cannot read {text!r} as a point in time", _HINT)
    body = text.strip()
    if body == "now":
        return now
    if body[:1] in ("+", "-") and body[1:2] not in ("+", "-"):
        return _moved(now, body[1:], 1 if body[0] == "+" else -1, problem)
    if body.startswith("@"):
        return _span(body[1:], problem)
    if body.endswith(" ago"):
        return _moved(now, body[:-4], -1, problem)
    if body.endswith(" left"):
        return _moved(now, body[:-5], 1, problem)
    body, zone = _zone_of(body, local)
    today = moment_of(now, zone)
    day = {"today": 0, "yesterday": -1, "tomorrow": 1}.get(body)
    if day is not None:
        wall = today.replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0, fold=0) + timedelta(days=day)
        return _instant(wall, zone)
    weekday, body = _weekday(body)
    wall, extra = _wall(body, today, problem)
    if weekday is not None and wall.weekday() != weekday:
        raise ValueProblem(f"cannot read {text!r} as a point in time, because that day is a {_DAYS[wall.weekday()].capitalize()}", "leave the day's name out")
    usec = _instant(wall, zone) + extra
    if usec < 0:
        raise ValueProblem(f"cannot read {text!r} as a point in time, because it is before 1970", _HINT)
    return usec


def _span(text: str, problem: ValueProblem) -> int:
    try:
        usec = parse_timespan_usec(text)
    except ValueProblem:
        raise problem from None
    if usec == USEC_INFINITY:
        raise problem
    return usec


def _moved(now: int, text: str, direction: int, problem: ValueProblem) -> int:
    return max(0, now + direction * _span(text, problem))


def _zone_of(body: str, local: Zone) -> tuple[str, tzinfo]:
    """What is left without the zone at the end, and the zone."""
    rest, _, last = body.rpartition(" ")
    if rest:
        if last.casefold() == "utc":
            return rest.rstrip(), UTC
        fixed = local.named(last) or (find_zone(last) if not last[0].isdigit() else None)
        if fixed is not None:
            return rest.rstrip(), fixed
    offset = _OFFSET.fullmatch(body)
    if offset and ":" in offset["rest"]:
        if offset["zulu"]:
            return offset["rest"].rstrip(), UTC
        minutes = int(offset["hours"]) * 60 + int(offset["minutes"] or 0)
        if minutes < 24 * 60:
            return offset["rest"].rstrip(), timezone(timedelta(minutes=minutes if offset["sign"] == "+" else -minutes))
    return body, local.rules


def _weekday(body: str) -> tuple[int | None, str]:
    first, _, rest = body.partition(" ")
    word = first.casefold()
    for number, name in enumerate(_DAYS):
        if rest and word in (name, name[:3]):
            return number, rest.lstrip()
    return None, body


def _wall(body: str, today: datetime, problem: ValueProblem) -> tuple[datetime, int]:
    """The reading of the clock, and the microseconds that rounding its fraction gave (a whole second at most)."""
    found = _FORMS.fullmatch(body)
    if not found:
        raise problem
    part = found.groupdict()
    year, month, day = today.year, today.month, today.day
    prefix = "only_"
    if part["year"]:
        prefix = ""
        year, month, day = int(part["year"]), int(part["month"]), int(part["day"])
        if len(part["year"]) == 2:
            year += 2000 if year < 69 else 1900
    hour, minute, second = (int(part[prefix + name] or 0) for name in ("hour", "minute", "second"))
    fraction = part[prefix + "fraction"] or ""
    extra = int(fraction[:6].ljust(6, "0")) + (1 if fraction[6:7] >= "5" else 0) if fraction else 0
    leap = 1 if second == 60 else 0
    try:
        return datetime(year, month, day, hour, minute, second - leap), extra + leap * SECOND
    except ValueError:
        raise problem from None


def _instant(wall: datetime, zone: tzinfo) -> int:
    """The first instant of a reading; one in the gap counts with the clock as it was before it."""
    found = instants(wall, zone)
    return found[0] if found else instant_of(wall.replace(tzinfo=zone))

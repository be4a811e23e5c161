"""Time zones for calendar expressions and timestamps, on top of zoneinfo: which instants a wall clock reading stands for.

Wall clock readings are naive datetimes, instants are whole microseconds since 1970 UTC.
"""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000


def instant_of(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(usec: int, zone: tzinfo = UTC) -> datetime:
    """The aware datetime of an instant. Raises OverflowError when it is past the year 9999."""
    return (_EPOCH + timedelta(microseconds=usec)).astimezone(zone)


class Zone(msgspec.Struct, frozen=True):
    """The local zone: its rules, and what its standard and its summer time are called ("CET", "CEST")."""

    rules: tzinfo = UTC
    standard: str = "UTC"
    summer: str = ""
    key: str = ""  # "Europe/Berlin" where it is known

    def named(self, name: str) -> tzinfo | None:
        """The fixed offset that an abbreviation of this zone stands for, or None when it is not one of its two."""
        for summer, known in ((False, self.standard), (True, self.summer)):
            if known and name.casefold() == known.casefold():
                offset = _offset_of(self.rules, summer)
                return None if offset is None else timezone(offset, known)
        return None


UTC_ZONE = Zone()


def _offset_of(rules: tzinfo, summer: bool, year: int = 2026) -> timedelta | None:
    for month in range(1, 13):
        moment = datetime(year, month, 1, tzinfo=UTC).astimezone(rules)
        if bool(moment.dst()) == summer:
            return moment.utcoffset()
    return None


def zone_of(rules: tzinfo, key: str = "", year: int = 2026) -> Zone:
    """A Zone with the abbreviations that hold in `year`."""
    called: dict[bool, str] = {}
    for month in range(1, 13):
        moment = datetime(year, month, 1, tzinfo=UTC).astimezone(rules)
        called.setdefault(bool(moment.dst()), moment.tzname() or "")
    return Zone(rules, called.get(False, ""), called.get(True, ""), key)


def find_zone(name: str) -> ZoneInfo | None:
    """The zone of the system's time zone database with this name ("Europe/Berlin"), or None."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # no such file, no such key, a directory, a path that leaves the database
        return None


def posix_zone(rule: str) -> ZoneInfo | None:
    """The zone that a TZ rule like "CET-1CEST,M3.5.0,M10.5.0/3" describes (tzset(3)), or None when it is none."""
    if not rule.isascii() or not rule.isprintable():
        return None
    empty = struct.pack(">4s c 15x 6l", b"TZif", b"2", 0, 0, 0, 0, 1, 4)
    one_type = struct.pack(">lbb4s", 0, 0, 0, b"UTC\0")
    try:
        return ZoneInfo.from_file(io.BytesIO((empty + one_type) * 2 + b"\n" + rule.encode() + b"\n"))
    except (ValueError, OverflowError):
        return None


def instants(wall: datetime, rules: tzinfo) -> list[int]:
    """The instants at which the clocks of a zone show `wall`: none in the gap when they go forward, two when they go back."""
    found = []
    for fold in (0, 1):
        moment = wall.replace(tzinfo=rules, fold=fold).astimezone(UTC)
        if moment.astimezone(rules).replace(tzinfo=None, fold=0) == wall.replace(fold=0):
            found.append(instant_of(moment))
    return sorted(set(found))


def end_of_gap(wall: datetime, rules: tzinfo) -> datetime:
    """The first reading after the gap that `wall` falls into."""
    early = wall.replace(tzinfo=rules, fold=1).astimezone(UTC)
    late = wall.replace(tzinfo=rules, fold=0).astimezone(UTC)
    low, high = instant_of(early), instant_of(late)
    before = moment_of(low, rules).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if moment_of(middle, rules).utcoffset() == before:
            low = middle
        else:
            high = middle
    return moment_of(high, rules).replace(tzinfo=None, fold=0)

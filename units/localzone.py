"""Which time zone this machine is in: $TZ, else /etc/localtime (tzset(3), localtime(5)). The one place that looks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from unitd.units.zone import UTC_ZONE, Zone, find_zone, posix_zone, zone_of

LOCALTIME = "/etc/localtime"
DATABASE = "/zoneinfo/"


def local_zone(environ: Mapping[str, str] | None = None, localtime: str = LOCALTIME) -> Zone:
    """The zone that libc would use; UTC when nothing says another, or what it says cannot be read."""
    name = (os.environ if environ is None else environ).get("TZ")
    year = datetime.now(UTC).year
    if name is not None:
        name = name.removeprefix(":")
        if name.startswith("/"):
            return _from_file(name, year)
        rules = find_zone(name) or posix_zone(name) if name else None
        return zone_of(rules, name, year) if rules else UTC_ZONE
    return _from_file(localtime, year)


def _from_file(path: str, year: int) -> Zone:
    target = os.path.realpath(path)
    key = target.partition(DATABASE)[2]
    try:
        with open(target, "rb") as file:
            return zone_of(ZoneInfo.from_file(file, key or None), key, year)
    except (OSError, ValueError):
        return UTC_ZONE

"""Points in time as systemd prints them."""

from __future__ import annotations

from datetime import datetime

_SECOND, _MINUTE, _HOUR, _DAY, _WEEK, _MONTH, _YEAR = 1, 60, 3600, 86400, 604800, 2629800, 31557600


def stamp(realtime: float) -> str:
    """`Tue 2026-11-24 02:40:29 UTC`, in the local zone; empty for 0 (never)."""
    return datetime.fromtimestamp(realtime).astimezone().strftime("%a %Y-%m-%d %H:%M:%S %Z") if realtime else ""


def log_stamp(realtime: float) -> str:
    """`Nov 24 12:00:01`."""
    return datetime.fromtimestamp(realtime).strftime("%b %d %H:%M:%S")


def log_iso(realtime: float) -> str:
    """`2026-11-24T12:00:01+00:00`."""
    return datetime.fromtimestamp(realtime).astimezone().isoformat(timespec="seconds")


def ago(seconds: float) -> str:
    """`5s ago`, `2h 3min ago`, `1 week 2 days ago` (format_timestamp_relative)."""
    if seconds < 0:
        return f"{_distance(-seconds)} left"
    return f"{_distance(seconds)} ago" if seconds >= 0.001 else "now"


def _distance(d: float) -> str:
    whole = int(d)
    for size, word, rest, small in ((_YEAR, "year", _MONTH, "month"), (_MONTH, "month", _DAY, "day"), (_WEEK, "week", _DAY, "day")):
        if whole >= size:
            more = whole % size // rest
            return _count(whole // size, word) + (f" {_count(more, small)}" if more else "")
    if whole >= 2 * _DAY:
        return f"{whole // _DAY} days"
    if whole >= 25 * _HOUR:
        return f"1 day {(whole - _DAY) // _HOUR}h"
    if whole >= 6 * _HOUR:
        return f"{whole // _HOUR}h"
    if whole >= _HOUR:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE}min"
    if whole >= 5 * _MINUTE:
        return f"{whole // _MINUTE}min"
    if whole >= _MINUTE:
        return f"{whole // _MINUTE}min {whole % _MINUTE}s"
    return f"{whole}s" if whole else f"{int(d * 1000)}ms"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"

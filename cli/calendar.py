"""calendar, timestamp, timespan: what expressions of time mean (as systemd-analyze(1)). No manager is asked."""

from __future__ import annotations

import sys

from unitd.cli.context import Context

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from unitd.units.zone import Zone


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of the family."""
    if verb == "calendar":
        parser.add_argument("--iterations", type=int, default=1, metavar="N", help="show so many of the next times")
        parser.add_argument("--base-time", metavar="TIMESTAMP", help="show what comes after this time instead of now")
    parser.add_argument("units", nargs="*", metavar="EXPRESSION")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Explain every expression; 1 if any cannot be read."""
    from unitd.units.errors import ValueProblem
    from unitd.units.localzone import local_zone

    zone = local_zone()
    found: list[dict[str, Any]] = []
    code = 0
    for number, text in enumerate(args.units):
        try:
            data, lines = {"calendar": calendar, "timestamp": timestamp, "timespan": timespan}[verb](text, zone, args)
        except ValueProblem as problem:
            hint = f" ({problem.hint})" if problem.hint else ""
            sys.stdout.flush()
            print(f"{str(problem)[:1].upper()}{str(problem)[1:]}{hint}", file=sys.stderr)
            code = 1
            continue
        found.append(data)
        if not context.json:
            width = max(len(label) for label, _ in lines)
            context.text("\n" * bool(number) + "".join(f"{label:>{width}}: {value}\n" for label, value in lines))
    if context.json:
        import json

        context.text(json.dumps(found, indent=2) + "\n")
    return code


def _now() -> int:
    import time

    return time.time_ns() // 1000


def _stamp(usec: int, zone: Zone) -> str:
    from unitd.units.zone import moment_of

    return moment_of(usec, zone.rules).strftime("%a %Y-%m-%d %H:%M:%S %Z")


def _both(label: str, usec: int, zone: Zone, now: int) -> list[tuple[str, str]]:
    """A point in time in the local zone, in UTC, and from now."""
    from unitd.bus.timetext import ago
    from unitd.units.zone import UTC_ZONE

    lines = [(label, _stamp(usec, zone))]
    if lines[0][1] != _stamp(usec, UTC_ZONE):
        lines.append(("(in UTC)", _stamp(usec, UTC_ZONE)))
    return [*lines, ("From now", ago((now - usec) / 1e6))]


def calendar(text: str, zone: Zone, args: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The normalised form and the next times."""
    from unitd.units.calendar import parse_calendar
    from unitd.units.calendarnext import upcoming
    from unitd.units.timestamp import parse_timestamp

    now = _now()
    spec = parse_calendar(text, zone)
    base = parse_timestamp(args.base_time, now, zone) if args.base_time else now
    times = upcoming(spec, base, zone, max(1, args.iterations))
    lines = [("Original form", text)] if str(spec) != text else []
    lines.append(("Normalized form", str(spec)))
    if not times:
        lines.append(("Next elapse", "never"))
    for number, usec in enumerate(times):
        lines += _both("Next elapse" if not number else f"Iter. #{number + 1}", usec, zone, now)
    return {"original": text, "normalized": str(spec), "next": times}, lines


def timestamp(text: str, zone: Zone, args: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """A point in time."""
    from unitd.units.timestamp import parse_timestamp

    now = _now()
    usec = parse_timestamp(text, now, zone)
    seconds = f"@{usec // 1_000_000}" + (f".{usec % 1_000_000:06d}" if usec % 1_000_000 else "")
    lines = _both("Normalized form", usec, zone, now)
    lines.insert(len(lines) - 1, ("UNIX seconds", seconds))
    return {"original": text, "usec": usec}, [("Original form", text), *lines]


def timespan(text: str, zone: Zone, args: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """A span of time."""
    from unitd.units.values import format_timespan, parse_timespan_usec

    usec = parse_timespan_usec(text)
    return {"original": text, "usec": usec}, [("Original", text), ("μs", str(usec)), ("Human", format_timespan(usec))]

"""logs: what units printed, from the files themselves; the bus only tells when there is more."""

from __future__ import annotations

import heapq
import sys
import time

from unitd.bus.client import Events
from unitd.bus.logread import Follower, LogLine, read, tail
from unitd.bus.timetext import log_stamp
from unitd.cli.context import Context, unit_names

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

#: Something may be written between the first read and the subscription without an event: one late look catches it.
LATE_LOOK = 0.3


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of logs."""
    parser.add_argument("units", nargs="*", metavar="UNIT")
    parser.add_argument("-n", "--lines", default=None, metavar="N", help="how many lines, or all (default: 10 with -f, else all)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("-o", "--output", choices=["short", "cat", "json"], default="short", help="how: short, cat (text alone), json")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Subscribe first, then read, so that nothing falls between."""
    try:
        count = (10 if args.follow else None) if args.lines is None else None if args.lines == "all" else max(0, int(args.lines))
    except ValueError:
        print(f"Failed to parse lines '{args.lines}'.", file=sys.stderr)
        return 1
    names, style = unit_names(args.units), "json" if context.json else args.output
    try:
        if args.follow:
            topics = [f"log.{name}" for name in names]
            with context.client.events(topics if names and not any(c in t for t in topics for c in "*?[") else ["log."]) as events:
                return follow(context, events, names, count, style)
        directories, code = find(context, names)
        if count is None:
            show(heapq.merge(*(_with_unit(unit, read(path)) for unit, path in directories.items()), key=_time), style)
        else:
            show(
                sorted((row for unit, path in directories.items() for row in _with_unit(unit, tail(path, count))), key=_time)[
                    -count or sys.maxsize :
                ],
                style,
            )
        return code
    except PermissionError as error:
        print(f"unitctl: cannot read {error.filename}: {error.strerror}", file=sys.stderr)
        return 1


def find(context: Context, names: list[str]) -> tuple[dict[str, str], int]:
    """Where the manager keeps the output of which unit, and its exit code."""
    reply = context.call("logs", names)
    return {str(row["unit"]): str(row["dir"]) for row in reply.data or []}, reply.exit_code


def follow(context: Context, events: Events, names: list[str], count: int | None, style: str) -> int:
    """The last lines, then what comes, until interrupted."""
    directories, code = find(context, names)
    if code:
        return code
    followers = {unit: Follower(path, start_at_end=count == 0, last=count) for unit, path in directories.items()}
    first = sorted((row for unit, follower in followers.items() for row in _with_unit(unit, follower.read_new())), key=_time)
    show(first if count is None else first[-count:] if count else [], style)
    others: set[str] = set()
    timeout: float | None = LATE_LOOK
    while True:
        event = events.next_event(timeout)
        timeout = None
        unit = event.topic.removeprefix("log.") if event is not None and event.topic.startswith("log.") else ""
        if unit and unit not in followers and unit not in others:
            # printed for the first time since the command began
            directory = find(context, names)[0].get(unit)
            if directory is None:
                others.add(unit)
            else:
                followers[unit] = Follower(directory, since=time.time() - 1)
        wanted = [unit] if unit in followers else [] if unit else list(followers)
        show(sorted((row for name in wanted for row in _with_unit(name, followers[name].read_new())), key=_time), style)


def _with_unit(unit: str, lines: Iterable[LogLine]) -> Iterator[tuple[str, LogLine]]:
    return ((unit, line) for line in lines)


def _time(row: tuple[str, LogLine]) -> float:
    return row[1].realtime


def show(rows: Iterable[tuple[str, LogLine]], style: str) -> None:
    """Print lines of units."""
    out = sys.stdout.buffer
    for unit, line in rows:
        out.write(line_bytes(unit, line, style))
    out.flush()


def line_bytes(unit: str, line: LogLine, style: str) -> bytes:
    """One line as it is printed; the output's own bytes are passed on unchanged."""
    text = line.text.rstrip(b"\n")
    if style == "cat":
        return text + b"\n"
    if style == "json":
        import msgspec

        stream = {0: "out", 1: "err", 2: "manager"}.get(line.stream, str(line.stream))
        row = {"unit": unit, "realtime": line.realtime, "stream": stream, "text": text.decode("utf-8", "backslashreplace")}
        return msgspec.json.encode(row) + b"\n"
    return f"{log_stamp(line.realtime)} {unit.removesuffix('.service')}: ".encode() + text + b"\n"

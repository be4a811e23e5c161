"""logs: what units printed, from the files themselves; the bus only tells when there is more."""

from __future__ import annotations

import os
import re
import sys

from unitd.bus import logstore
from unitd.cli.context import Context, unit_names
from unitd.cli.logprint import STYLES, Printer

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from unitd.bus.logclient import UnitLine, Wanted


class Mistake(Exception):
    """Something is wrong with what was asked; the text says what. `code` is the exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of logs."""
    parser.add_argument("units", nargs="*", metavar="UNIT|GLOB")
    parser.add_argument("-n", "--lines", default=None, metavar="N", help="how many lines, or all (default: 10 with -f, else all)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("-S", "--since", default=None, metavar="TIME", help='not before this time: "10 min ago", today, 2026-11-24 12:00')
    parser.add_argument("-U", "--until", default=None, metavar="TIME", help="not after this time")
    parser.add_argument("-o", "--output", choices=list(STYLES), default="short", help="how: short, short-iso, json, or cat, the text unchanged")
    parser.add_argument("--stdout", action="store_true", help="standard output only (needs LogStreams=separate to be told apart)")
    parser.add_argument("--stderr", action="store_true", help="standard error only")
    parser.add_argument("-g", "--grep", default=None, metavar="PATTERN", help="lines that match a regular expression; without capitals in any case")
    parser.add_argument("-b", dest="latest", action="store_true", help="since the unit was last started")
    parser.add_argument("--invocation", default=None, metavar="ID", help="of one invocation: an ID, 0 for the latest, -1 for the one before")
    parser.add_argument("-D", "--directory", default=None, metavar="DIR", help="read the logs in DIR")
    parser.add_argument("--disk-usage", action="store_true", help="what the logs take")
    parser.add_argument("--vacuum-size", default=None, metavar="SIZE", help="remove the oldest rotated files until the logs take no more than this")
    parser.add_argument("--vacuum-time", default=None, metavar="SPAN", help="remove rotated files that are older than this")
    parser.add_argument("--rotate", action="store_true", help="begin new files")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Find the files, with the manager's help if there is one, and print or tidy them."""
    try:
        count = lines_of(args)
        names = unit_names(args.units)
        where = Where(context, args.directory)
        if args.rotate or args.disk_usage or args.vacuum_size or args.vacuum_time:
            from unitd.cli import logtidy

            return logtidy.run(context, where, names, args)
        units = where.units(names)
        style = "json" if context.json else args.output
        printer = Printer(style, lambda unit: logstore.identifier(os.path.join(where.log_dir, unit)) or unit.removesuffix(".service"))
        if args.follow:
            return follow(context, where, units, args, count, printer)
        from unitd.bus.logclient import read_logs

        found = logstore.units(where.log_dir, units) if units else logstore.units(where.log_dir)
        directories = {unit: os.path.join(where.log_dir, unit) for unit in found}
        show(read_logs(directories, wanted(args, directories), count), printer)
        sys.stdout.buffer.write(printer.end())
        return 0
    except Mistake as mistake:
        if str(mistake):
            print(mistake, file=sys.stderr)
        return mistake.code
    except PermissionError as error:
        print(f"unitctl: cannot read {error.filename}: {error.strerror}", file=sys.stderr)
        return 1


def lines_of(args: argparse.Namespace) -> int | None:
    """-n, and its default. Raises Mistake."""
    if args.lines is None:
        return 10 if args.follow and not args.since else None
    if args.lines == "all":
        return None
    if not re.fullmatch(r"\+?[0-9]{1,18}", args.lines):
        raise Mistake(f"Failed to parse lines '{args.lines}'.")
    return int(args.lines)


class Where:
    """The log directory, and the manager if there is one."""

    def __init__(self, context: Context, directory: str | None) -> None:
        self.context, self.local = context, directory is not None
        self.log_dir = directory or log_dir(context.bus)

    def units(self, names: list[str]) -> list[str]:
        """The names that the logs are under (aliases resolved); the manager writes out what it has. Raises Mistake."""
        if not self.local:
            try:
                reply = self.context.call("logs", names)
            except unreachable():
                pass  # it reads all the same
            else:
                if reply.exit_code:
                    raise Mistake("", reply.exit_code)
                if names:
                    globs = [name for name in names if any(c in name for c in "*?[")]
                    return [*globs, *(str(row["unit"]) for row in reply.data or [] if not logstore.matches(str(row["unit"]), globs))]
                return []
        for name in names:
            if not logstore.units(self.log_dir, [name]):
                raise Mistake(f"unitctl: cannot find a log of {name} in {self.log_dir}, and no manager answers", 4)
        return names


def log_dir(bus: str | None) -> str:
    """Where the manager keeps output, whether it runs or not. Raises BadEndpoint."""
    from unitd.bus import endpoint

    path = endpoint.path_of(endpoint.find(bus, os.environ, os.getuid()))
    usual = logstore.usual_log_dir(os.getuid(), os.environ.get("HOME", "/"), os.environ.get("XDG_STATE_HOME", ""))
    return logstore.find_log_dir(os.path.dirname(path), usual)


def unreachable() -> type[Exception]:
    """The exception; who needs it has time to import it."""
    from unitd.bus.connecting import Unreachable

    return Unreachable


def wanted(args: argparse.Namespace, directories: dict[str, str]) -> dict[str, Wanted]:
    """The conditions for each unit. Raises Mistake."""
    from unitd.bus.logclient import Wanted

    since, until = (instant(text, option) if text else 0.0 for text, option in ((args.since, "--since"), (args.until, "--until")))
    streams = frozenset((0,) if args.stdout else ()) | frozenset((1,) if args.stderr else ()) or frozenset((0, 1, 2))
    match = None
    if args.grep:
        try:
            match = re.compile(os.fsencode(args.grep), 0 if any(c.isupper() for c in args.grep) else re.IGNORECASE).search
        except re.error as error:
            raise Mistake(f"Failed to compile the pattern '{args.grep}': {error}") from None
    plain = Wanted(since, until, streams, match)
    which = args.invocation if args.invocation is not None else "0" if args.latest else None
    if which is None:
        return dict.fromkeys(directories, plain)
    found = {}
    for unit, path in directories.items():
        span = logstore.find_invocation(path, which)
        if span is None and len(directories) == 1:
            raise Mistake(f"unitctl: cannot find invocation {which} of {unit}; it printed nothing, or it is gone")
        if span is not None:
            found[unit] = plain._replace(since=max(since, span[0]), until=min(until or span[1], span[1] or until))
    for unit in [u for u in directories if u not in found]:
        del directories[unit]
    return found


def instant(text: str, option: str) -> float:
    """Seconds of realtime that a user means (systemd.time(7)). Raises Mistake."""
    import time

    from unitd.units.errors import ValueProblem
    from unitd.units.localzone import local_zone
    from unitd.units.timestamp import parse_timestamp

    try:
        return parse_timestamp(text, time.time_ns() // 1000, local_zone()) / 1e6
    except ValueProblem as error:
        raise Mistake(f"Failed to parse timestamp of {option}: {error}" + (f" ({error.hint})" if error.hint else "")) from None


def follow(context: Context, where: Where, units: list[str], args: argparse.Namespace, count: int | None, printer: Printer) -> int:
    """The last lines, then what comes, until interrupted."""
    from unitd.bus.logclient import LogFeed

    if where.local:
        raise Mistake("unitctl: cannot follow with --directory, because only a manager tells what is new")
    if args.latest or args.invocation is not None:
        only = {unit: os.path.join(where.log_dir, unit) for unit in logstore.units(where.log_dir, units)}
        conditions = list(wanted(args, only).values())
        condition = min(conditions, key=lambda w: w.since)._replace(until=0.0)
        count = None if args.lines is None else count
    else:
        condition = wanted(args, {"": ""})[""]
    with LogFeed(where.log_dir, units, context.client.events, condition, count) as feed:
        show(feed.first(), printer)
        while True:
            show(feed.next_lines() or (), printer)


def show(rows: Iterable[UnitLine], printer: Printer) -> None:
    """Print lines of units."""
    out = sys.stdout.buffer
    for piece in printer.lines(rows):
        out.write(piece)
    out.flush()

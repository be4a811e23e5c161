"""top: units, what they use and what they print, live; with keys to start, stop and restart them."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TYPE_CHECKING

from unitd.cli.context import Context, unit_names

if TYPE_CHECKING:
    import argparse

    from unitd.cli.top.model import Model


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of top."""
    parser.add_argument("units", nargs="*", metavar="GLOB")
    parser.add_argument("-b", "--batch", action="store_true", help="print pictures as text instead of taking the terminal")
    parser.add_argument("-n", "--lines", type=int, default=None, metavar="N", help="end after N pictures (with --batch)")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="time between pictures (with --batch; default: 1)")
    parser.add_argument(
        "--sort", choices=["cpu", "memory", "name", "state", "restarts", "age"], default="cpu", metavar="KEY", help="cpu memory name state restarts age"
    )
    parser.add_argument("--tree", action="store_true", help="the processes of each unit below it")
    parser.add_argument("-a", "--all", action="store_true", help="units that are no services as well")
    parser.add_argument("--width", type=int, default=0, metavar="COLUMNS", help="width of the pictures (with --batch)")
    parser.add_argument("--ascii", action="store_true", help="only ASCII characters")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """On a terminal by curses, else or with --batch as text."""
    from unitd.cli.top.model import Model

    model = Model(unit_names(args.units))
    model.sort, model.tree, model.everything = args.sort, args.tree, args.all
    unicode = not args.ascii and (sys.stdout.encoding or "ascii").lower().replace("-", "") == "utf8"
    if args.batch or context.json:
        return batch(context, model, args, unicode)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("unitctl: top needs a terminal; 'unitctl top --batch' prints pictures as text", file=sys.stderr)
        return 1
    import curses

    from unitd.cli.top import screen

    context.client.ping()  # no manager at all is said at once, not on a screen
    try:
        screen.run(model, context.client.endpoint, unicode, context.colour)
    except curses.error as error:
        print(f"unitctl: cannot use this terminal (TERM={os.environ.get('TERM', '')}), because {error}; try top --batch", file=sys.stderr)
        return 1
    return 0


def batch(context: Context, model: Model, args: argparse.Namespace, unicode: bool) -> int:
    """Pictures one after the other."""
    from unitd.bus import events as bus
    from unitd.cli.context import printable
    from unitd.cli.top.feed import TOPICS
    from unitd.cli.top.paint import frame

    if context.json:
        print("unitctl: top has no JSON form; 'unitctl stats --json' and 'unitctl events --stats --json' have its figures", file=sys.stderr)
        return 1
    width = args.width or shutil.get_terminal_size((100, 24)).columns
    left = args.lines
    with context.client.events(TOPICS) as events:
        while left is None or left > 0:
            if model.stale:
                snapshot = context.client.snapshot()
                model.snapshot(snapshot.position, snapshot.units)
            end = time.monotonic() + max(0.1, args.seconds)
            while (wait := end - time.monotonic()) > 0:
                event = events.next_event(wait)
                if event is not None:
                    model.event(event)
                if isinstance(event, bus.Gap):
                    snapshot = context.client.snapshot()
                    model.snapshot(snapshot.position, snapshot.units)
            sys.stdout.write(printable(frame(model, width, time.time(), unicode), sys.stdout.encoding) + "\n")
            sys.stdout.flush()
            left = None if left is None else left - 1
    return 0

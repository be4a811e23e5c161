"""kill: send a signal to processes of units."""

from __future__ import annotations

from unitd.cli.context import Context, unit_names

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of kill."""
    parser.add_argument("units", nargs="*", metavar="UNIT")
    parser.add_argument("-s", "--signal", metavar="SIGNAL", default="SIGTERM", help="signal to send (default: SIGTERM)")
    parser.add_argument(
        "--kill-whom", "--kill-who", metavar="WHOM", default="all",
        help="to which processes: main, control or all; with -fail behind it, it is an error if there are none (default: all)",
    )


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Send it."""
    return context.say(context.call(verb, unit_names(args.units), signal=args.signal, kill_whom=args.kill_whom))

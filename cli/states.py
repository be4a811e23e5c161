"""status is-active is-failed is-enabled: how units are doing."""

from __future__ import annotations

from unitd.cli.context import Context, unit_names

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of the family."""
    parser.add_argument("units", nargs="*", metavar="UNIT")
    if verb == "status":
        parser.add_argument("-n", "--lines", type=int, default=10, metavar="N", help="how many lines of output to show (default: 10)")
        parser.add_argument("-l", "--full", action="store_true", help="accepted; lines are never cut")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Ask and print."""
    if verb == "is-enabled":
        return context.say(context.call(verb, [word if "/" in word else unit_names([word], "check")[0] for word in args.units]))
    if verb != "status":
        return context.say(context.call(verb, unit_names(args.units)))
    import sys
    import time

    from unitd.cli.render import Painter
    from unitd.cli.status import render

    reply = context.call(verb, unit_names(args.units), lines=max(1, args.lines))
    if context.json:
        return context.dump(reply)
    blocks = []
    for row in reply.data or []:
        if not row["found"]:
            print(f"Unit {row['unit']} could not be found.", file=sys.stderr)
            continue
        if args.lines <= 0:
            row["log"] = []
        blocks.append(render(row, row.get("now") or time.time(), Painter(context.colour)))
    context.text("\n".join(blocks))
    return reply.exit_code

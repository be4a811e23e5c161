"""list-sockets: what is listened on, and what traffic there starts."""

from __future__ import annotations

from unitd.cli.context import Context
from unitd.cli.render import Painter, table

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Its options."""
    parser.add_argument("--no-legend", action="store_true", help="no heads and no sums")
    parser.add_argument("-a", "--all", action="store_true", help="show sockets that are not active, too")
    parser.add_argument("--show-types", action="store_true", help="show what kind of socket each is")
    parser.add_argument("--state", action="append", default=[], metavar="STATE[,...]", help="only sockets in these states")
    parser.add_argument("units", nargs="*", metavar="PATTERN")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Ask and print."""
    reply = context.call(verb, args.units, all=args.all, state=",".join(args.state) or None)
    if context.json:
        return context.dump(reply)
    rows = reply.data or []
    columns = ["LISTEN", "TYPE", "UNIT", "ACTIVATES"] if args.show_types else ["LISTEN", "UNIT", "ACTIVATES"]
    cells = [[row["listen"], *([row["type"]] if args.show_types else []), row["unit"], " ".join(row["activates"])] for row in rows]
    paint, legend = Painter(context.colour), not (args.no_legend or context.quiet)
    lines = table(columns, cells, legend and bool(rows))
    if legend and rows:
        lines[0] = paint.underline(lines[0])
    text = "".join(line + "\n" for line in lines)
    if legend:
        text += ("\n" if rows else "") + f"{len(rows)} sockets listed.\n"
        if not args.all:
            text += "Pass --all to see loaded but inactive sockets, too.\n"
    context.text(text)
    return reply.exit_code

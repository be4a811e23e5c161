"""list-timers, list-paths."""

from __future__ import annotations

from unitd.cli import render
from unitd.cli.context import Context

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse
    from typing import Any


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of both."""
    parser.add_argument("--no-legend", action="store_true", help="no heads and no sums")
    parser.add_argument("-a", "--all", action="store_true", help="show units that are down, too")
    parser.add_argument("units", nargs="*", metavar="PATTERN")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Ask and print."""
    reply = context.call(verb, args.units, all=args.all)
    if context.json:
        return context.dump(reply)
    if reply.exit_code:
        return reply.exit_code
    legend, paint = not (args.no_legend or context.quiet), render.Painter(context.colour)
    if verb == "list-timers":
        head, cells, what = ["NEXT", "LEFT", "LAST", "PASSED", "UNIT", "ACTIVATES"], timers(reply.data["timers"], reply.data["now"]), "timers"
    else:
        head, cells, what = ["PATH", "CONDITION", "UNIT", "ACTIVATES"], [[r["path"], r["condition"], r["unit"], r["activates"]] for r in reply.data], "paths"
    lines = render.table(head, cells, legend)
    if legend:
        lines = [paint.underline(lines[0]), *lines[1:], ""]
        lines.append(f"{len(cells)} {what} listed.")
        if not args.all:
            lines.append(f"Pass --all to see loaded but inactive {what}, too.")
    context.text("".join(line + "\n" for line in lines))
    return 0


def timers(rows: list[dict[str, Any]], now: float) -> list[list[str]]:
    """Cells of list-timers."""
    from unitd.bus.timetext import ago, stamp

    cells = []
    for row in rows:
        following = [stamp(row["next"]), ago(now - row["next"])] if row["next"] else ["-", "-"]
        last = [stamp(row["last"]), ago(now - row["last"])] if row["last"] else ["-", "-"]
        cells.append([*following, *last, row["unit"], row["activates"]])
    return cells

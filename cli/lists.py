"""list-units list-unit-files list-dependencies list-jobs: tables."""

from __future__ import annotations

from unitd.cli import render
from unitd.cli.context import Context, unit_names
from unitd.cli.options import Usage

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse

#: As `--type=help` lists them.
_TYPES = ("service", "mount", "swap", "socket", "target", "device", "automount", "timer", "path", "slice", "scope")
_LOAD_STATES = ("stub", "loaded", "not-found", "bad-setting", "error", "merged", "masked")


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of the family."""
    parser.add_argument("--no-legend", action="store_true", help="no heads and no sums")
    parser.add_argument("--legend", metavar="BOOL", default="yes", help="heads and sums: yes or no")
    parser.add_argument("--plain", action="store_true", help="no marks and no tree")
    parser.add_argument("-a", "--all", action="store_true", help="show inactive units, or all levels, too")
    if verb == "list-jobs":
        parser.add_argument("--after", action="store_true", help="show what each job waits for")
        parser.add_argument("--before", action="store_true", help="show what waits for each job")
        return
    parser.add_argument("units", nargs="*", metavar="UNIT")
    if verb == "list-dependencies":
        parser.add_argument("--reverse", action="store_true", help="show what needs the units instead")
        parser.add_argument("--after", action="store_true", help="show what the units are ordered after")
        parser.add_argument("--before", action="store_true", help="show what the units are ordered before")
        parser.add_argument("-t", "--type", action="append", default=[], metavar="TYPE[,...]", help="only units of these types")
        return
    parser.add_argument("-t", "--type", action="append", default=[], metavar="TYPE[,...]", help="only units of these types")
    parser.add_argument("--state", action="append", default=[], metavar="STATE[,...]", help="only units in these states")
    if verb == "list-units":
        parser.add_argument("--failed", action="store_true", help="the same as --state=failed")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Ask and print."""
    options = {name: getattr(args, name) for name in ("failed", "reverse", "after", "before") if hasattr(args, name)}
    types, states = (",".join(getattr(args, name, [])) for name in ("type", "state"))
    if types == "help":
        context.text(("" if args.no_legend else "Available unit types:\n") + "\n".join(_TYPES) + "\n")
        return 0
    loads = [word for word in types.split(",") if word in _LOAD_STATES]
    types, states = ",".join(word for word in types.split(",") if word and word not in loads), ",".join([*loads, *([states] if states else [])])
    unknown = next((word for word in types.split(",") if word and word not in _TYPES), "")
    if unknown:
        raise Usage(f"Unknown unit type or load state '{unknown}'.\nUse -t help to see a list of allowed values.")
    names = unit_names(args.units) if verb == "list-dependencies" else args.units
    if verb == "list-dependencies":
        options["plain"] = args.plain
    reply = context.call(verb, names, all=args.all, type=types or None, state=states or None, **options)
    rows = reply.data or []
    if verb == "list-unit-files" and states:
        rows = [row for row in rows if row["state"] in states.split(",")]
        reply.data = rows
        reply.exit_code = reply.exit_code or int(not rows)
    if context.json:
        return context.dump(reply)
    paint, legend = render.Painter(context.colour), not (args.no_legend or context.quiet or args.legend in ("no", "false", "0", "off"))
    if verb == "list-units":
        failed_only = args.failed or bool(states)
        text = render.units(rows, paint, legend=legend, plain=args.plain, everything=args.all, filtered=failed_only)
    elif verb == "list-unit-files":
        text = render.unit_files(rows, paint, legend)
    elif verb == "list-jobs":
        text = render.jobs(rows, paint, legend)
    else:
        text = render.dependencies(rows, paint, args.plain)
    context.text(text)
    return reply.exit_code

"""show: properties of units."""

from __future__ import annotations

from unitd.cli.context import Context, unit_names

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Mapping


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of show."""
    parser.add_argument("units", nargs="*", metavar="UNIT")
    parser.add_argument("-p", "--property", action="append", default=[], metavar="NAME[,NAME...]", help="only these properties")
    parser.add_argument("-P", action="append", default=[], metavar="NAME", dest="values", help="the same as --value --property=NAME")
    parser.add_argument("--value", action="store_true", help="print values only")
    parser.add_argument("-a", "--all", action="store_true", help="print empty properties, too")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Print them, units apart by an empty line."""
    wanted = [name for words in (*args.property, *args.values) for name in words.split(",") if name]
    reply = context.call(verb, unit_names(args.units))
    rows: list[dict[str, str]] = reply.data or []
    if context.json:
        reply.data = [{k: v for k, v in row.items() if not wanted or k in wanted} for row in rows]
        return context.dump(reply)
    blocks = [block(row, wanted, args.value or bool(args.values), args.all) for row in rows]
    context.text("\n".join(blocks))
    return reply.exit_code


def block(row: Mapping[str, str], wanted: Collection[str], values: bool, everything: bool) -> str:
    """One unit's lines, in the manager's order. Empty values are shown when asked for by name."""
    lines = []
    for name, value in row.items():
        if name in wanted if wanted else (value or everything):
            lines += [f"{part}\n" if values else f"{name}={part}\n" for part in value.split("\n")]
    return "".join(lines)

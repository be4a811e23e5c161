"""help: what unitctl can do."""

from __future__ import annotations

import sys

from unitd.cli.context import Context
from unitd.cli.verbs import VERBS

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Operand of help."""
    parser.add_argument("units", nargs="*", metavar="VERB|DIRECTIVE")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Print the list of verbs, one verb's options, or the entries of a directive."""
    if not args.units:
        context.text(overview())
        return 0
    from unitd.cli.parser import parser_for

    for name in args.units:
        text = parser_for(name).format_help() if name in VERBS else directive(name)
        if not text:
            print(f"Unknown verb or directive {name}.{_similar(name)} 'unitctl help' lists the verbs.", file=sys.stderr)
            return 1
        context.text(text)
    return 0


def directive(name: str) -> str:
    """All entries of the directive called `name` (any case, with or without =), empty when there is none."""
    from unitd.units.reference import describe, find

    return "\n".join(describe(entry) for entry in find(name))


def _similar(name: str) -> str:
    import difflib

    from unitd.units.directives import DIRECTIVES

    known = {key.lower(): key for _, key in DIRECTIVES}
    close = difflib.get_close_matches(name.rstrip("=").lower(), known, 1)
    return f" Did you mean {known[close[0]]}=?" if close else ""


def overview() -> str:
    """The text of `unitctl help`."""
    lines = ["unitctl [--bus ENDPOINT] [--json] [--quiet] VERB ...", "", "Ask and command the unit manager unitd.", ""]
    width = max(len(f"{name} {operands}") for name, (_, operands, _) in VERBS.items())
    lines += [f"  {f'{name} {operands}':<{width}}  {text}" for name, (_, operands, text) in VERBS.items()]
    lines += [
        "",
        "unitctl VERB --help explains a verb's options, unitctl help DIRECTIVE a line of a unit file. Exit codes are systemctl's:",
        "0 done, 1 failed, 3 not active, 4 no such unit, 5 not found.",
    ]
    return "\n".join(lines) + "\n"

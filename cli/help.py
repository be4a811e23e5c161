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
    parser.add_argument("units", nargs="*", metavar="VERB")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Print the list of verbs, or one verb's options."""
    if not args.units:
        context.text(overview())
        return 0
    from unitd.cli.parser import parser_for

    for name in args.units:
        if name not in VERBS:
            print(f"Unknown command verb {name}. 'unitctl help' lists the verbs.", file=sys.stderr)
            return 1
        context.text(parser_for(name).format_help())
    return 0


def overview() -> str:
    """The text of `unitctl help`."""
    lines = ["unitctl [--bus ENDPOINT] [--json] [--quiet] VERB ...", "", "Ask and command the unit manager unitd.", ""]
    width = max(len(f"{name} {operands}") for name, (_, operands, _) in VERBS.items())
    lines += [f"  {f'{name} {operands}':<{width}}  {text}" for name, (_, operands, text) in VERBS.items()]
    lines += [
        "",
        "unitctl VERB --help explains a verb's options. Exit codes are systemctl's:",
        "0 done, 1 failed, 3 not active, 4 no such unit, 5 not found.",
    ]
    return "\n".join(lines) + "\n"

"""set-property, revert: changes to unit files."""

from __future__ import annotations

import sys

from unitd.cli.context import Context, printable, unit_names
from unitd.units.suffix import with_suffix

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of the family."""
    parser.add_argument("units", nargs="*", metavar="UNIT")
    if verb != "revert":
        parser.add_argument("--runtime", action="store_true", help="until the end of unitd only")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Ask for it; what was changed is told on stderr, as systemctl does."""
    words = list(args.units)
    if verb == "set-property":
        units = [with_suffix(words[0]), *words[1:]]
    else:
        units = unit_names(words)
    reply = context.client.call(verb, units, runtime=getattr(args, "runtime", False))
    if reply.err and not (context.quiet and reply.ok):
        sys.stderr.write(printable(reply.err, sys.stderr.encoding))
    return context.dump(reply) if context.json else reply.exit_code

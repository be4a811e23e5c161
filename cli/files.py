"""cat: the files of units, each under its path."""

from __future__ import annotations

from unitd.cli.context import Context, unit_names
from unitd.cli.render import Painter

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Operands of cat."""
    parser.add_argument("units", nargs="*", metavar="UNIT")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Print them."""
    reply = context.call(verb, unit_names(args.units))
    if context.json:
        return context.dump(reply)
    paint = Painter(context.colour)
    texts = [paint.grey(f"# {row['path']}") + "\n" + row["text"].rstrip("\n") + "\n" for row in reply.data or []]
    context.text("\n".join(texts))
    return reply.exit_code

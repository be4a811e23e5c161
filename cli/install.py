"""enable disable mask unmask: links that make units start, or keep them from starting."""

from __future__ import annotations

from unitd.cli.context import Context, unit_names

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of the family."""
    parser.add_argument("units", nargs="*", metavar="UNIT")
    parser.add_argument("--runtime", action="store_true", help="until the next boot only")
    if verb in ("enable", "disable", "mask"):
        parser.add_argument("--now", action="store_true", help="start or stop the units as well")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Change the links, then start or stop with --now."""
    units = unit_names(args.units)
    reply = context.client.call(verb, units, runtime=args.runtime)
    if reply.err and not (context.quiet and reply.ok):
        import sys

        sys.stderr.write(reply.err)
    if reply.exit_code == 0 and getattr(args, "now", False):
        after = context.call("start" if verb == "enable" else "stop", units)
        return context.dump(after) if context.json else after.exit_code
    return context.dump(reply) if context.json else reply.exit_code

"""enable disable reenable preset mask unmask add-wants add-requires link: links that make units start, known, or keep them from starting."""

from __future__ import annotations

from unitd.cli.context import Context, unit_names

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse

_STARTING, _STOPPING = ("enable", "reenable"), ("disable", "mask")


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of the family."""
    parser.add_argument("units", nargs="*", metavar="UNIT")
    parser.add_argument("--runtime", action="store_true", help="until the next boot only")
    if verb in (*_STARTING, *_STOPPING):
        parser.add_argument("--now", action="store_true", help="start or stop the units as well")
    if verb == "preset":
        parser.add_argument("--preset-mode", metavar="MODE", default="full", help="full, enable-only or disable-only")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Change the links, then start or stop with --now."""
    if verb == "link":
        from os.path import abspath

        units = [abspath(word) for word in args.units]
    else:
        paths = verb in _STARTING  # these take files, too
        units = [word if paths and word.startswith("/") else unit_names([word], verb)[0] for word in args.units]
    options = {"preset_mode": args.preset_mode} if verb == "preset" else {}
    reply = context.client.call(verb, units, runtime=args.runtime, **options)
    if reply.err and not (context.quiet and reply.ok):
        import sys

        sys.stderr.write(reply.err)
    if reply.exit_code == 0 and getattr(args, "now", False):
        after = context.call("start" if verb in _STARTING else "stop", [name.rpartition("/")[2] for name in units])
        return context.dump(after) if context.json else after.exit_code
    return context.dump(reply) if context.json else reply.exit_code

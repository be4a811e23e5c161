"""start stop restart try-restart reload reload-or-restart try-reload-or-restart isolate: queue jobs and wait for them."""

from __future__ import annotations

from unitd.cli.context import Context, unit_names

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of the job verbs."""
    parser.add_argument("units", nargs="*", metavar="UNIT")
    parser.add_argument("--no-block", action="store_true", help="do not wait for the job")
    parser.add_argument("--job-mode", metavar="MODE", default="replace", help="what to do about other jobs: replace, fail, ...")
    if verb in ("start", "restart"):
        parser.add_argument("--wait", action="store_true", help="wait until the units are down again")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Ask for the jobs; failures are explained on stderr, what was refused on stdout."""
    reply = context.call(verb, unit_names(args.units), no_block=args.no_block, job_mode=args.job_mode, wait=getattr(args, "wait", False))
    return context.say(reply)

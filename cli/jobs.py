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
    parser.add_argument("--job-mode", metavar="MODE", default="replace", help="what to do about other jobs: replace, fail, isolate, ...")
    parser.add_argument("--fail", action="store_const", const="fail", dest="job_mode", default="replace", help="short for --job-mode=fail")
    parser.add_argument("-T", "--show-transaction", action="store_true", help="print all jobs that were queued")
    parser.add_argument("--dry-run", action="store_true", help="only print the jobs that would be queued")
    if verb == "restart":
        parser.add_argument("--rolling", action="store_true", help="one unit after the other, each when the one before is ready; only what is up")
    if verb in ("start", "restart"):
        parser.add_argument("--wait", action="store_true", help="wait until the units are down again")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Ask for the jobs; failures are explained on stderr, what was refused on stdout."""
    if getattr(args, "rolling", False):
        return context.say(context.call("rolling", unit_names(args.units)))
    options = {name: True for name in ("no_block", "show_transaction", "dry_run", "wait") if getattr(args, name, False)}
    if context.quiet:
        options["quiet"] = True
    return context.say(context.call(verb, unit_names(args.units), job_mode=args.job_mode, **options))

"""Verbs about the manager itself, and small ones that only pass a request on."""

from __future__ import annotations

from unitd.cli.context import Context, unit_names
from unitd.cli.options import Usage

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of these verbs."""
    if verb in ("reset-failed", "clean"):
        parser.add_argument("units", nargs="*", metavar="UNIT")
    if verb == "cancel":
        parser.add_argument("units", nargs="*", metavar="JOB")
    if verb == "clean":
        parser.add_argument(
            "--what", metavar="WHAT", default="cache,runtime", help="runtime state cache logs configuration all (default: cache,runtime)"
        )


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Pass it on."""
    if verb == "version" and not context.json:
        return _version(context)
    if verb == "stop-all":
        return _stop_all(context)
    if verb == "shutdown":
        verb = "exit"
    if verb == "clean" and args.what == "help":
        context.text("runtime\nstate\ncache\nlogs\nconfiguration\n")
        return 0
    if verb == "clean" and not args.units:
        raise Usage("Too few arguments: unitctl clean UNIT...")
    options = {"what": args.what.split(",")} if verb == "clean" else {}
    units = args.units if verb == "cancel" else unit_names(args.units)
    return context.say(context.call(verb, units, **options))


def _stop_all(context: Context) -> int:
    """Stop what is up in one request, so that the manager orders it."""
    rows = context.client.check("list-units", all=True).data or []
    up = [str(row["unit"]) for row in rows if row["active"] not in ("inactive", "failed")]
    if not up:
        return 0
    return context.say(context.call("stop", up))


def _version(context: Context) -> int:
    """The client's own version, and the manager's where it differs or answers at all."""
    import unitd
    from unitd.bus.client import BusError

    context.text(f"unitctl {unitd.__version__}\n")
    try:
        context.text(context.client.call("version").out)
    except BusError as error:
        context.text(f"unitd: {error}\n")
    return 0

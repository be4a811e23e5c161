"""logs --disk-usage, --vacuum-size=, --vacuum-time= and --rotate."""

from __future__ import annotations

import sys
import time

from unitd.bus import logstore
from unitd.cli.render import bytes_text
from unitd.units.errors import ValueProblem
from unitd.units.values import parse_size, parse_timespan

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse

    from unitd.cli.context import Context
    from unitd.cli.logs import Where


def run(context: Context, where: Where, names: list[str], args: argparse.Namespace) -> int:
    """In this order: rotate, remove, add up. Raises BusError, PermissionError."""
    if args.rotate:
        reply = context.call("logs-rotate", names)
        if reply.exit_code:
            return reply.exit_code
    units = logstore.units(where.log_dir, names)
    try:
        if args.vacuum_size:
            limit = parse_size(args.vacuum_size)
            found = logstore.archives(where.log_dir, units)
            total = sum(logstore.usage(where.log_dir, units).values())
            remove(context, [] if limit is None else logstore.too_much(found, total, limit))
        if args.vacuum_time:
            remove(context, logstore.too_old(logstore.archives(where.log_dir, units), time.time() - parse_timespan(args.vacuum_time)))
    except ValueProblem as error:
        print(f"Failed to parse: {error}" + (f" ({error.hint})" if error.hint else ""), file=sys.stderr)
        return 1
    if args.disk_usage:
        sizes = logstore.usage(where.log_dir, units)
        if context.json:
            import json

            context.text(json.dumps([{"unit": unit, "bytes": size} for unit, size in sizes.items()], indent=2) + "\n")
        else:
            context.text(f"Captured output takes up {bytes_text(sum(sizes.values()))} in {where.log_dir}.\n")
    return 0


def remove(context: Context, gone: list[logstore.Archive]) -> None:
    """Delete and say so. Raises OSError."""
    for archive in gone:
        archive.remove()
        context.text(f"Deleted {archive.directory}/@{archive.key} ({bytes_text(archive.size)}).\n")
    context.text(f"Removing freed {bytes_text(sum(a.size for a in gone))} in {len(gone)} files.\n")

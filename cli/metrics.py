"""metrics: all figures as OpenMetrics text, for Prometheus and its like."""

from __future__ import annotations

import sys

from unitd.cli.context import Context

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """There are none."""


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Print it, as UTF-8 whatever the terminal takes."""
    reply = context.call(verb)
    if context.json:
        print("unitctl: metrics have no JSON form; 'unitctl stats --json' has the figures of units", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(reply.out.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()
    return reply.exit_code

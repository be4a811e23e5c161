"""show-environment set-environment unset-environment import-environment: variables for all services."""

from __future__ import annotations

import os
import sys

from unitd.cli.context import Context

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Operands of the family."""
    if verb != "show-environment":
        parser.add_argument("units", nargs="*", metavar="NAME" if verb != "set-environment" else "NAME=VALUE")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Ask for it; import-environment sets what this process has."""
    words = list(args.units)
    if verb == "import-environment":
        for name in [word for word in words if word not in os.environ]:
            print(f"Environment variable ${name} not set, ignoring.", file=sys.stderr)
        verb, words = "set-environment", [f"{word}={os.environ[word]}" for word in words if word in os.environ]
    return context.say(context.call(verb, words))

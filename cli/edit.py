"""edit: run the editor on a drop-in of a unit, then have the manager read it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from unitd.cli.context import Context, unit_names

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of edit."""
    parser.add_argument("units", nargs="*", metavar="UNIT")
    parser.add_argument("--full", action="store_true", help="edit the unit file itself, not a drop-in")


def editor() -> list[str]:
    """$SYSTEMD_EDITOR, $EDITOR, $VISUAL or vi, split as a shell does."""
    for name in ("SYSTEMD_EDITOR", "EDITOR", "VISUAL"):
        if os.environ.get(name, "").strip():
            return shlex.split(os.environ[name])
    return ["vi"]


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Edit, drop what stayed empty, reload."""
    reply = context.call(verb, unit_names(args.units))
    if reply.exit_code:
        return reply.exit_code
    paths = [(row["fragment"] or row["path"]) if args.full else row["path"] for row in reply.data]
    try:
        for path in paths:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "a", encoding="utf-8"):
                pass
        code = subprocess.call([*editor(), *paths])
    except (OSError, ValueError) as error:
        print(f"cannot edit: {error}", file=sys.stderr)
        return 1
    finally:
        for path in paths:
            _tidy(path)
    if code:
        print(f"the editor ended with {code}; nothing was reloaded", file=sys.stderr)
        return 1
    return context.call("daemon-reload").exit_code


def _tidy(path: str) -> None:
    """Remove an empty drop-in and its empty directory."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            if file.read().strip():
                return
        if path.endswith(".d/override.conf"):
            os.unlink(path)
            os.rmdir(os.path.dirname(path))
    except OSError:
        pass

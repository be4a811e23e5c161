"""edit: run the editor on a drop-in of a unit; the manager puts it in place if the unit loads with it."""

from __future__ import annotations

import os
import sys

from unitd.cli.context import Context, unit_names
from unitd.cli.options import Usage

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse
    from typing import Any

_BELOW = "### Lines below this comment will be discarded"


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of edit."""
    parser.add_argument("units", nargs="*", metavar="UNIT")
    parser.add_argument("--full", action="store_true", help="edit the whole unit file (a copy of it, if it is the vendor's), not a drop-in")
    parser.add_argument("--runtime", action="store_true", help="until the end of unitd only")
    parser.add_argument("--drop-in", metavar="NAME", help="name of the drop-in (default: override.conf)")
    parser.add_argument("--stdin", action="store_true", help="take the new text from standard input")


def editor() -> list[str]:
    """$SYSTEMD_EDITOR, $EDITOR, $VISUAL or vi, split as a shell does."""
    import shlex

    for name in ("SYSTEMD_EDITOR", "EDITOR", "VISUAL"):
        if os.environ.get(name, "").strip():
            return shlex.split(os.environ[name])
    return ["vi"]


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Edit, and have the manager check and read it."""
    options = {"full": args.full, "runtime": args.runtime, "drop_in": args.drop_in}
    if args.stdin and len(args.units) != 1:
        raise Usage("--stdin is for one unit.")
    reply = context.call(verb, unit_names(args.units), **options)
    if reply.exit_code:
        return reply.exit_code
    code = 0
    for row in reply.data:
        try:
            text = sys.stdin.read() if args.stdin else edited(row, args.full)
        except (OSError, ValueError) as error:
            print(f"cannot edit: {error}", file=sys.stderr)
            return 1
        if text is None:
            print(f'Editing "{row["path"]}" canceled: nothing was changed.', file=sys.stderr)
            continue
        answer = context.call("edit-put", [row["unit"]], text=text, **options)
        if answer.exit_code:
            code = answer.exit_code
            print(f"The old text stays in force. What you wrote is in {keep(text, row['path'])}", file=sys.stderr)
        elif not context.quiet:
            print(f"Successfully installed edited file '{row['path']}'.", file=sys.stderr)
    return code


def template(row: dict[str, Any], full: bool) -> str:
    """What the editor is given: the text as it is, and the unit's other files to look at."""
    if full:
        return str(row["text"])
    head = f"### Editing {row['path']}\n### Anything between here and the comment below will become the contents of the drop-in file\n\n"
    below = "\n".join(f"### {other['path']}\n" + "".join(f"# {line}\n" for line in other["text"].splitlines()) for other in row["others"])
    return f"{head}{row['text']}\n\n{_BELOW}\n\n{below}"


def edited(row: dict[str, Any], full: bool) -> str | None:
    """The new text; None when nothing was changed or nothing is left. Raises OSError, ValueError."""
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory(prefix="unitctl-edit-") as directory:
        path = os.path.join(directory, os.path.basename(row["path"]))
        with open(path, "w", encoding="utf-8") as file:
            file.write(template(row, full))
        code = subprocess.call([*editor(), path])
        if code:
            raise ValueError(f"the editor ended with {code}; nothing was changed")
        with open(path, encoding="utf-8") as file:
            text = file.read()
    if not full:
        text = own_part(text)
    return None if not text.strip() or text.strip() == row["text"].strip() else text


def own_part(text: str) -> str:
    """The drop-in without the lines that `template` put around it."""
    lines = text.split(_BELOW)[0].splitlines()
    while lines and (lines[0].startswith(("### Editing ", "### Anything between ")) or not lines[0].strip()):
        lines.pop(0)
    return "\n".join(lines).rstrip() + "\n"


def keep(text: str, path: str) -> str:
    """Save what was written from being lost; where."""
    import tempfile

    fd, name = tempfile.mkstemp(prefix=os.path.basename(path) + ".", suffix=".rejected")
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    return name

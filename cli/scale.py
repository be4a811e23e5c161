"""scale: run so many numbered instances of a template."""

from __future__ import annotations

import re

from unitd.cli.context import Context, unit_names

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Operands of scale."""
    parser.add_argument("units", nargs="*", metavar="TEMPLATE=N")
    parser.add_argument("--no-block", action="store_true", help="do not wait for the jobs")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """One template after the other; `web@ 4` is taken for `web@=4`."""
    import sys

    code, words = 0, list(args.units)
    if len(words) == 2 and words[1].isdigit() and "=" not in words[0]:
        words = ["=".join(words)]
    for word in words:
        match = re.fullmatch(r"(.+)=([+-]?)(\d{1,5})", word)
        if match is None:
            print(f"unitctl: cannot read {word!r}, because scale takes TEMPLATE=N, such as worker@=4, worker@=+1 or worker@=-1", file=sys.stderr)
            return 1
        name, sign, number = match.groups()
        options = {"by": int(sign + number)} if sign else {"count": int(number)}
        reply = context.call(verb, unit_names([name]), no_block=args.no_block, **options)
        code = max(code, reply.exit_code)
        if context.json:
            context.dump(reply)
        elif reply.data:
            data = reply.data
            context.text(f"{data['template']}: {data['before']} -> {data['count']}\n")
    return code

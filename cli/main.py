"""Entry point of `unitctl`: finds the verb, reads its options, and turns what goes wrong into an exit code and a sentence."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from unitd.cli.context import Context
from unitd.cli.verbs import VERBS, load

#: Options whose value may be the next word; needed to find the verb among options.
VALUED = {
    "--bus", "-H", "--host", "-p", "-P", "--property", "-s", "--signal", "--kill-whom", "--kill-who", "--job-mode", "-t", "--type",
    "--state",
    "-n", "--lines", "--what", "-o", "--output",
}  # fmt: skip


class Usage(Exception):
    """The command line is wrong; exit code 1, as systemctl's."""


class Parser(argparse.ArgumentParser):
    """argparse that raises instead of exiting with 2."""

    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message}\nTry '{self.prog} --help'.")


def find_verb(argv: Sequence[str]) -> int | None:
    """Index of the verb: the first word that is no option and no option's value."""
    skip = False
    for index, word in enumerate(argv):
        if skip:
            skip = False
        elif word == "--":
            return index + 1 if index + 1 < len(argv) else None
        elif not word.startswith("-") or word == "-":
            return index
        else:
            skip = word in VALUED
    return None


def parser_for(verb: str) -> Parser:
    """The parser of one verb: the options of all verbs and its own."""
    _, operands, text = VERBS[verb]
    parser = Parser(
        prog=f"unitctl {verb}", usage=f"unitctl [OPTION...] {verb} {operands}".rstrip(), description=text + ".", allow_abbrev=False
    )
    common = parser.add_argument_group("options of all verbs")
    common.add_argument("--bus", metavar="ENDPOINT", help="bus of the manager (default: $UNITD_BUS, or the one in the runtime directory)")
    common.add_argument("--json", action="store_true", help="print data as JSON")
    common.add_argument("--no-pager", action="store_true", help="accepted; there is no pager")
    common.add_argument("-q", "--quiet", action="store_true", help="print less")
    load(verb).arguments(parser, verb)
    return parser


def parse(argv: Sequence[str]) -> tuple[str, argparse.Namespace]:
    """Verb and options. Raises Usage, SystemExit(0) for --help."""
    words = list(argv)
    operands: list[str] = []
    if "--" in words:
        cut = words.index("--")
        words, operands = words[:cut], words[cut + 1 :]
    index = find_verb(words)
    if index is None and operands:
        verb, operands = operands[0], operands[1:]
    elif index is None:
        verb = "version" if "--version" in words else "help" if {"-h", "--help"} & set(words) else "list-units"
        words = [w for w in words if w not in ("-h", "--help", "--version")]
    else:
        verb = words.pop(index)
    if verb not in VERBS:
        raise Usage(f"Unknown command verb {verb}.{_similar(verb)}")
    parser = parser_for(verb)
    args = parser.parse_intermixed_args(words)
    args.units = [*getattr(args, "units", []), *operands]
    shown = VERBS[verb][1]
    if shown and not shown.startswith("[") and not args.units:
        raise Usage(f"Too few arguments: unitctl {verb} {shown}")
    if not shown and args.units:
        raise Usage("Too many arguments.")
    return verb, args


def _similar(verb: str) -> str:
    import difflib

    close = difflib.get_close_matches(verb, VERBS, 1)
    return f" Did you mean {close[0]}?" if close else " 'unitctl help' lists the verbs."


def main(argv: Sequence[str] | None = None) -> int:
    """Run unitctl; the exit code."""
    try:
        code = _main(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # the reader has what it wanted; without this the interpreter complains at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _main(argv: Sequence[str]) -> int:
    from unitd.bus.client import BusError
    from unitd.bus.endpoint import BadEndpoint

    try:
        verb, args = parse(argv)
    except Usage as error:
        return complain(str(error))
    except SystemExit as end:
        return int(end.code or 0)
    context = Context(args.bus, args.json, args.quiet)
    try:
        return load(verb).run(context, verb, args)
    except BusError as error:
        return complain(f"{error}" + (f"; {error.hint}" if error.hint else ""))
    except BadEndpoint as error:
        return complain(str(error))
    finally:
        context.close()


def complain(message: str, code: int = 1) -> int:
    """Say on stderr what is wrong; the exit code."""
    sys.stdout.flush()
    print(f"unitctl: {message}" if not message[:1].isupper() else message, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

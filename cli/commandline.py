"""Any command line of `unitctl`: finds the verb, reads its options, and turns what goes wrong into an exit code and a sentence."""

from __future__ import annotations

import sys

from unitd.cli.context import Context
from unitd.cli.options import Options, Unclear, Usage, common_options
from unitd.cli.verbs import VERBS, load

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Sequence
    from typing import Any

#: Options whose value may be the next word; needed to find the verb among options.
VALUED = {
    "--seconds", "--minutes", "--width", "--height", "--sort",
    "--bus", "-H", "--host", "-p", "-P", "--property", "-s", "--signal", "--kill-whom", "--kill-who", "--job-mode", "-t", "--type",
    "--state",
    "-n", "--lines", "--what", "-o", "--output", "-S", "--since", "-U", "--until", "-g", "--grep", "--invocation", "-D", "--directory", "--vacuum-size",
    "--vacuum-time",
    "--preset-mode", "--legend", "--iterations", "--base-time",
}  # fmt: skip

#: What systemctl takes with any verb, and what says nothing to most.
IGNORED = ("-l", "--full", "--no-legend", "--plain", "-a", "--all", "--no-ask-password", "--no-wall", "--no-reload", "--no-warn", "--system")
#: Old names that systemctl still takes -> the verbs.
LEGACY = {
    "condrestart": "try-restart", "condstop": "stop", "condreload": "try-reload-or-restart", "force-reload": "try-reload-or-restart",
    "reload-or-try-restart": "try-reload-or-restart",
}  # fmt: skip


def find_verb(argv: Sequence[str], valued: Collection[str] = VALUED) -> int | None:
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
            skip = word in valued
    return None


def parse(argv: Sequence[str]) -> tuple[str, argparse.Namespace]:
    """Verb and options. Raises Usage, SystemExit(0) for --help."""
    words = list(argv)
    operands: list[str] = []
    index = find_verb(words)
    if index is not None and words[index] == "run":
        return _parse_run(words[:index], words[index + 1 :])
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
    verb = LEGACY.get(verb, verb)
    if verb not in VERBS:
        raise Usage(f"Unknown command verb {verb}.{_similar(verb)}")
    args = _options(verb, words)
    args.units = [*getattr(args, "units", []), *operands]
    shown = VERBS[verb][1]
    if shown and not shown.startswith("[") and not args.units:
        raise Usage(f"Too few arguments: unitctl {verb} {shown}")
    if not shown and args.units:
        raise Usage("Too many arguments.")
    return verb, args


def _parse_run(before: list[str], words: list[str]) -> tuple[str, argparse.Namespace]:
    """`run`: the first word that is no option begins the command, and its options are its own."""
    from unitd.cli.run import VALUED as valued

    cut = find_verb(words, valued)
    command = [] if cut is None else words[cut:]
    options = words[: len(words) - len(command)]
    args = _options("run", [*before, *(options[:-1] if options[-1:] == ["--"] else options)])
    args.units = command
    return "run", args


def _options(verb: str, words: Sequence[str]) -> argparse.Namespace:
    """Options of a verb. Raises Usage, SystemExit(0) for --help."""
    try:
        options: Any = Options()
        common_options(options)
        load(verb).arguments(options, verb)
        found: argparse.Namespace = options.parse(words)
    except Unclear:
        rest = [word for word in words if word not in IGNORED]
        if len(rest) < len(words) and not {"-h", "--help"} & set(words):
            try:
                ignoring: argparse.Namespace = options.parse(rest)
                return ignoring
            except Unclear:
                pass
        from unitd.cli.parser import parser_for

        return parser_for(verb).parse_intermixed_args(words)
    return found


def _similar(verb: str) -> str:
    import difflib

    close = difflib.get_close_matches(verb, VERBS, 1)
    return f" Did you mean {close[0]}?" if close else " 'unitctl help' lists the verbs."


def run(argv: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    try:
        verb, args = parse(argv)
    except Usage as error:
        return complain(str(error))
    except SystemExit as end:
        return int(end.code or 0)
    context = Context(args.bus, args.json, args.quiet)
    try:
        return load(verb).run(context, verb, args)
    except Usage as error:
        return complain(str(error))
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        return complain(message)
    finally:
        context.close()


def explain(error: Exception) -> str | None:
    """The sentence for what went wrong with the bus; None for anything else, which is a bug."""
    from unitd.bus.client import BusError
    from unitd.bus.endpoint import BadEndpoint

    if isinstance(error, BusError):
        return f"{error}" + (f"; {error.hint}" if error.hint else "")
    return str(error) if isinstance(error, BadEndpoint) else None


def complain(message: str, code: int = 1) -> int:
    """Say on stderr what is wrong; the exit code."""
    sys.stdout.flush()
    print(f"unitctl: {message}" if not message[:1].isupper() else message, file=sys.stderr)
    return code

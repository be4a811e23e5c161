"""Entry point of `unitctl`.

A plain command, a verb and the names of units, is sent and answered by `short`, with so few imports that it takes little longer than Python itself. All else,
and whatever goes wrong, is for `commandline`.
"""

import sys
from atexit import _ncallbacks
from posix import _exit

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn, TextIO

_JOB: "Mapping[str, Any]" = {"job_mode": "replace"}
#: Verb -> the options of its request when the command line has none. All of them may reach a manager twice, and need names of units.
PLAIN: "Mapping[str, Mapping[str, Any]]" = {
    "start": _JOB, "stop": _JOB, "restart": _JOB, "try-restart": _JOB, "reload": _JOB, "reload-or-restart": _JOB, "try-reload-or-restart": _JOB, "isolate": _JOB,
    "is-active": {}, "is-failed": {}, "is-enabled": {},
}  # fmt: skip

#: A name of these needs no second look; the whole rule is in `units.suffix`.
_PLAIN = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\@")


def short(words: "Sequence[str]") -> int | None:
    """Do a plain command; its exit code, or None when it is not one, or could not be sent and answered just so: nothing has been printed then."""
    bus, quiet, at = None, False, 0
    while at < len(words) and words[at] in ("--bus", "-q", "--quiet"):
        if words[at] == "--bus":
            bus = words[at + 1] if at + 1 < len(words) else "-"
            at += 1
        else:
            quiet = True
        at += 1
    verb, *names = words[at:] or [""]
    if verb not in PLAIN or not names or (quiet and PLAIN[verb]) or any(word.startswith("-") for word in (*names, bus or "")):
        return None
    if not all(name.endswith(".service") and len(name) > len(".service") and _PLAIN.issuperset(name) for name in names):
        from unitd.units.suffix import VALID, unit_names

        if not all(VALID.issuperset(name) or (verb != "is-enabled" and any(c in name for c in "*?[")) for name in names):
            return None  # it is said how such a name was read, which must not be said twice
        names = unit_names(names)
    from unitd.bus import endpoint, quick

    try:
        reply = quick.call(endpoint.here(bus), verb, names, PLAIN[verb])
    except (endpoint.BadEndpoint, OSError):
        return None
    if reply is None:
        return None
    _print(reply.err, sys.stderr)
    if not quiet:
        _print(reply.out, sys.stdout)
    return reply.exit_code


def _print(text: str, stream: "TextIO") -> None:
    if not text.isascii():
        from unitd.cli.context import printable

        text = printable(text, stream.encoding)
    if text:
        stream.write(text)


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run unitctl; the exit code."""
    words = sys.argv[1:] if argv is None else argv
    try:
        code = short(words)
        if code is None:
            from unitd.cli.commandline import run

            code = run(words)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 128 + 2  # SIGINT
    except BrokenPipeError:
        # the reader has what it wanted; without this the interpreter complains at exit
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def program() -> "NoReturn":
    """`unitctl` as a program. Where nothing waits for the interpreter to be taken down, no thread and nothing registered, it ends without that: it takes
    longer than all the rest of a plain command."""
    code = main()
    if "threading" in sys.modules or _ncallbacks():
        sys.exit(code)
    sys.stderr.flush()
    _exit(code)


if __name__ == "__main__":
    program()

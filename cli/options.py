"""Reads the options of a correct command line without argparse, whose import alone takes longer than most commands.

A verb declares its options as for argparse. What this does not know, or what looks wrong, raises `Unclear`: argparse then has a look at it, and has the words
for what is wrong and for --help.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_KNOWN = frozenset(("action", "nargs", "metavar", "default", "help", "choices", "type", "dest", "const"))


class Usage(Exception):
    """The command line is wrong; exit code 1, as systemctl's."""


class Unclear(Exception):
    """argparse has to look at it."""


class Namespace:
    """The options as attributes."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class Option:
    """One declared option."""

    def __init__(self, dest: str, action: str, settings: dict[str, Any]) -> None:
        self.dest, self.action, self.settings = dest, action, settings

    def value(self, text: str) -> Any:
        """The value as its type says. Raises Unclear."""
        try:
            value = self.settings.get("type", str)(text)
        except (ValueError, TypeError):
            raise Unclear from None
        choices = self.settings.get("choices")
        if choices is not None and value not in choices:
            raise Unclear
        return value


class Options:
    """Takes the place of an ArgumentParser where a verb declares its options."""

    def __init__(self) -> None:
        self._flags: dict[str, Option] = {}
        self._options: list[Option] = []
        self._operands: Option | None = None

    def add_argument(self, *flags: str, **settings: Any) -> None:
        """As argparse's, for the common actions. Raises Unclear for others."""
        action = settings.get("action", "store")
        if action not in ("store", "store_true", "append", "store_const") or not _KNOWN.issuperset(settings):
            raise Unclear
        if not flags[0].startswith("-"):
            if self._operands is not None or settings.get("nargs") not in ("*", None):
                raise Unclear
            self._operands = Option(flags[0], "store" if settings.get("nargs") is None else "append", settings)
            return
        if "nargs" in settings:
            raise Unclear
        long = [flag for flag in flags if flag.startswith("--")]
        dest = settings.get("dest") or (long or list(flags))[0].lstrip("-").replace("-", "_")
        option = Option(dest, action, settings)
        self._options.append(option)
        self._flags.update(dict.fromkeys(flags, option))

    def add_argument_group(self, *_: str) -> Options:
        """Groups matter for --help only."""
        return self

    def __getattr__(self, name: str) -> Any:
        raise Unclear  # some other method of ArgumentParser

    def parse(self, words: Sequence[str]) -> Namespace:
        """Options and operands in any order. Raises Unclear."""
        args = Namespace()
        for option in self._options:
            default = option.settings.get("default", False if option.action == "store_true" else None)
            setattr(args, option.dest, list(default) if isinstance(default, list) else default)
        operands: list[str] = []
        rest = list(reversed(words))
        while rest:
            word = rest.pop()
            if word.startswith("--"):
                flag, equals, text = word.partition("=")
                self._take(args, flag, text if equals else None, rest)
            elif word.startswith("-") and len(word) > 1:
                self._cluster(args, word, rest)
            else:
                operands.append(word)
        if self._operands is None:
            if operands:
                raise Unclear
        elif self._operands.action == "store":
            if len(operands) != 1:
                raise Unclear
            setattr(args, self._operands.dest, self._operands.value(operands[0]))
        else:
            setattr(args, self._operands.dest, [self._operands.value(word) for word in operands])
        return args

    def _cluster(self, args: Namespace, word: str, rest: list[str]) -> None:
        """`-q`, `-n5`, `-qn 5`."""
        for index, letter in enumerate(word[1:], 1):
            option = self._flags.get("-" + letter)
            if option is None:
                raise Unclear
            if option.action in ("store_true", "store_const"):
                self._take(args, "-" + letter, None, rest)
            else:
                text = word[index + 1 :]
                if text.startswith("="):
                    raise Unclear
                self._take(args, "-" + letter, text or None, rest)
                return

    def _take(self, args: Namespace, flag: str, text: str | None, rest: list[str]) -> None:
        option = self._flags.get(flag)
        if option is None:
            raise Unclear
        if option.action in ("store_true", "store_const"):
            if text is not None:
                raise Unclear
            setattr(args, option.dest, option.settings.get("const", True))
            return
        if text is None:
            if not rest or (rest[-1].startswith("-") and rest[-1] != "-"):
                raise Unclear
            text = rest.pop()
        value = option.value(text)
        setattr(args, option.dest, [*(getattr(args, option.dest) or []), value] if option.action == "append" else value)


def common_options(parser: Any) -> None:
    """Declare the options of all verbs; `parser` is an ArgumentParser, a group of one, or Options."""
    parser.add_argument("--bus", metavar="ENDPOINT", help="bus of the manager (default: $UNITD_BUS, or the one in the runtime directory)")
    parser.add_argument("--json", action="store_true", help="print data as JSON")
    parser.add_argument("--no-pager", action="store_true", help="accepted; there is no pager")
    parser.add_argument("-q", "--quiet", action="store_true", help="print less")

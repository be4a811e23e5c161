"""Collects the typed fields of one unit while its assignments come in: what the readers write to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from unitd.units import execline
from unitd.units.directives import Directive
from unitd.units.errors import Problem, ValueProblem
from unitd.units.specifiers import HostFacts, resolver


class Defaults(msgspec.Struct, frozen=True):
    """Manager-wide defaults (unitd.conf), in seconds."""

    timeout_start: float = 90.0
    timeout_stop: float = 90.0
    restart_sec: float = 0.1
    start_limit_interval: float = 10.0
    start_limit_burst: int = 5
    strict: bool = False  # sandbox = strict: a confining directive that cannot be honoured keeps the unit from loading


class Fatal(ValueProblem):
    """A value that keeps the unit from loading."""


class Builder:
    """Collects typed fields while assignments come in."""

    def __init__(self, name: str, fragment: str, host: HostFacts, defaults: Defaults) -> None:
        self.name, self.fragment, self.host, self.defaults = name, fragment, host, defaults
        self.fields: dict[str, Any] = {}
        self.settings: dict[tuple[str, str], list[str]] = {}
        self.deps: dict[str, list[str]] = {}
        self.problems: list[Problem] = []
        self.noted: dict[tuple[str, str], Problem] = {}  # what is in force and not acted on
        self.bad = False
        self.skipped = set[str]()  # drop-ins whose rest is ignored
        self.kept = ""  # what `settings` keeps of the line that is being read
        self.place = (fragment, 0)
        self.resolve = resolver(name, fragment, host, lambda: (self.settings.get(("Service", "Slice")) or [""])[-1])

    def warn(self, message: str, hint: str = "") -> None:
        """Note a warning at the line that is being read."""
        self.problems.append(Problem("warning", message, *self.place, hint))

    # -- storing

    def put(self, path: str, value: object) -> None:
        """Set the field at `path`, "service.restart" for instance."""
        self.fields[path] = value

    def reset(self, path: str) -> None:
        """Back to the default."""
        self.fields.pop(path, None)

    def append(self, path: str, *more: object) -> None:
        """Add to a field that is a list."""
        self.fields[path] = (*self.fields.get(path, ()), *more)

    def expanded(self, text: str) -> str:
        """Specifiers filled in; an unknown one is fatal (systemd.unit(5))."""
        try:
            return self.resolve(text)
        except ValueProblem as error:
            raise Fatal(str(error), error.hint) from None

    def words(self, name: str, value: str, escapes: execline.Escapes = "plain", *, quotes: bool = True) -> list[str]:
        """The words of a list, each with its specifiers filled in. What cannot be read is a warning, with what came before it taken (`execline.split`)."""
        try:
            words = execline.split(value, escapes, quotes=quotes)
        except execline.SplitProblem as error:
            self.warn(f"{name}=: {error}; the rest of the line is ignored", error.hint)
            words = error.words
        found = []
        for word in words:
            try:
                found.append(self.resolve(word.text))
            except ValueProblem as error:
                self.warn(f"{name}=: {error}; {word.raw!r} is ignored", error.hint)
        return found

    def soft(self, text: str) -> str:
        """Specifiers filled in; an unknown one drops the line only."""
        return self.resolve(text)


#: reader(builder, directive, value as written, argument of the kind): stores the value, or raises ValueProblem (the line is dropped) or Fatal.
Reader = Callable[[Builder, Directive, str, str], None]

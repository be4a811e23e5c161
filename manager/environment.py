"""Variables that `set-environment` gives to every service (systemctl(1), "Environment Commands"). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class BadVariable(ValueError):
    """What was given is no variable; the text says so in systemd's words."""


def changed(given: dict[str, str], words: Sequence[str]) -> dict[str, str]:
    """With these NAME=VALUE set. Raises BadVariable."""
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not _valid(name) or not _printable(value):
            raise BadVariable("Failed to set environment: Invalid environment assignments")
    return given | {word.partition("=")[0]: word.partition("=")[2] for word in words}


def without(given: dict[str, str], words: Sequence[str]) -> dict[str, str]:
    """Without these: NAME, or NAME=VALUE which goes only when it has that value. Raises BadVariable."""
    for word in words:
        if not _valid(word.partition("=")[0]):
            raise BadVariable("Failed to set environment: Invalid environment variable names or assignments")
    gone = set(words)
    return {name: value for name, value in given.items() if name not in gone and f"{name}={value}" not in gone}


def _valid(name: str) -> bool:
    return bool(_NAME.fullmatch(name))


def _printable(value: str) -> bool:
    """No control characters but tab and newline."""
    return all(c >= " " or c in "\t\n" for c in value) and "\x7f" not in value

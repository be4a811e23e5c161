"""Values as `systemctl show` prints them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

_QUOTED = set(" \t\n\r\"\\`$*?['()<>|&;!")
_ESCAPED = set('"\\`$')


def quote(word: str) -> str:
    """A word as systemd shows it in a list: in double quotes where a shell would need them."""
    if word and not _QUOTED & set(word):
        return word
    return '"' + "".join("\\" + c if c in _ESCAPED else c for c in word) + '"'


def words(many: Iterable[str]) -> str:
    return " ".join(quote(word) for word in many)


def yes(value: bool) -> str:
    return "yes" if value else "no"


def infinite(value: int | None) -> str:
    return "infinity" if value is None else str(value)

"""Values as `systemctl show` prints them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

_QUOTED = set(" \t\n\r\"\\`$*?['()<>|&;!")
_LETTERS = {"\a": "a", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", "\v": "v"}
_ESCAPED = set('"\\`$')


def quote(word: str) -> str:
    """A word as systemd shows it in a list: in double quotes where a shell would need them."""
    if word and not _QUOTED & set(word) and not any(c < " " or c == "\x7f" for c in word):
        return word
    return '"' + "".join("\\" + c if c in _ESCAPED else _control(c) if c < " " or c == "\x7f" else c for c in word) + '"'


def _control(char: str) -> str:
    """A control character as C writes it."""
    return "\\" + _LETTERS[char] if char in _LETTERS else f"\\{ord(char):03o}"


def words(many: Iterable[str]) -> str:
    return " ".join(quote(word) for word in many)


def yes(value: bool) -> str:
    return "yes" if value else "no"


def infinite(value: int | None) -> str:
    return "infinity" if value is None else str(value)

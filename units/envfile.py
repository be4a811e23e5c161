"""EnvironmentFile= grammar: shell-like, not shell (systemd.exec(5), case env-007). Pure."""

from __future__ import annotations

import re

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NEWLINES = "\n\r"
_BLANKS = " \t\n\r"
#: What a backslash takes its meaning from inside double quotes.
_ESCAPABLE = '"\\`$'


def parse_env_file(text: str) -> list[tuple[str, str]]:
    """Assignments in order, later ones win. Lines that are none are skipped, as systemd does.

    A value may be put together from quoted parts; what stands between a closing quote and the next part is no more than a separator.
    """
    found: list[tuple[str, str]] = []
    i, n = 0, len(text)
    while i < n:
        if text[i] in _BLANKS:
            i += 1
        elif text[i] in "#;":
            i = _skip_comment(text, i)
        else:
            start = i
            while i < n and text[i] not in "=\n\r":
                i += 1
            if i < n and text[i] == "=":
                value, i = _value(text, i + 1)
                key = text[start : text.index("=", start)].rstrip(_BLANKS)
                if _KEY.fullmatch(key):
                    found.append((key, value))
    return found


def _skip_comment(text: str, i: int) -> int:
    while i < len(text) and text[i] not in _NEWLINES:
        i += 2 if text[i] == "\\" else 1  # a backslash continues a comment too
    return i + 1


def _value(text: str, i: int) -> tuple[str, int]:
    """The value from `i` on and where it ends. A quote opens only where nothing but blanks and quoted parts came before."""
    out: list[str] = []
    n = len(text)
    keep = 0  # blanks after this many characters are dropped at the end
    bare = False
    while i < n and text[i] not in _NEWLINES:
        char = text[i]
        if not bare and char in "\"'":
            i = _quoted(text, i, out)
            keep = len(out)
            continue
        if char == "\\":
            if i + 1 < n and text[i + 1] not in _NEWLINES:
                out.append(text[i + 1])
            bare, keep = True, len(out)
            i += 2
            continue
        if char not in _BLANKS:
            out.append(char)
            bare, keep = True, len(out)
        elif bare:
            out.append(char)
        i += 1
    return "".join(out[:keep]), i + 1


def _quoted(text: str, i: int, out: list[str]) -> int:
    """The part in quotes that opens at `i`; where it ends."""
    quote, n = text[i], len(text)
    i += 1
    while i < n and text[i] != quote:
        if text[i] == "\\" and quote == '"':
            if i + 1 < n:
                if text[i + 1] in _ESCAPABLE:
                    out.append(text[i + 1])
                elif text[i + 1] != "\n":
                    out.append("\\" + text[i + 1])
            i += 2
        else:
            out.append(text[i])
            i += 1
    return i + 1

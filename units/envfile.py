"""EnvironmentFile= grammar: shell-like, not shell (systemd.exec(5), case env-007). Pure."""

from __future__ import annotations

import re

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_env_file(text: str) -> list[tuple[str, str]]:
    """Assignments in order, later ones win. Lines that are none are skipped, as systemd does."""
    found: list[tuple[str, str]] = []
    i, n = 0, len(text)
    while i < n:
        while i < n and text[i] in " \t\r\n":
            i += 1
        if i < n and text[i] in "#;":
            i = _skip_comment(text, i)
            continue
        equals = i
        while equals < n and text[equals] not in "=\n":
            equals += 1
        if equals >= n or text[equals] == "\n":
            i = equals + 1
            continue
        key = text[i:equals].strip()
        value, i = _value(text, equals + 1)
        if _KEY.fullmatch(key):
            found.append((key, value))
    return found


def _skip_comment(text: str, i: int) -> int:
    while i < len(text) and text[i] != "\n":
        i += 2 if text[i] == "\\" else 1  # a backslash continues a comment too
    return i + 1


def _value(text: str, i: int) -> tuple[str, int]:
    out: list[str] = []
    n = len(text)
    while i < n and text[i] in " \t":
        i += 1
    keep = 0  # trailing blanks after this length are dropped
    while i < n and text[i] != "\n":
        char = text[i]
        if char in "\"'" and not out:
            i += 1
            while i < n and text[i] != char:
                if text[i] == "\\" and i + 1 < n and char == '"':
                    if text[i + 1] in '"\\`$':
                        out.append(text[i + 1])
                    elif text[i + 1] != "\n":
                        out.append("\\" + text[i + 1])
                    i += 2
                else:
                    out.append(text[i])
                    i += 1
            i += 1
            keep = len(out)
        elif char == "\\" and i + 1 < n:
            if text[i + 1] != "\n":
                out.append(text[i + 1])
                keep = len(out)
            i += 2
        else:
            out.append(char)
            if char not in " \t\r":
                keep = len(out)
            i += 1
    return "".join(out[:keep]), i + 1

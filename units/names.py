"""Unit names: validity, templates and instances, escaping (systemd.unit(5), STRING ESCAPING FOR INCLUSION IN UNIT NAMES)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

from unitd.units.errors import ValueProblem
from unitd.units.suffix import TYPES as TYPES
from unitd.units.suffix import with_suffix as with_suffix

NAME_MAX = 255

_VALID = re.compile(r"[A-Za-z0-9:_.\\@-]")  # one character that may stand in a unit name

_SAFE = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:_.")
_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]+\Z")
_PREFIX = re.compile(r"[A-Za-z0-9:_.\\-]+\Z")


def is_valid_name(name: str, template: bool = True) -> bool:
    """True for a full unit name with a known suffix; with template=False a bare template ("a@.service") is refused."""
    if len(name) > NAME_MAX or not _NAME.match(name):
        return False
    stem, dot, suffix = name.rpartition(".")
    if not dot or suffix not in TYPES:
        return False
    prefix, at, instance = stem.partition("@")
    if not prefix or not _PREFIX.match(prefix):
        return False
    return template or not at or bool(instance)


def split(name: str) -> tuple[str, str | None, str]:
    """Split a unit name into prefix, instance and suffix without the dot. Instance is None without "@", "" for a template."""
    stem, dot, suffix = name.rpartition(".")
    if not dot:
        stem, suffix = name, ""
    prefix, at, instance = stem.partition("@")
    return prefix, instance if at else None, suffix


def template_of(name: str) -> str | None:
    """"a@b.service" -> "a@.service"; None for a name that is no instance."""
    prefix, instance, suffix = split(name)
    return f"{prefix}@.{suffix}" if instance else None


def instance_name(template: str, instance: str) -> str:
    r"""Fill a template in: ("a@.service", "b c") -> "a@b\x20c.service"; what is escaped already stays. Raises ValueProblem for no template."""
    prefix, old, suffix = split(template)
    if old != "":
        raise ValueProblem(f"{template} is not a template", f"a template is named {prefix}@.{suffix}")
    return f"{prefix}@{''.join(c if _VALID.fullmatch(c) else _hex(c) for c in instance)}.{suffix}"


def instance_for(name: str, unit: str) -> str:
    """A bare template that `unit` depends on stands for the instance of unit's own instance, or of its prefix (systemd.unit(5)); other names stay."""
    if split(name)[1] != "":
        return name
    prefix, instance, _suffix = split(unit)
    return instance_name(name, instance or prefix)


def _hex(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def escape(text: str) -> str:
    """Escape a string for use in a unit name (systemd-escape)."""
    out = []
    for at, char in enumerate(text):
        if char == "/":
            out.append("-")
        elif char in _SAFE and not (at == 0 and char == "."):
            out.append(char)
        else:
            out.append(_hex(char))
    return "".join(out)


def unescape(text: str) -> str:
    r"""Undo `escape`. Raises ValueProblem for anything after a backslash that is not \xHH."""
    out = bytearray()
    at = 0
    while at < len(text):
        char = text[at]
        if char == "-":
            out += b"/"
        elif char == "\\":
            digits = text[at + 2 : at + 4]
            if text[at + 1 : at + 2] != "x" or not re.fullmatch("[0-9a-fA-F]{2}", digits):
                raise ValueProblem(f"cannot unescape {text!r}", "a backslash must be followed by x and two hexadecimal digits")
            out.append(int(digits, 16))
            at += 3
        else:
            out += char.encode("utf-8", "surrogateescape")
        at += 1
    return out.decode("utf-8", "surrogateescape")


def escape_path(path: str) -> str:
    """Escape a path (systemd-escape --path). Raises ValueProblem for "." and anything with ".."."""
    parts = [part for part in path.split("/") if part and part != "."]
    if ".." in parts or (not parts and path.startswith(".")) or any(map(_too_long, parts)):
        raise ValueProblem(f"cannot escape the path {path!r}", "use a path without . and ..")
    return escape("/".join(parts)) or "-"


def _too_long(part: str) -> bool:
    return len(part.encode("utf-8", "surrogateescape")) > NAME_MAX


def unescape_path(text: str) -> str:
    """Undo `escape_path`; the result begins with "/". Raises ValueProblem."""
    if text == "-":
        return "/"
    path = unescape(text)
    parts = path.split("/")
    if not text or "" in parts or "." in parts or ".." in parts or any(map(_too_long, parts)):
        raise ValueProblem(f"cannot turn {text!r} into a path", "write it the way systemd-escape --path does")
    return "/" + path


def fill(template: str, text: str) -> str:
    r"""The instance of a template for any text (systemd-escape --template): ("a@.service", "b/c-d") -> "a@b-c\x2dd.service". Raises ValueProblem."""
    name = instance_name(template, escape(text))
    if not text or not is_valid_name(name):
        raise ValueProblem(f"cannot fill {template} in with {text!r}", "an instance has a name, and the whole no more than 255 characters")
    return name


def is_glob(text: str) -> bool:
    """True if the text holds a shell pattern."""
    return any(char in text for char in "*?[")


def match(pattern: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that match a shell pattern, sorted; the pattern is tried with .service too when it has no suffix."""
    patterns = [pattern]
    if pattern.rpartition(".")[2] not in TYPES and not pattern.endswith("*"):
        patterns.append(pattern + ".service")
    return sorted(name for name in names if any(fnmatch.fnmatchcase(name, each) for each in patterns))


def mangle(text: str) -> str:
    """What a user typed -> a unit name (systemd-escape --mangle); paths are those of mounts and devices. Raises ValueProblem for what cannot be one."""
    if text.startswith("/") and ".." not in text.split("/"):
        full = escape_path(text) + (".device" if text.startswith(("/dev/", "/sys/")) and text.strip("/") not in ("dev", "sys") else ".mount")
    else:
        name = "".join("-" if c == "/" else c if _VALID.fullmatch(c) else _hex(c) for c in text)
        full = name if name.rpartition(".")[2] in TYPES and name.rpartition(".")[0] else name + ".service"
    if not is_valid_name(full):
        raise ValueProblem(f"cannot make a unit name of {text!r}")
    return full

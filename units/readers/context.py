"""Readers of what a process is given before it runs (systemd.exec(5))."""

from __future__ import annotations

import base64
import re

import msgspec

from unitd.units import execline, values
from unitd.units.builder import Builder, Fatal, Reader
from unitd.units.directives import Directive
from unitd.units.errors import ValueProblem
from unitd.units.model import ExecDirectory
from unitd.units.numbers import SECURE_BITS

STDOUT = ("inherit", "null", "tty", "journal", "kmsg", "journal+console", "kmsg+console", "syslog", "syslog+console", "socket")
STDIN = ("null", "tty", "tty-force", "tty-fail", "data", "socket")


def _environment(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
        return
    for word, _special in execline.split_words(value):
        key, equals, text = b.soft(word).partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            b.warn(f"Environment=: {word!r} is no assignment and is ignored", "write NAME=value, quoted as a whole if it has blanks")
        else:
            b.append(d.field, (key, text))


def _env_file(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
        return
    optional = value.startswith("-")
    path = b.soft(value[1:] if optional else value)
    if not path.startswith("/"):
        raise ValueProblem(f"cannot read {path!r}, because the path is not absolute", "write an absolute path")
    b.append(d.field, (path, optional))


def _workdir(b: Builder, d: Directive, value: str, _: str) -> None:
    optional = value.startswith("-")
    path = b.expanded(value[1:] if optional else value)
    if path and path != "~" and not path.startswith("/"):
        raise Fatal(f"cannot use {path!r}, because it is not absolute", "write an absolute path or ~")
    b.put("exec.working_directory", path)
    b.put("exec.working_directory_optional", optional)


def _stdio(allowed: tuple[str, ...], prefixes: tuple[str, ...]) -> Reader:
    def reader(b: Builder, d: Directive, value: str, _: str) -> None:
        text = b.soft(value)
        kind, colon, rest = text.partition(":")
        if text == "":
            b.reset(d.field)
        elif colon and kind in prefixes and (kind == "fd" or rest.startswith("/")):
            b.put(d.field, text)
        elif text == "fd":
            b.put(d.field, "fd:" + {"standard_input": "stdin", "standard_output": "stdout"}.get(d.field.rpartition(".")[2], "stderr"))
        elif text in allowed:
            b.put(d.field, text.replace("syslog", "journal"))
        else:
            raise ValueProblem(f"cannot take {text!r}", "one of " + ", ".join((*allowed, *(p + ":..." for p in prefixes))))

    return reader


def _input_text(b: Builder, d: Directive, value: str, _: str) -> None:
    words = execline.split_words('"' + value.replace('"', '\\"') + '"', relaxed=True)
    b.put(d.field, b.fields.get(d.field, b"") + b.soft("".join(w for w, _s in words)).encode("utf-8", "surrogateescape") + b"\n" if value else b"")
    if value:
        b.fields.setdefault("exec.standard_input", "data")


def _input_data(b: Builder, d: Directive, value: str, _: str) -> None:
    try:
        b.put(d.field, b.fields.get(d.field, b"") + base64.b64decode(value, validate=False) if value else b"")
    except ValueError as error:
        raise ValueProblem(f"cannot read base64: {error}") from None
    if value:
        b.fields.setdefault("exec.standard_input", "data")


def _directories(b: Builder, d: Directive, value: str, _: str) -> None:
    old: ExecDirectory = b.fields.get(d.field, ExecDirectory())
    if value == "":
        b.put(d.field, ExecDirectory((), old.mode))
        return
    found, links = list(old.names), list(old.links)
    for word, _special in execline.split_words(value):
        name, _colon, link = (part.rstrip("/") for part in b.soft(word).partition(":"))
        if not all(_plain(part) for part in (name, link) if part or part is name):
            b.warn(f"{d.name}=: cannot make {word!r}, because it is not a plain relative path; it is ignored", "write a name such as myapp")
            continue
        if link and d.name == "ConfigurationDirectory":
            b.warn(f"{d.name}=: {word!r} asks for a symlink, which there is none of for this directory; it is left out")
        elif link:
            links.append((name, link))
        if name not in found:
            found.append(name)
    b.put(d.field, ExecDirectory(tuple(found), old.mode, tuple(links)))


def _plain(path: str) -> bool:
    return bool(path) and not path.startswith("/") and ".." not in path.split("/")


def _dir_mode(b: Builder, d: Directive, value: str, _: str) -> None:
    old: ExecDirectory = b.fields.get(d.field, ExecDirectory())
    b.put(d.field, msgspec.structs.replace(old, mode=values.parse_mode(value) if value else 0o755))


def _limit(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.reset(d.field)
    else:
        b.put(d.field, values.parse_limit(d.name.removeprefix("Limit"), value))


def _capabilities(b: Builder, d: Directive, value: str, _: str) -> None:
    every = frozenset(range(len(values.CAPABILITIES)))
    old: frozenset[int] | None = b.fields.get(d.field)
    if value in ("", "~"):
        b.put(d.field, frozenset() if value == "" else every)
        return
    invert = value.startswith("~")
    found = set[int]()
    for word in value.lstrip("~").split():
        try:
            found.add(values.parse_capability(word))
        except ValueProblem as error:
            b.warn(f"{d.name}=: {error}; it is ignored", error.hint)
    if invert:
        b.put(d.field, (every if old is None else old) - found)
    else:
        b.put(d.field, frozenset(found) | (old or frozenset()))


def _cpu_set(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.reset(d.field)
    else:
        b.put(d.field, b.fields.get(d.field, frozenset()) | values.parse_cpu_set(value))


def _user(b: Builder, d: Directive, value: str, _: str) -> None:
    """A name or number; what can be neither keeps the unit from loading, or it would run as somebody else (User= in systemd.exec(5))."""
    b.put(d.field, _checked_user(b, value) if value else "")


def _users(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
    else:
        b.append(d.field, *(_checked_user(b, word) for word, _special in execline.split_words(value)))


def _checked_user(b: Builder, value: str) -> str:
    name = b.expanded(value)
    if not name or len(name) > 255 or name in (".", "..") or name[0] == "-" or any(c in ":/" or c.isspace() or not c.isprintable() for c in name):
        raise Fatal(f"cannot take {name!r}, because it is neither a user's or group's name nor a number", "write a name such as www-data")
    return name


def _secure_bits(b: Builder, d: Directive, value: str, _: str) -> None:
    bits = b.fields.get(d.field, 0) if value else 0
    for word in value.split():
        if word not in SECURE_BITS:
            raise ValueProblem(f"cannot take {word!r}", "one of " + ", ".join(SECURE_BITS))
        bits |= SECURE_BITS[word]
    b.put(d.field, bits)


def _credential(b: Builder, d: Directive, value: str, _: str) -> None:
    """`ID:VALUE` with C escapes for SetCredential=, `ID[:PATH]` for LoadCredential=."""
    if value == "":
        b.put(d.field, ())
        return
    name, colon, rest = value.partition(":")
    name = b.soft(name)
    if not re.fullmatch(r"[A-Za-z0-9_.@+-]{1,255}", name) or name in (".", ".."):
        raise ValueProblem(f"cannot name a credential {name!r}", "letters, digits, _ . @ + -")
    if d.name == "LoadCredential":
        path = b.soft(rest)
        if path and not path.startswith("/") and not _plain(path):
            raise ValueProblem(f"cannot load {path!r}", "write an absolute path, or a plain name in a credential store")
        b.append(d.field, (name, path))
        return
    if not colon:
        raise ValueProblem("cannot set a credential without a value", "write NAME:VALUE")
    text = "".join(word for word, _special in execline.split_words('"' + rest.replace('"', '\\"') + '"', relaxed=True))
    b.append(d.field, (name, b.soft(text).encode("utf-8", "surrogateescape")))


READERS: dict[str, Reader] = {
    "environment": _environment,
    "envfile": _env_file,
    "workdir": _workdir,
    "stdout": _stdio(STDOUT, ("file", "append", "truncate", "fd")),
    "stdin": _stdio(STDIN, ("file", "fd")),
    "inputtext": _input_text,
    "inputdata": _input_data,
    "directories": _directories,
    "dirmode": _dir_mode,
    "user": _user,
    "users": _users,
    "securebits": _secure_bits,
    "credential": _credential,
    "limit": _limit,
    "capabilities": _capabilities,
    "cpuset": _cpu_set,
}

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
    for word in b.words(d.name, value, "strict"):
        key, equals, text = word.partition("=")
        if not equals or not values.is_env_name(key):
            b.warn(f"Environment=: {word!r} is no assignment and is ignored", "write NAME=value, quoted as a whole if it has blanks")
        else:
            b.append(d.field, (key, text))


def _env_file(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
        return
    optional = value.startswith("-")
    b.append(d.field, (values.parse_path(b.soft(value[1:] if optional else value)), optional))


def _workdir(b: Builder, d: Directive, value: str, _: str) -> None:
    optional = value.startswith("-")
    path = value[1:] if optional else value
    try:
        path = path if path == "~" or not value else values.parse_path(b.resolve(path))
    except ValueProblem as error:
        if optional:
            raise
        raise Fatal(str(error), error.hint) from None
    b.put("exec.working_directory", path)
    b.put("exec.working_directory_optional", optional)


def _stdio(allowed: tuple[str, ...], prefixes: tuple[str, ...]) -> Reader:
    def reader(b: Builder, d: Directive, value: str, _: str) -> None:
        text = b.soft(value)
        kind, colon, rest = text.partition(":")
        if colon and kind in prefixes and kind == "fd":
            b.put(d.field, text)
        elif colon and kind in prefixes:
            b.put(d.field, f"{kind}:{values.parse_path(rest)}")
        elif text == "fd":
            b.put(d.field, "fd:" + {"standard_input": "stdin", "standard_output": "stdout"}.get(d.field.rpartition(".")[2], "stderr"))
        elif text in allowed:
            b.put(d.field, text.replace("syslog", "journal"))
        else:
            raise ValueProblem(f"cannot take {text!r}", "one of " + ", ".join((*allowed, *(p + ":..." for p in prefixes))))

    return reader


def _input_text(b: Builder, d: Directive, value: str, _: str) -> None:
    words = execline.split('"' + value.replace('"', '\\"') + '"', relaxed=True)
    b.put(d.field, b.fields.get(d.field, b"") + b.soft("".join(w.text for w in words)).encode("utf-8", "surrogateescape") + b"\n" if value else b"")


def _input_data(b: Builder, d: Directive, value: str, _: str) -> None:
    try:
        b.put(d.field, b.fields.get(d.field, b"") + base64.b64decode("".join(value.split()), validate=True) if value else b"")
    except ValueError as error:
        raise ValueProblem(f"cannot read base64: {error}") from None


def _directories(b: Builder, d: Directive, value: str, _: str) -> None:
    old: ExecDirectory = b.fields.get(d.field, ExecDirectory())
    if value == "":
        b.put(d.field, ExecDirectory((), old.mode))
        return
    found, links = list(old.names), list(old.links)
    for word in b.words(d.name, value, "keep"):
        try:
            name, link = _directory(word)
        except ValueProblem as error:
            b.warn(f"{d.name}=: {error}; it is ignored", error.hint)
            continue
        if link and d.name == "ConfigurationDirectory":
            b.warn(f"{d.name}=: {word!r} asks for a symlink, which there is none of for this directory; it is ignored")
            continue
        if link:
            links.append((name, link))
        if name not in found:
            found.append(name)
    b.put(d.field, ExecDirectory(tuple(sorted(found, key=lambda path: path.split("/"))), old.mode, tuple(links)))


def _directory(word: str) -> tuple[str, str]:
    r"""NAME or NAME:LINK, with \: for a colon that is part of a name."""
    parts = [values.simplify_path(part.text) for part in execline.split(word, "strict", quotes=False, separators=":")] or [""]
    name, link = parts[0], ":".join(parts[1:])
    for part in (name, link) if link else (name,):
        if not part or not _plain(part) or part.split("/")[0] == "private":
            raise ValueProblem(f"cannot make {word!r}, because it is not a plain relative path", "write a name such as myapp")
    return name, link


def _plain(path: str) -> bool:
    return bool(path) and not path.startswith("/") and ".." not in path.split("/")


def _dir_mode(b: Builder, d: Directive, value: str, _: str) -> None:
    old: ExecDirectory = b.fields.get(d.field, ExecDirectory())
    b.put(d.field, msgspec.structs.replace(old, mode=values.parse_mode(value)))


def _limit(b: Builder, d: Directive, value: str, _: str) -> None:
    b.put(d.field, values.parse_limit(d.name.removeprefix("Limit"), value))


def _capabilities(b: Builder, d: Directive, value: str, _: str) -> None:
    """As config_parse_capability_set(): a line without a known capability, and the first one, replace the set; others add to it, or with ~ take away."""
    every = frozenset(range(len(values.CAPABILITIES)))
    initial = every if d.name == "CapabilityBoundingSet" else frozenset[int]()
    old: frozenset[int] = b.fields.get(d.field, initial)
    invert = value.startswith("~")
    found = set[int]()
    for word in b.words(d.name, value[1:] if invert else value):
        try:
            found.add(values.parse_capability(word))
        except ValueProblem as error:
            b.warn(f"{d.name}=: {error}; it is ignored", error.hint)
    if not found or old == initial:
        b.put(d.field, every - found if invert else frozenset(found))
    else:
        b.put(d.field, old - found if invert else old | found)


def _cpu_set(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.reset(d.field)
    else:
        b.put(d.field, b.fields.get(d.field, frozenset()) | values.parse_cpu_set(" ".join(b.words(d.name, value))))


def _user(b: Builder, d: Directive, value: str, _: str) -> None:
    """A name or number; what can be neither keeps the unit from loading, or it would run as somebody else (User= in systemd.exec(5))."""
    b.put(d.field, _checked_user(b, value) if value else "")


def _users(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
    else:
        b.append(d.field, *(_checked_user(b, word.text) for word in execline.split(value, "plain", quotes=False)))


def _checked_user(b: Builder, value: str) -> str:
    """A name as systemd takes it from a unit file (valid_user_group_name() in its relaxed mode), or a number."""
    name = b.expanded(value)
    digits = name.isascii() and name.lstrip("-").isdigit()
    if digits and (name[0] == "-" or (name[0] == "0" and name != "0") or int(name) in (0xFFFF, 0xFFFFFFFF) or int(name) > 0xFFFFFFFF):
        raise Fatal(f"cannot take {name}, because it is no number of a user or group", "write a number below 4294967295, and not 65535")
    if not name or len(name) > 255 or name in (".", "..") or name != name.strip() or any(c in ":/" or not c.isprintable() for c in name):
        raise Fatal(f"cannot take {name!r}, because it is neither a user's or group's name nor a number", "write a name such as www-data")
    return name


def _secure_bits(b: Builder, d: Directive, value: str, _: str) -> None:
    bits = 0
    for word in b.words(d.name, value):
        if word in SECURE_BITS:
            bits |= SECURE_BITS[word]
        else:
            b.warn(f"{d.name}=: cannot take {word!r}; it is ignored", "one of " + ", ".join(SECURE_BITS))
    b.put(d.field, bits)


def _credential(b: Builder, d: Directive, value: str, _: str) -> None:
    """`ID:VALUE` with C escapes for SetCredential=, `ID[:PATH]` for LoadCredential=."""
    if value == "":
        b.put(d.field, ())
        return
    name, colon, rest = value.partition(":")
    name = b.soft(name)
    if not re.fullmatch(r"[ !-.0-9;-~]{1,255}", name) or name in (".", ".."):
        raise ValueProblem(f"cannot name a credential {name!r}", "up to 255 printable ASCII characters without : and /")
    if d.name == "LoadCredential":
        path = b.soft(rest)
        if path and not path.startswith("/") and not _plain(path):
            raise ValueProblem(f"cannot load {path!r}", "write an absolute path, or a plain name in a credential store")
        b.append(d.field, (name, path))
        return
    if not colon:
        raise ValueProblem("cannot set a credential without a value", "write NAME:VALUE")
    text = "".join(word.text for word in execline.split('"' + rest.replace('"', '\\"') + '"', relaxed=True))
    b.put(d.field, tuple(pair for pair in b.fields.get(d.field, ()) if pair[0] != name))
    if text:  # without one it takes back what a line before gave
        b.append(d.field, (name, text.encode("utf-8", "surrogateescape")))


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

"""Readers of values that add up over several assignments; an empty one starts again."""

from __future__ import annotations

import re

from unitd.units import execline, names, values
from unitd.units.builder import Builder, Fatal, Reader
from unitd.units.directives import Directive
from unitd.units.errors import ValueProblem
from unitd.units.model import Condition, ExitStatusSet


def _command(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
        return
    try:
        b.append(d.field, *execline.parse_command_line(value, b.expanded))
    except execline.SplitProblem as error:
        b.append(d.field, *error.commands)
        raise
    except ValueProblem as error:
        raise Fatal(str(error), error.hint) from None


def _exits(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.reset(d.field)
        return
    old: ExitStatusSet = b.fields.get(d.field, ExitStatusSet())
    codes, signals = set(old.codes), set(old.signals)
    for word in value.split():
        try:
            codes.add(values.parse_exit_code(word))
        except ValueProblem:
            try:
                signals.add(values.parse_signal(word))
            except ValueProblem:
                b.warn(f"{d.name}=: cannot read {word!r} as an exit status or signal; it is ignored", "write 0-255, a name such as TEMPFAIL, or a signal")
    b.put(d.field, ExitStatusSet(frozenset(codes), frozenset(signals)))


def _deps(b: Builder, d: Directive, value: str, _: str) -> None:
    have = b.deps.setdefault(d.name, [])
    for name in b.words(d.name, value, "keep", quotes=False):
        if not names.is_valid_name(name):
            b.warn(f"{d.name}=: cannot take {name!r}, because it is no unit name; it is ignored", "unit names end in .service, .target, ...")
            continue
        name = names.instance_for(name, b.name)
        if name not in have and not (name == b.name and d.name in ("After", "Before")):
            have.append(name)


def _condition(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
        return
    trigger = value.startswith("|")
    rest = value[1:] if trigger else value
    negate = rest.startswith("!")
    argument = b.soft(rest[1:] if negate else rest)
    kind = d.name.removeprefix("Condition").removeprefix("Assert")
    if kind.startswith(("Path", "File", "Directory")) and not argument.startswith("/"):
        raise ValueProblem(f"cannot test {argument!r}, because the path is not absolute", "write an absolute path")
    b.append(d.field, Condition(kind, argument, trigger, negate))


def _words(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
    else:
        b.append(d.field, *b.words(d.name, value))


def _env_names(b: Builder, d: Directive, value: str, _: str) -> None:
    """Names of variables; UnsetEnvironment= takes assignments, too."""
    unset = d.name == "UnsetEnvironment"
    have = b.fields.get(d.field, ()) if value else ()
    for word in b.words(d.name, value, "strict" if unset else "plain"):
        if not values.is_env_name(word.partition("=")[0] if unset else word):
            b.warn(f"{d.name}=: {word!r} is no name of a variable and is ignored", "letters, digits and _")
        elif word not in have:
            have = (*have, word)
    b.put(d.field, have)


def _names(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
    else:
        b.append(d.field, *(names.with_suffix(word) for word in b.words(d.name, value)))


def _mounts(b: Builder, d: Directive, value: str, _: str) -> None:
    for word in b.words(d.name, value):
        try:
            path = values.parse_path(word)
            if path not in b.fields.get(d.field, ()):
                b.append(d.field, path)
        except ValueProblem as error:
            b.warn(f"{d.name}=: {error}; it is ignored", error.hint)


def _documentation(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
        return
    for word in b.words(d.name, value, "keep"):
        if word.isascii() and re.match(r"(https?://|file:/|info:|man:).+", word):
            b.append(d.field, word)
        else:
            b.warn(f"Documentation=: {word!r} is no URI and is ignored", "write https://..., file:/..., info:... or man:...")


def _colon_paths(b: Builder, d: Directive, value: str, _: str) -> None:
    """All of a line, or nothing of it."""
    if value == "":
        b.put(d.field, ())
    else:
        b.append(d.field, *[values.parse_path(b.soft(path)) for path in value.split(":") if path])


READERS: dict[str, Reader] = {
    "command": _command,
    "exits": _exits,
    "deps": _deps,
    "condition": _condition,
    "words": _words,
    "envnames": _env_names,
    "names": _names,
    "mounts": _mounts,
    "documentation": _documentation,
    "colonpaths": _colon_paths,
}

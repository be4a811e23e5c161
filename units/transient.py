"""Unit files that are made, not written: transient units (systemd-run(1)) and the drop-ins of set-property. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from unitd.units.directives import DIRECTIVES
from unitd.units.errors import ValueProblem

#: Last part of the directory that transient units are kept in.
DIRECTORY = "transient"
#: Unit type -> the sections that its file may have, in the order in which a directive is looked for.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "service": ("Unit", "Service", "X-Unitd"),
    "timer": ("Unit", "Timer"),
    "path": ("Unit", "Path"),
    "socket": ("Unit", "Socket"),
    "slice": ("Unit", "Slice"),
    "target": ("Unit",),
}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "%": "%%"}

Setting = tuple[str, str, str]  # section, key, value


def is_transient(fragment: str) -> bool:
    """Is this the file of a transient unit?"""
    return fragment.rpartition("/")[0].endswith("/" + DIRECTORY)


def quote(word: str) -> str:
    """A word as unit files take it: it is read back as the same word. A `$` keeps its meaning."""
    return '"' + "".join(_ESCAPES.get(c) or (f"\\x{ord(c):02x}" if ord(c) < 32 or ord(c) == 127 else c) for c in word) + '"'


def command(path: str, arguments: Sequence[str], expand: bool = True) -> str:
    """A value of ExecStart=. `path` is absolute."""
    return ("" if expand else ":") + " ".join(quote(word) for word in (path, *arguments))


def place(assignment: str, kind: str) -> Setting:
    """Where `NAME=value` belongs in a unit of type `kind`. Raises ValueProblem for what is no directive of such a unit."""
    key, equals, value = assignment.partition("=")
    if not equals or not key:
        raise ValueProblem(f"cannot set {assignment!r}, because it is no assignment", "write NAME=VALUE")
    if "\n" in value or "\0" in value:
        raise ValueProblem(f"cannot set {key}=, because its value has more than one line", r"write \n inside quotes")
    sections = SECTIONS.get(kind, ("Unit",))
    for section in sections:
        if (section, key) in DIRECTIVES:
            return section, key, value.strip()
    near = difflib.get_close_matches(key, [k for s, k in DIRECTIVES if s in sections], 1)
    raise ValueProblem(f"cannot set {key}=, because it is no directive of a {kind}", f"did you mean {near[0]}=?" if near else "unitctl help lists them")


def text(settings: Sequence[Setting], comment: str = "") -> str:
    """The unit file with these settings, by section in order of appearance."""
    sections: dict[str, list[str]] = {}
    for section, key, value in settings:
        sections.setdefault(section, []).append(f"{key}={value}")
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    return head + "\n".join(f"[{section}]\n" + "".join(line + "\n" for line in lines) for section, lines in sections.items())

"""[Path]: its fields, and what a path unit cannot be without (systemd.path(5)). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from unitd.units.errors import Problem
from unitd.units.timer import trigger_dependencies, triggered_unit

if TYPE_CHECKING:
    from unitd.units.builder import Builder

#: What can be watched for.
WATCHES = ("PathExists", "PathExistsGlob", "PathChanged", "PathModified", "DirectoryNotEmpty")


class PathSpec(msgspec.Struct, frozen=True):
    """One line of what is watched: `kind` is one of WATCHES."""

    kind: str
    path: str


class PathSection(msgspec.Struct, frozen=True):
    """[Path]."""

    specs: tuple[PathSpec, ...] = ()
    unit: str = ""  # "": the service of the same name
    make_directory: bool = False
    directory_mode: int = 0o755
    trigger_limit_interval: float = 2.0
    trigger_limit_burst: int = 200


def finish_path(b: Builder, parts: dict[str, dict[str, Any]]) -> None:
    """Implicit dependencies, and what a path unit cannot be without (path_verify in systemd)."""
    section = parts["path"]
    if not section.get("specs"):
        b.bad = True
        hint = "add PathExists=, PathChanged= or DirectoryNotEmpty= to [Path]"
        b.problems.append(Problem("error", "cannot load the path unit, because nothing says what it watches", b.fragment, 0, hint))
    trigger_dependencies(parts, triggered_unit(b.name, section.get("unit", "")), "paths.target")

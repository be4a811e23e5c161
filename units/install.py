"""enable, disable, mask and unmask: the links that [Install] asks for, and what is-enabled says (systemctl(1))."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from unitd.units import names
from unitd.units.loader import Loader
from unitd.units.model import Unit


@dataclass(frozen=True)
class Change:
    """A link made or removed."""

    kind: str  # symlink, unlink
    path: str
    target: str = ""


class InstallError(ValueError):
    """A unit file operation that cannot be done."""


def _directory(paths: Sequence[str], runtime: bool) -> str:
    return paths[1] if runtime and len(paths) > 1 else paths[0]


def _links(unit: Unit, fragment: str) -> list[tuple[str, str]]:
    """(link relative to a unit directory, target) for everything [Install] names."""
    name, install = unit.name, unit.install
    prefix, instance, suffix = names.split(name)
    if instance == "":
        if not install.default_instance:
            name = ""
        else:
            name = f"{prefix}@{install.default_instance}.{suffix}"
    links = []
    for kind, units in ((".wants", install.wanted_by), (".requires", install.required_by), (".upholds", install.upheld_by)):
        for holder in units:
            if name:
                links.append((f"{holder}{kind}/{name}", fragment))
    links += [(alias, fragment) for alias in install.alias if alias != unit.name]
    return links


def enable(paths: Sequence[str], unit_names: Sequence[str], *, runtime: bool = False, late: Sequence[str] = ()) -> list[Change]:
    """Make the links of [Install], Also= included. Raises InstallError, then nothing was changed for that unit."""
    loader = Loader(paths, late=late)
    directory = _directory(paths, runtime)
    changes: list[Change] = []
    queue, seen = list(unit_names), set[str]()
    while queue:
        name = queue.pop(0)
        if name in seen:
            continue
        seen.add(name)
        unit = loader.load(name)
        if unit.load_state == "not-found":
            raise InstallError(f"Failed to enable unit: Unit file {name} does not exist.")
        if unit.load_state == "masked":
            raise InstallError(f"Failed to enable unit: Unit file {name} is masked.")
        links = _links(unit, unit.fragment_path)
        queue += unit.install.also
        for link, target in links:
            path = os.path.join(directory, link)
            if os.path.islink(path) and os.readlink(path) == target:
                continue
            if os.path.lexists(path) and not os.path.islink(path):
                raise InstallError(f"Failed to enable unit: File {path} already exists and is no symlink.")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if os.path.islink(path):
                os.unlink(path)
            os.symlink(target, path)
            changes.append(Change("symlink", path, target))
    return changes


def disable(paths: Sequence[str], unit_names: Sequence[str], *, runtime: bool = False, late: Sequence[str] = ()) -> list[Change]:
    """Remove every link to the units (Also= included) from the configuration directory. Raises InstallError."""
    loader = Loader(paths, late=late)
    wanted = set[str]()
    for name in unit_names:
        unit = loader.load(name)
        if unit.load_state == "not-found" and loader.find(name) is None:
            raise InstallError(f"Failed to disable unit: Unit file {name} does not exist.")
        wanted |= {name, unit.name, *unit.install.also}
    directory = _directory(paths, runtime)
    changes = []
    for path in _all_links(directory):
        target = os.path.basename(os.readlink(path))
        entry = os.path.basename(path)
        if target in wanted or entry in wanted or names.template_of(entry) in wanted:
            if os.path.realpath(path) == "/dev/null":
                continue
            if os.path.dirname(path) == directory and os.path.basename(path) in unit_names:
                continue  # a linked unit file, not an enablement
            os.unlink(path)
            changes.append(Change("unlink", path))
    return changes


def _all_links(directory: str) -> list[str]:
    found = []
    for entry in sorted(_listed(directory)):
        path = os.path.join(directory, entry)
        if os.path.islink(path):
            found.append(path)
        elif entry.endswith((".wants", ".requires", ".upholds")):
            found += [os.path.join(path, e) for e in sorted(_listed(path)) if os.path.islink(os.path.join(path, e))]
    return found


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def mask(paths: Sequence[str], unit_names: Sequence[str], *, runtime: bool = False) -> list[Change]:
    """Link the units to /dev/null. Raises InstallError when a file of that name is in the way."""
    directory = _directory(paths, runtime)
    changes = []
    for name in unit_names:
        path = os.path.join(directory, name)
        if os.path.islink(path) and os.readlink(path) == "/dev/null":
            continue
        if os.path.lexists(path) and not os.path.islink(path):
            raise InstallError(f"Failed to mask unit: File {path} already exists.")
        os.makedirs(directory, exist_ok=True)
        if os.path.islink(path):
            os.unlink(path)
        os.symlink("/dev/null", path)
        changes.append(Change("symlink", path, "/dev/null"))
    return changes


def unmask(paths: Sequence[str], unit_names: Sequence[str], *, runtime: bool = False) -> list[Change]:
    """Remove the links to /dev/null."""
    changes = []
    for directory in [_directory(paths, True)] if runtime else list(paths)[:2]:
        for name in unit_names:
            path = os.path.join(directory, name)
            if os.path.islink(path) and os.readlink(path) == "/dev/null":
                os.unlink(path)
                changes.append(Change("unlink", path))
    return changes


def file_state(paths: Sequence[str], name: str, late: Sequence[str] = ()) -> str:
    """As is-enabled prints it; empty for a unit without a file."""
    loader = Loader(paths, late=late)
    path = loader.find(name)
    fragment = path
    template = names.template_of(name)
    if fragment is None and template is not None:
        fragment = loader.find(template)
    if fragment is None:
        return ""
    runtime = len(paths) > 1 and fragment.startswith(paths[1] + "/")
    if os.path.realpath(fragment) == "/dev/null" or (os.path.isfile(fragment) and os.path.getsize(fragment) == 0):
        return "masked-runtime" if runtime else "masked"
    if os.path.islink(fragment) and os.path.basename(os.readlink(fragment)) != name and names.is_valid_name(os.path.basename(os.readlink(fragment))):
        return "alias"
    for number, directory in enumerate(paths):
        for link in _all_links(directory):
            held = os.path.dirname(link) != directory
            entry = os.path.basename(link)
            target = os.path.basename(os.readlink(link))
            if (held and entry == name) or (held and names.template_of(entry) == name and target == name) or (not held and target == name and entry != name):
                return "enabled-runtime" if number == 1 else "enabled"
    install = loader.load(name).install
    if install.wanted_by or install.required_by or install.upheld_by or install.alias:
        if names.split(name)[1] == "" and not install.default_instance and not install.alias:
            return "disabled"
        return "disabled"
    return "indirect" if install.also else "static"

"""enable, disable, mask and unmask: the links that [Install] asks for, and what is-enabled says (systemctl(1))."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from unitd.units import names
from unitd.units.loader import Loader
from unitd.units.model import Unit

NO_INSTALL = """The unit files have no installation config (WantedBy=, RequiredBy=, Also=,
Alias= settings in the [Install] section, and DefaultInstance= for template
units). This means they are not meant to be enabled using unitctl.
 
Possible reasons for having this kind of units are:
• A unit may be statically enabled by being symlinked from another unit's
  .wants/ or .requires/ directory.
• A unit's purpose may be to act as a helper for some other unit which has
  a requirement dependency on it.
• A unit may be started when needed via activation (socket, path, timer,
  D-Bus, udev, scripted unitctl call, ...).
• In case of template units, the unit is meant to be enabled with some
  instance name specified."""  # noqa: W291, W293 - systemctl's words, its blank included
_FOLDERS = (".wants", ".requires", ".upholds")


class Change(msgspec.Struct, frozen=True):
    """A link made or removed, or something to tell."""

    kind: str  # symlink, unlink, note
    path: str
    target: str = ""


class InstallError(ValueError):
    """A unit file operation that cannot be done."""


def _directory(paths: Sequence[str], runtime: bool) -> str:
    return paths[1] if runtime and len(paths) > 1 else paths[0]


def _is_runtime(paths: Sequence[str], directory: str) -> bool:
    """Is it a directory whose content is gone after a boot?"""
    return directory.startswith("/run/") or (len(paths) > 1 and directory == paths[1])


def _links(unit: Unit, fragment: str) -> tuple[list[tuple[str, str]], list[str]]:
    """(link relative to a unit directory, target) for everything [Install] names, and what names no unit that a link could be for.
    Raises InstallError for a template without an instance."""
    name, install = unit.name, unit.install
    prefix, instance, suffix = names.split(name)
    if instance == "" and install.default_instance:
        name = names.instance_name(name, install.default_instance)
    refused = [f"Failed to enable unit: Cannot alias {unit.name} as {alias}." for alias in install.alias if not _may_alias(unit.name, alias)]
    links = [(alias, fragment) for alias in install.alias if alias != unit.name and _may_alias(unit.name, alias)]
    for kind, units in ((".wants", install.wanted_by), (".requires", install.required_by), (".upholds", install.upheld_by)):
        for holder in units:
            if not names.is_valid_name(holder):
                refused.append(f'Failed to enable unit: "{holder}" is not a valid unit name.')
                continue
            if names.split(name)[1] == "" and names.split(holder)[1] != "":
                raise InstallError(f"Failed to enable unit: Destination unit {holder} is a non-template unit.")
            links.append((f"{holder}{kind}/{name}", fragment))
    return links, refused


def _may_alias(name: str, alias: str) -> bool:
    """Only a unit of the same type, and a template only for a template."""
    (_, ours, suffix), (_, theirs, other) = names.split(name), names.split(alias)
    return names.is_valid_name(alias) and suffix == other and (ours is None) == (theirs is None)


def enable(paths: Sequence[str], unit_names: Sequence[str], *, runtime: bool = False, late: Sequence[str] = ()) -> list[Change]:
    """Make the links of [Install], Also= included. Raises InstallError, then nothing was changed for that unit."""
    loader = Loader(paths, late=late)
    directory = _directory(paths, runtime)
    changes: list[Change] = []
    queue, seen, wanted = list(unit_names), set[str](), False
    problems: list[str] = []
    while queue:
        name = queue.pop(0)
        if name in seen:
            continue
        seen.add(name)
        unit = loader.load(name)
        if unit.load_state == "not-found" or (not unit.fragment_path and unit.load_state == "loaded"):
            if name not in unit_names:
                changes.append(Change("note", f"Failed to enable auxiliary unit {name}, ignoring."))
                continue
            raise InstallError(f"Failed to enable unit: Unit file {name} does not exist.")
        if unit.load_state == "masked":
            raise InstallError(f"Failed to enable unit: Unit file {unit.fragment_path or name} is masked.")
        links, refused = _links(unit, unit.fragment_path)
        problems += refused
        wanted = wanted or bool(links or refused or unit.install.also)
        queue += unit.install.also
        for link, target in links:
            changes += _link(os.path.join(directory, link), target)
        for holder in dict.fromkeys(link.partition("/")[0].rpartition(".")[0] for link, _ in links if "/" in link):
            if loader.load(holder).load_state == "not-found" and loader.find(names.template_of(holder) or holder) is None:
                changes.append(Change("note", f"Unit {unit.fragment_path} is added as a dependency to a non-existent unit {holder}."))
    if problems:
        raise InstallError(problems[0])
    if not wanted:
        changes.append(Change("note", NO_INSTALL))
    return changes


def _link(path: str, target: str) -> list[Change]:
    if os.path.islink(path) and os.readlink(path) == target:
        return []
    if os.path.lexists(path) and not os.path.islink(path):
        raise InstallError(f"Failed to enable unit: File {path} already exists and is no symlink.")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.islink(path):
        os.unlink(path)
    os.symlink(target, path)
    return [Change("symlink", path, target)]


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
    for path in reversed(_all_links(loader, directory)):
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


def _all_links(loader: Loader, directory: str) -> list[str]:
    """Links in a unit directory and in its dependency directories: aliases, then what is wanted, then the rest."""
    listing = loader.listing(directory)
    found = [os.path.join(directory, entry) for entry in sorted(listing) if listing[entry]]
    for suffix in _FOLDERS:
        for entry in sorted(e for e in listing if e.endswith(suffix)):
            folder = os.path.join(directory, entry)
            held = loader.listing(folder)
            found += [os.path.join(folder, e) for e in sorted(held) if held[e]]
    return found


def mask(paths: Sequence[str], unit_names: Sequence[str], *, runtime: bool = False) -> list[Change]:
    """Link the units to /dev/null. Raises InstallError when a file of that name is in the way."""
    loader, directory = Loader(paths), _directory(paths, runtime)
    changes = []
    for name in unit_names:
        path = os.path.join(directory, name)
        if os.path.islink(path) and os.readlink(path) == "/dev/null":
            continue
        if os.path.lexists(path) and not os.path.islink(path):
            raise InstallError(f"Failed to mask unit: File {path} already exists.")
        if loader.load(name).load_state == "not-found":
            changes.append(Change("note", f"Unit {name} does not exist, proceeding anyway."))
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


class States:
    """is-enabled for many units: the links of all unit directories are read once."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self._seen = -1
        self._entries: dict[str, bool] = {}  # unit in a dependency directory -> for this boot only
        self._targets: dict[str, dict[str, bool]] = {}  # template or unit -> other names that such links, or aliases, give it

    def _read(self) -> None:
        loader = self.loader
        held, pointed = dict[str, bool](), dict[str, dict[str, bool]]()
        with loader.batch():
            for directory in loader.paths:
                runtime = _is_runtime(loader.paths, directory)
                for link in _all_links(loader, directory):
                    entry, target = os.path.basename(link), os.path.basename(loader.points_to(link))
                    if os.path.dirname(link) != directory:
                        held.setdefault(entry, runtime)
                        if names.template_of(entry) == target:
                            pointed.setdefault(target, {}).setdefault(entry, runtime)
                    elif entry != target and names.is_valid_name(entry):
                        if names.template_of(entry) == target:
                            held.setdefault(entry, runtime)
                        pointed.setdefault(target, {}).setdefault(entry, runtime)
            self._entries, self._targets, self._seen = held, pointed, loader.generation

    def state(self, name: str) -> str:
        """As is-enabled prints it; empty for a unit without a file."""
        loader = self.loader
        fragment = loader.find(name)
        template = names.template_of(name)
        if fragment is None and template is not None:
            fragment = loader.find(template)
        if fragment is None:
            return ""
        directory = os.path.dirname(fragment)
        target = os.path.basename(loader.points_to(fragment))
        if (target and os.path.realpath(fragment) == "/dev/null") or (os.path.isfile(fragment) and os.path.getsize(fragment) == 0):
            return "masked-runtime" if _is_runtime(loader.paths, directory) else "masked"
        elsewhere = bool(target) and not loader.is_alias(fragment)
        if names.is_valid_name(target) and target not in (name, template):
            return "alias"
        self._refresh()
        install = loader.load(name).install
        runtime = self._entries.get(name)
        links = self._targets.get(name, {})
        for link in links:
            if runtime is not False and (link in install.alias or (names.split(link)[1] and names.split(link)[1] == install.default_instance)):
                runtime = links[link]
        if runtime is not None:
            return "enabled-runtime" if runtime else "enabled"
        if elsewhere:
            return "linked-runtime" if _is_runtime(loader.paths, directory) else "linked"
        if links:
            return "indirect"
        if install.wanted_by or install.required_by or install.upheld_by or install.alias:
            return "disabled"
        return "indirect" if install.also else "static"

    def _refresh(self) -> None:
        """Read the links again if a directory has changed."""
        loader = self.loader
        for directory in loader.paths:
            for entry in loader.listing(directory):
                if entry.endswith(_FOLDERS):
                    loader.listing(os.path.join(directory, entry))
        if self._seen != loader.generation:
            self._read()


def file_state(paths: Sequence[str], name: str, late: Sequence[str] = ()) -> str:
    """As is-enabled prints it, for one unit; empty for a unit without a file."""
    return States(Loader(paths, late=late)).state(name)

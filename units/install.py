"""enable, disable, preset, add-wants, link, mask: the links that [Install] asks for, and others in the unit directories (systemctl(1)).

Every function works out all of its changes before it makes the first.
"""

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
#: Suffixes of dependency directories.
FOLDERS = (".wants", ".requires", ".upholds")


class Change(msgspec.Struct, frozen=True):
    """A link made or removed, or something to tell."""

    kind: str  # symlink, unlink, note
    path: str
    target: str = ""


class InstallError(ValueError):
    """A unit file operation that cannot be done."""


def directory_for(paths: Sequence[str], runtime: bool) -> str:
    return paths[1] if runtime and len(paths) > 1 else paths[0]


# -- what [Install] asks for


def alias_of(name: str, alias: str) -> str:
    """The alias as it becomes for the unit `name`. Raises InstallError where the one cannot stand for the other (unit_validate_alias_symlink_or_warn)."""
    prefix, instance, suffix = names.split(name)
    if "/" in alias:
        raise InstallError(f"Invalid unit reference {alias}.")
    if not names.is_valid_name(alias):
        raise InstallError(f"Cannot alias {name} as {alias}.")
    if instance and names.split(alias)[1] == "":
        alias = names.instance_name(alias, instance)
    _, theirs, kind = names.split(alias)
    same = (instance is None) == (theirs is None) and (not instance or instance == theirs)
    if kind != suffix or not (same or (instance == "" and theirs)):
        raise InstallError(f"Cannot alias {name} as {alias}.")
    return alias


def _wanted_links(unit: Unit) -> tuple[list[tuple[str, str]], list[str]]:
    """(link relative to a unit directory, unit that the link is for or empty) for everything [Install] names, and why the rest cannot be.
    Raises InstallError for a template without an instance."""
    name, install = unit.name, unit.install
    if names.split(name)[1] == "" and install.default_instance:
        name = names.instance_name(name, install.default_instance)
    links, refused = list[tuple[str, str]](), list[str]()
    for written in install.alias:
        try:
            alias = alias_of(unit.name, written)
        except InstallError as error:
            refused.append(str(error))
            continue
        if alias != unit.name:
            links.append((alias, ""))
    for folder, holders in ((".wants", install.wanted_by), (".requires", install.required_by), (".upholds", install.upheld_by)):
        valid = [holder for holder in holders if names.is_valid_name(holder)]
        refused += [f'"{holder}" is not a valid unit name.' for holder in holders if holder not in valid]
        links += [(f"{holder}{folder}/{name}", holder) for holder in _checked(name, valid)]
    return links, refused


def _checked(name: str, holders: Sequence[str]) -> Sequence[str]:
    """The units that shall hold a link to `name`. Raises InstallError for a template without an instance."""
    for holder in holders:
        if names.split(name)[1] == "" and names.split(holder)[1] != "":
            raise InstallError(f"Destination unit {holder} is a non-template unit.")
    return holders


def _existing(loader: Loader, name: str) -> Unit:
    """The unit of a file. Raises InstallError when there is none, or only a mask."""
    unit = loader.load(name)
    if unit.load_state == "masked":
        raise InstallError(f"Unit file {unit.fragment_path} is masked.")
    if unit.load_state == "not-found" or not unit.fragment_path:
        raise InstallError(f"Unit file {name} does not exist.")
    return unit


def _is_alias(loader: Loader, name: str) -> bool:
    """Is `name` only a link to a unit of another name?"""
    path = loader.find(name)
    target = os.path.basename(loader.points_to(path)) if path else ""
    return bool(target) and target != name and names.is_valid_name(target)


def enable(paths: Sequence[str], unit_names: Sequence[str], *, runtime: bool = False, late: Sequence[str] = ()) -> list[Change]:
    """Make the links of [Install], Also= included; a unit may be the path of a file, which is linked then. Raises InstallError: nothing was changed
    then, but what [Install] names rightly beside names that cannot be.
    """
    loader, directory = Loader(paths, late=late), directory_for(paths, runtime)
    plan: list[Change] = []
    queue, seen, wanted = list(unit_names), set[str](), False
    problems: list[str] = []
    while queue:
        name = queue.pop(0)
        if name in seen:
            continue
        seen.add(name)
        path, name = name if name.startswith("/") else "", os.path.basename(name)
        if path and os.path.dirname(path) not in paths:
            plan.append(_foreign(directory, path))
            unit = Loader([os.path.dirname(path), *paths], late=late).load(name)
        elif _is_alias(loader, name):
            raise InstallError(f"Refusing to operate on alias name or linked unit file: {name}")
        else:
            unit = _existing(loader, name)
        fragment = _file_of(unit.fragment_path)
        links, refused = _wanted_links(unit)
        problems += refused
        wanted = wanted or bool(links or refused)
        for also in unit.install.also:
            if loader.load(also).load_state == "not-found":
                plan.append(Change("note", f"Failed to enable auxiliary unit {also}, ignoring."))
            else:
                queue.append(also)
        for link, holder in links:
            plan.append(Change("symlink", os.path.join(directory, link), fragment))
            if holder and loader.load(holder).load_state == "not-found" and loader.find(names.template_of(holder) or holder) is None:
                plan.append(Change("note", f"Unit {fragment} is added as a dependency to a non-existent unit {holder}."))
    if not wanted:
        plan.append(Change("note", NO_INSTALL))
    made = _carry_out(plan)
    if problems:
        raise InstallError(problems[0])
    return made


def _file_of(path: str) -> str:
    """The file itself, where a unit directory has only a link to one elsewhere."""
    return os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path))) if os.path.islink(path) else path


def _foreign(directory: str, path: str) -> Change:
    """The link that makes a unit file from elsewhere known. Raises InstallError."""
    if not names.is_valid_name(os.path.basename(path)):
        raise InstallError(f"{path} is not the path of a unit file.")
    if not os.path.isfile(path):
        raise InstallError(f"Unit file {path} does not exist.")
    return Change("symlink", os.path.join(directory, os.path.basename(path)), path)


def _carry_out(plan: Sequence[Change]) -> list[Change]:
    """Make the links that are not there yet; all of the plan or nothing. What was done. Raises InstallError for a file that is in the way."""
    for change in plan:
        if change.kind == "symlink" and os.path.lexists(change.path) and not os.path.islink(change.path):
            raise InstallError(f"File {change.path} already exists and is no symlink.")
    done: list[Change] = []
    for change in plan:
        if change.kind == "symlink":
            if os.path.islink(change.path) and os.readlink(change.path) == change.target:
                continue
            os.makedirs(os.path.dirname(change.path), exist_ok=True)
            if os.path.islink(change.path):
                os.unlink(change.path)
            os.symlink(change.target, change.path)
        if change not in done:
            done.append(change)
    return done


def preset(paths: Sequence[str], unit_names: Sequence[str], *, runtime: bool = False, late: Sequence[str] = (), mode: str = "full") -> list[Change]:
    """What a preset says for the units. There are no presets, so everything is to be enabled; what cannot be is left alone. Raises InstallError."""
    if mode not in ("full", "enable-only", "disable-only"):
        raise InstallError(f"Failed to parse preset mode: {mode}.")
    loader = Loader(paths, late=late)
    chosen = []
    for name in dict.fromkeys(unit_names):
        unit = _existing(loader, name)
        if not _is_alias(loader, name) and (names.split(name)[1] != "" or unit.install.default_instance):
            chosen.append(name)
    if mode == "disable-only":
        return []
    made = enable(paths, chosen, runtime=runtime, late=late)
    return [change for change in made if change.path != NO_INSTALL]


def add_dependency(paths: Sequence[str], target: str, unit_names: Sequence[str], folder: str, *, runtime: bool = False, late: Sequence[str] = ()) -> list[Change]:
    """add-wants and add-requires: links to the units in TARGET.wants or TARGET.requires. Raises InstallError."""
    loader, directory = Loader(paths, late=late), directory_for(paths, runtime)
    if loader.load(target).load_state == "not-found":
        raise InstallError(f"Unit file {target} does not exist.")
    plan = []
    for name in unit_names:
        unit = _existing(loader, name)
        _checked(name, [target])
        plan.append(Change("symlink", os.path.join(directory, f"{target}.{folder}", name), _file_of(unit.fragment_path)))
    return _carry_out(plan)


def link(paths: Sequence[str], files: Sequence[str], *, runtime: bool = False) -> list[Change]:
    """Make unit files from elsewhere known, by links in a unit directory. Raises InstallError."""
    plan = []
    for path in files:
        if not os.path.isabs(path) or not names.is_valid_name(os.path.basename(path)):
            raise InstallError(f"{path} is not the absolute path of a unit file.")
        if not os.path.isfile(path):
            raise InstallError(f"File {path} does not exist.")
        plan.append(_foreign(directory_for(paths, runtime), path))
        have = plan[-1].path
        if os.path.lexists(have) and not (os.path.islink(have) and os.readlink(have) == path):
            raise InstallError(f"File {have} already exists.")
    return _carry_out(plan)


def disable(paths: Sequence[str], unit_names: Sequence[str], *, runtime: bool = False, late: Sequence[str] = ()) -> list[Change]:
    """Remove every link to the units (Also= included) from the configuration directory. Raises InstallError."""
    loader = Loader(paths, late=late)
    wanted, notes = set[str](), list[Change]()
    for name in unit_names:
        unit = loader.load(name)
        if unit.load_state == "masked":
            notes.append(Change("note", f"Unit {unit.fragment_path} is masked, ignoring."))
            continue
        if unit.load_state == "not-found" and loader.find(name) is None:
            raise InstallError(f"Unit file {name} does not exist.")
        wanted |= {name, *unit.install.also}
    changes = []
    for path in reversed(all_links(loader, directory_for(paths, runtime))):
        entry = os.path.basename(path)
        if not {os.path.basename(os.readlink(path)), entry, names.template_of(entry)} & wanted or os.path.realpath(path) == "/dev/null":
            continue
        os.unlink(path)
        changes.append(Change("unlink", path))
    return notes + changes


def all_links(loader: Loader, directory: str) -> list[str]:
    """Links in a unit directory and in its dependency directories: aliases, then what is wanted, then the rest."""
    listing = loader.listing(directory)
    found = [os.path.join(directory, entry) for entry in sorted(listing) if listing[entry]]
    for suffix in FOLDERS:
        for entry in sorted(e for e in listing if e.endswith(suffix)):
            folder = os.path.join(directory, entry)
            held = loader.listing(folder)
            found += [os.path.join(folder, e) for e in sorted(held) if held[e]]
    return found


def mask(paths: Sequence[str], unit_names: Sequence[str], *, runtime: bool = False) -> list[Change]:
    """Link the units to /dev/null. Raises InstallError when a file of that name is in the way."""
    loader, directory = Loader(paths), directory_for(paths, runtime)
    missing = [name for name in unit_names if loader.load(name).load_state == "not-found"]
    changes = [Change("note", f"Unit {name} does not exist, proceeding anyway.") for name in missing]
    for name in unit_names:
        path = os.path.join(directory, name)
        if os.path.islink(path) and os.readlink(path) == "/dev/null":
            continue
        if os.path.lexists(path) and not os.path.islink(path):
            raise InstallError(f"File {path} already exists.")
        os.makedirs(directory, exist_ok=True)
        if os.path.islink(path):
            os.unlink(path)
        os.symlink("/dev/null", path)
        changes.append(Change("symlink", path, "/dev/null"))
    return changes


def unmask(paths: Sequence[str], unit_names: Sequence[str], *, runtime: bool = False) -> list[Change]:
    """Remove the links to /dev/null."""
    changes = []
    for directory in [directory_for(paths, True)] if runtime else list(paths)[:2]:
        for name in unit_names:
            path = os.path.join(directory, name)
            if os.path.islink(path) and os.readlink(path) == "/dev/null":
                os.unlink(path)
                changes.append(Change("unlink", path))
    return changes

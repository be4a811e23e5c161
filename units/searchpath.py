"""The unit directories: which file, links, drop-ins and dependency directories a name has there (systemd.unit(5), UNIT FILE LOAD PATH).

What is in a directory is remembered until its time changes, so that looking a thousand names up reads each directory once.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from unitd.units import names, special

#: What changed less than this before it was read may have changed again unseen: times of files tick (ns).
FRESH = 20_000_000
#: How many links an alias may lead over.
HOPS = 8
_FOLDERS = (".d", ".wants", ".requires", ".upholds")


class Listing(NamedTuple):
    """What was in a directory when its time was `mtime`."""

    mtime: int
    entries: dict[str, str]  # name -> where it points to, empty if it is no link


#: A question about names that was asked, and its answer: (method, arguments, answer).
Asked = tuple[Callable[..., Any], tuple[Any, ...], Any]


class SearchPath:
    """Looks names up in the unit directories, most important first. `late`: directories that are looked at last, for files that are asked for by name;
    `list_files` leaves them out."""

    def __init__(self, paths: Sequence[str], late: Sequence[str] = ()) -> None:
        self.paths = [os.path.abspath(p) for p in paths]
        self.late = [os.path.abspath(p) for p in late]
        self.generation = 0  # grows with every change that was seen in a directory
        self._listings: dict[str, Listing] = {}
        self._aliases_of: tuple[int, dict[str, list[str]]] = (-1, {})
        self._still: set[str] | None = None  # during `batch`: directories that were looked at already
        self._trace: list[Asked] | None = None

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Within this, every directory is looked at once only."""
        before, self._still = self._still, set() if self._still is None else self._still
        try:
            yield
        finally:
            self._still = before

    def listing(self, directory: str) -> dict[str, str]:
        """The names in a directory and where links point to; empty if it cannot be read."""
        kept = self._listings.get(directory)
        if kept is not None and self._still is not None and directory in self._still:
            return kept.entries
        try:
            mtime = os.stat(directory).st_mtime_ns
        except OSError:
            mtime = 0
        if kept is None or kept.mtime != mtime:
            entries = _read(directory) if mtime else {}
            if kept is None or kept.entries != entries:
                self.generation += 1
            fresh = mtime and time.time_ns() - mtime < FRESH
            kept = self._listings[directory] = Listing(-1 if fresh else mtime, entries)
        if self._still is not None:
            self._still.add(directory)
        return kept.entries

    def _answered(self, method: Callable[..., Any], arguments: tuple[Any, ...], answer: Any) -> Any:
        if self._trace is not None:
            self._trace.append((method, arguments, answer))
        return answer

    # -- names

    def find(self, name: str) -> str | None:
        """Path of the file, link or directory called `name`; the first directory wins. systemd's own files for built-in targets do not count."""
        found = self._find(name, HOPS)
        self._answered(self.find, (name,), found)
        return found

    def _find(self, name: str, hops: int) -> str | None:
        built_in = name in special.TARGETS or name in special.ALIASES
        for directory in (*self.paths, *self.late):
            listing = self.listing(directory)
            if name in listing and not (built_in and special.is_systemds(directory)) and (not listing[name] or self._holds(directory, name, listing[name], hops)):
                return os.path.join(directory, name)
        return None

    def _holds(self, directory: str, name: str, link: str, hops: int = HOPS) -> bool:
        """Does the link `name` count? Not one that leads nowhere, nor an alias of another type or kind: an instance is an alias of its template or of an
        instance of the same name, a template of a template, all others of what has no @ (unit_validate_alias_symlink_or_warn() of systemd). What an alias
        leads to is looked for by name, in all directories."""
        target = self._alias_target(directory, link)
        if not target or target == name:
            return os.path.exists(os.path.join(directory, name))
        (_, ours, suffix), (_, theirs, other) = names.split(name), names.split(target)
        if suffix != other or not hops or not (theirs in (ours, "") if ours else theirs == ours):
            return False
        template = names.template_of(target)
        return self._find(target, hops - 1) is not None or (template is not None and self._find(template, hops - 1) is not None)

    def _alias_target(self, directory: str, link: str) -> str:
        """The unit that a link in a unit directory is another name of; empty if it leads to a file elsewhere, which is a unit of its own."""
        path = os.path.normpath(os.path.join(directory, link))
        folder, target = os.path.split(path)
        return target if names.is_valid_name(target) and (folder in self.paths or folder in self.late) else ""

    def is_alias(self, path: str) -> bool:
        """Is it a link to a file that is in a unit directory itself?"""
        return bool(self._alias_target(os.path.dirname(path), self.points_to(path)))

    def follow(self, path: str) -> str:
        """The file itself where a unit directory has a link from an instance to its template."""
        directory, name = os.path.split(path)
        link = self.points_to(path)
        template = names.template_of(name)
        return os.path.normpath(os.path.join(directory, link)) if link and template and self._alias_target(directory, link) == template else path

    def points_to(self, path: str) -> str:
        """Where the link at `path` points to; empty if it is no link."""
        directory, _, name = path.rpartition("/")
        return self.listing(directory).get(name, "")

    def list_files(self) -> dict[str, str]:
        """Every unit file: name -> path."""
        found: dict[str, str] = {}
        for directory in self.paths:
            for entry in sorted(self.listing(directory)):
                if names.is_valid_name(entry):
                    found.setdefault(entry, os.path.join(directory, entry))
        return found

    def resolve(self, name: str) -> str:
        """The unit that `name` is an alias of (by symlink, or built in), or `name`."""
        for _ in range(HOPS):
            path = self.find(name)
            if path is None and (template := names.template_of(name)) is not None:
                path = self.find(template)  # an alias of a template holds for its instances
            if path is None:
                return special.ALIASES.get(name, name)
            link = self.points_to(path)
            if not link:
                return name
            target = self._alias_target(os.path.dirname(path), link)
            if not target or target == name:
                return name
            instance = names.split(name)[1]
            if instance and names.split(target)[1] == "":
                target = names.instance_name(target, instance)
            if target == name:
                return name
            name = target
        return name

    def _aliases(self, name: str) -> list[str]:
        for directory in self.paths:
            self.listing(directory)
        generation, known = self._aliases_of
        if generation != self.generation:
            known = {}
            for directory in self.paths:
                for link, target in self.listing(directory).items():
                    if target and names.is_valid_name(link) and (unit := self._alias_target(directory, target)) and self._holds(directory, link, target):
                        known.setdefault(unit, []).append(link)
            self._aliases_of = self.generation, known
        found = [link for link in known.get(name, ()) if link != name]
        found += [alias for alias, target in special.ALIASES.items() if target == name and alias.startswith("default") and self.find(alias) is None]
        return list(self._answered(self._aliases, (name,), sorted(set(found))))

    def _linked(self, every: tuple[str, ...], suffix: str) -> list[str]:
        """Units in the dependency directories (`.wants`, ...) of a unit with these names. For built-in targets systemd's own directories are not read:
        what the machine boots with is none of our business."""
        found: set[str] = set()
        for directory in self.paths:
            listing, systemds = self.listing(directory), special.is_systemds(directory)
            for name in every:
                if systemds and (name in special.TARGETS or name in special.ALIASES):
                    continue
                for holder in (name, names.template_of(name)):
                    if holder and holder + suffix in listing:
                        entries = self.listing(os.path.join(directory, holder + suffix))
                        found.update(e for e in entries if entries[e] and names.is_valid_name(e))  # links only, as in systemd
        return list(self._answered(self._linked, (every, suffix), sorted(found)))

    def _drop_ins(self, name: str, aliases: Sequence[str]) -> list[str]:
        """Drop-ins in the order they apply: by file name over all directories; a file name counts once: own names before aliases, then the
        directory that comes first in the search path, then the most specific name (cases drop-002 to 016)."""
        general = name.rpartition(".")[2]  # service.d: below everything that names the unit
        listings = [(directory, self.listing(directory)) for directory in self.paths]
        folders: dict[str, None] = {}
        for alias in dict.fromkeys([name, *aliases]):
            holders = [holder + ".d" for holder in _drop_in_names(alias) if holder != general]
            for directory, listing in listings:
                for holder in holders:
                    if holder in listing:
                        folders[os.path.join(directory, holder)] = None
        for directory, listing in listings:
            if general + ".d" in listing:
                folders[os.path.join(directory, general + ".d")] = None
        chosen: dict[str, str] = {}
        for folder in folders:
            for entry in self.listing(folder):
                if entry.endswith(".conf") and not entry.startswith("."):
                    chosen.setdefault(entry, os.path.join(folder, entry))
        return list(self._answered(self._drop_ins, (name, tuple(aliases)), [chosen[entry] for entry in sorted(chosen)]))


def _drop_in_names(name: str) -> Iterator[str]:
    """`a-b@i.service` -> itself, its template, a-.service, service: most specific first."""
    prefix, instance, suffix = names.split(name)
    yield name
    if instance:
        yield f"{prefix}@.{suffix}"
    stem = prefix
    while "-" in stem.rstrip("-"):
        stem = stem.rstrip("-").rpartition("-")[0] + "-"
        yield f"{stem}.{suffix}"
    yield suffix


def _read(directory: str) -> dict[str, str]:
    try:
        with os.scandir(directory) as entries:
            return {entry.name: _target(entry) for entry in entries}
    except OSError:
        return {}


def _target(entry: os.DirEntry[str]) -> str:
    try:
        return os.readlink(entry.path) if entry.is_symlink() else ""
    except OSError:
        return ""

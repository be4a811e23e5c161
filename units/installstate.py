"""What is-enabled says: by the links that unit directories have to a unit file (systemctl(1)). The rules are those of systemd's unit_file_lookup_state()."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from unitd.units import names
from unitd.units.install import FOLDERS, all_links
from unitd.units.loader import Loader
from unitd.units.model import Unit


class _Link(NamedTuple):
    """A link in a unit directory or in a dependency directory there. `same`: it only brings a file of its own name there."""

    directory: str
    entry: str
    same: bool


class States:
    """is-enabled for many units: the links of all unit directories are read once."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self._seen = -1
        self._links: dict[str, list[_Link]] = {}  # name or path that is pointed to -> links, each in the order of the directories

    def _read(self) -> None:
        loader, found = self.loader, defaultdict[str, list[_Link]](list)
        with loader.batch():
            for directory in loader.paths:
                for path in all_links(loader, directory):
                    holder, entry = os.path.split(path)
                    target = os.path.normpath(os.path.join(holder, loader.points_to(path)))
                    for key in (target, os.path.basename(target)):
                        found[key].append(_Link(directory, entry, holder == directory and entry == os.path.basename(target)))
        self._links, self._seen = dict(found), loader.generation

    def state(self, name: str) -> str:
        """As is-enabled prints it; empty for a unit without a file."""
        loader = self.loader
        fragment = loader.find(name)
        template = names.template_of(name)
        if fragment is None and template is not None:
            fragment = loader.find(template)
        if fragment is None:
            return ""
        target = loader.points_to(fragment)
        if (target and os.path.realpath(fragment) == "/dev/null") or (os.path.isfile(fragment) and os.path.getsize(fragment) == 0):
            return "masked-runtime" if self._is_runtime(os.path.dirname(fragment)) else "masked"
        if target and template is None and os.path.basename(target) != name and names.is_valid_name(os.path.basename(target)):
            return "alias"
        self._refresh()
        unit = loader.load(name)
        file = os.path.normpath(os.path.join(os.path.dirname(fragment), target)) if target else fragment
        links = list(dict.fromkeys(self._links.get(file, []) + self._links.get(name, [])))
        others = [link for link in links if not link.same]
        if template is not None:  # only links of its own name say something of an instance
            others = [link for link in others if link.entry == name]
        known = {name, *unit.install.alias}
        if unit.install.default_instance and names.split(name)[1] == "":
            known.add(names.instance_name(name, unit.install.default_instance))
        own = [link for link in others if link.directory in loader.paths[:2] or self._is_runtime(link.directory)]
        found = self._where([link for link in own if link.entry in known], "enabled")
        found = found or (self._where([link for link in links if link.same], "linked") if target else "")
        if found:
            return found
        if own:
            return "indirect"
        if others and template is not None:
            return "static"  # the vendor has it wanted, which is not for the administrator to change
        return _without_links(unit)

    def _where(self, links: Sequence[_Link], word: str) -> str:
        """`word`, or with -runtime behind it where it is so until the next boot only; empty where it is not so."""
        if not links:
            return ""
        lasting = any(not self._is_runtime(link.directory) for link in links)
        return word if lasting else word + "-runtime"

    def _is_runtime(self, directory: str) -> bool:
        """Is it a directory whose content is gone after a boot?"""
        paths = self.loader.paths
        return directory.startswith("/run/") or (len(paths) > 1 and directory == paths[1])

    def _refresh(self) -> None:
        """Read the links again if a directory has changed."""
        loader = self.loader
        for directory in loader.paths:
            for entry in loader.listing(directory):
                if entry.endswith(FOLDERS):
                    loader.listing(os.path.join(directory, entry))
        if self._seen != loader.generation:
            self._read()


def _without_links(unit: Unit) -> str:
    install = unit.install
    if install.wanted_by or install.required_by or install.upheld_by or install.alias:
        return "disabled"
    return "indirect" if install.also else "static"


def file_state(paths: Sequence[str], name: str, late: Sequence[str] = ()) -> str:
    """As is-enabled prints it, for one unit; empty for a unit without a file."""
    return States(Loader(paths, late=late)).state(name)

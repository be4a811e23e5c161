"""The kernel's resource controllers for units: finds where they can be set, writes their files, reads what they counted (cgroups(7), cgroup v1 and v2)."""

from __future__ import annotations

import os
from collections.abc import Iterable

from unitd.manager.cgroup import CgroupTree, contents, folders
from unitd.manager.resources import CONTROLLER_OF, UNLIMITED, Host, Setting, settings, slice_chain, wanted
from unitd.units.model import Unit

#: How cgroup v1 calls what v2 calls otherwise.
V1_NAME = {"io": "blkio"}
NEEDED = ("memory", "cpu", "pids", "io", "cpuset")


def host() -> Host:
    """What percentages in unit files are of, on this machine."""
    tasks = 32768
    try:
        with open("/proc/sys/kernel/pid_max", encoding="ascii") as processes, open("/proc/sys/kernel/threads-max", encoding="ascii") as threads:
            tasks = min(int(processes.read()), int(threads.read()))
    except (OSError, ValueError):
        pass
    return Host(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), tasks)


class Controllers:
    """Applies a unit's limits before its first process and while it runs. A limit that cannot be had is a sentence, never an exception."""

    def __init__(self, tree: CgroupTree | None, v1: dict[str, str], v2: set[str]) -> None:
        """`v1`: controller -> our directory in its hierarchy; `v2`: controllers that may be enabled in `tree`."""
        self.tree, self.v1 = tree, v1
        self.version = {**dict.fromkeys(v1, 1), **dict.fromkeys(v2, 2)}
        self.host = host()
        self._written: dict[str, dict[str, str]] = {}  # directory -> file -> value
        self._enabled: set[tuple[str, str]] = set()
        self._oom_kills: dict[str, int] = {}  # unit -> as counted when last looked at

    @classmethod
    def probe(cls, tree: CgroupTree | None, owner: int) -> Controllers:
        """What there is for the warden `owner`. Where cgroup2 has a controller, v1 has not: the kernel gives it to one of the two."""
        if os.environ.get("UNITD_CGROUP") == "off":
            return cls(None, {}, set())
        v2: set[str] = set()
        if tree is not None:
            v2 = set(_text(os.path.dirname(tree.base) + "/cgroup.controllers").split()) & set(NEEDED)
        v1 = {}
        for controller, here in _v1_places().items():
            if controller in NEEDED and controller not in v2 and os.access(here, os.W_OK):
                _sweep(here)
                v1[controller] = f"{here}/unitd-{owner}"
        return cls(tree, v1, v2)

    def missing(self, unit: Unit) -> list[str]:
        """Directives of the unit that this machine has no controller for."""
        return settings(unit, self.host, self.version)[1]

    def prepare(self, unit: Unit, slices: Iterable[Unit], directory: str) -> tuple[list[str], list[str]]:
        """Before a process is made: (v1 directories that it must join, problems). `directory`: the unit's cgroup2 directory, or empty.

        `slices` are the units of the slices above, as far as they are loaded, from the outermost in.
        """
        joins: list[str] = []
        problems: list[str] = []
        chain = list(slices)
        for controller in sorted({CONTROLLER_OF[d] for u in (*chain, unit) for d in wanted(u)}):
            version = self.version.get(controller, 0)
            try:
                if version == 2 and directory:
                    self._enable(controller, directory)
                elif version == 1:
                    joins.append(self._make(controller, unit))
            except OSError as error:
                problems.append(f"cannot use the {controller} controller, because {error.filename or directory}: {error.strerror}")
        for each in chain:
            problems += self.apply(each, self._slice_directory(each, directory))
        problems += self.apply(unit, directory)
        return joins, problems

    def apply(self, unit: Unit, directory: str) -> list[str]:
        """Write the unit's values now; what it no longer sets goes back to no limit. Returns problems."""
        problems: list[str] = []
        found, _ = settings(unit, self.host, self.version)
        if not found and not self._written:
            return problems
        new: dict[str, dict[str, str]] = {}
        for setting in found:
            where = self._where(setting, unit, directory)
            if where:
                new.setdefault(where, {})[setting.file] = setting.value
        for where in (directory, *(self._path(c, unit) for c in self.v1)):
            if where not in self._written:
                continue
            for file in set(self._written[where]) - set(new.get(where, {})):
                if file in UNLIMITED:
                    new.setdefault(where, {})[file] = UNLIMITED[file]
        for where, files in new.items():
            for file, value in files.items():
                try:
                    _write(f"{where}/{file}", value)
                    self._written.setdefault(where, {})[file] = value
                except FileNotFoundError:
                    if value not in UNLIMITED.values():
                        problems.append(f"cannot set {file} to {value}, because this kernel has no such file")
                except OSError as error:
                    problems.append(f"cannot set {file} to {value}: {error.strerror}")
        return problems

    def remove(self, unit: Unit, directory: str) -> None:
        """The unit is down: its v1 directories go, its v2 one is the tree's to remove."""
        self._written.pop(directory, None)
        self._oom_kills.pop(unit.name, None)
        for controller in self.v1:
            path = self._path(controller, unit)
            if self._written.pop(path, None) is not None or os.path.isdir(path):
                _prune(path)
                while (path := os.path.dirname(path)) != self.v1[controller] and not folders(path):
                    _prune(path)

    def close(self) -> None:
        """Remove our v1 directories, when no unit runs any more."""
        for base in self.v1.values():
            _prune(base)

    def memory_events(self, unit: Unit, directory: str) -> str:
        """The file that changes when memory runs out in the unit's cgroup2 group; empty where there is none."""
        return f"{directory}/memory.events" if directory and self.version.get("memory") == 2 and os.path.exists(f"{directory}/memory.events") else ""

    def new_oom_kill(self, unit: Unit, directory: str) -> bool:
        """Has the kernel killed in the unit's group since the last question?"""
        now = self.oom_kills(unit, directory)
        before, self._oom_kills[unit.name] = self._oom_kills.get(unit.name, 0), now
        return now > before

    def oom_kills(self, unit: Unit, directory: str) -> int:
        """How often the kernel killed in the unit's group because memory ran out (memory.events, memory.oom_control)."""
        paths = [f"{directory}/memory.events"] if directory else []
        if "memory" in self.v1:
            paths.append(self._path("memory", unit) + "/memory.oom_control")
        for path in paths:
            for line in _text(path).splitlines():
                word, _, number = line.partition(" ")
                if word == "oom_kill" and number.isdigit():
                    return int(number)
        return 0

    # -- places

    def _slice_directory(self, unit: Unit, below: str) -> str:
        """The cgroup2 directory of a slice above the directory `below`."""
        head, found, _ = below.partition(f"/{unit.name}/")
        return f"{head}/{unit.name}" if found else ""

    def _path(self, controller: str, unit: Unit) -> str:
        chain = slice_chain(unit)
        name = () if unit.type == "slice" else (unit.name,)
        return "/".join((self.v1[controller], *chain, *name))

    def _where(self, setting: Setting, unit: Unit, directory: str) -> str:
        return self._path(setting.controller, unit) if self.version[setting.controller] == 1 else directory

    def _make(self, controller: str, unit: Unit) -> str:
        """The v1 directory of a unit, made with those above. A cpuset takes over what its parent has, or nothing could run in it."""
        path = self._path(controller, unit)
        if not os.path.isdir(path):
            os.makedirs(path, exist_ok=True)
        if controller == "cpuset":
            base = os.path.dirname(self.v1[controller])
            at = base
            for part in path[len(base) + 1 :].split("/"):
                above, at = at, f"{at}/{part}"
                for file in ("cpuset.cpus", "cpuset.mems"):
                    if not _text(f"{at}/{file}").strip():
                        _write(f"{at}/{file}", _text(f"{above}/{file}").strip())
        self._written.setdefault(path, {})
        return path

    def _enable(self, controller: str, directory: str) -> None:
        """Enable a v2 controller for every directory from ours down to the unit's parent. Raises OSError."""
        assert self.tree is not None
        own = os.path.dirname(self.tree.base)
        at = own
        for part in ["", *directory[len(own) + 1 :].split("/")[:-1]]:
            at = f"{at}/{part}" if part else at
            if (controller, at) not in self._enabled:
                try:
                    _write(f"{at}/cgroup.subtree_control", f"+{controller}")
                except OSError:
                    if at != own or os.path.isdir("/run/systemd/system"):
                        raise
                    _move_down(own)  # inner cgroups hold no processes ("no internal processes" rule)
                    _write(f"{at}/cgroup.subtree_control", f"+{controller}")
                self._enabled.add((controller, at))


def _move_down(own: str) -> None:
    """Put the processes of a container's root cgroup into a leaf of their own."""
    os.makedirs(f"{own}/init", exist_ok=True)
    for pid in _text(f"{own}/cgroup.procs").split():
        try:
            _write(f"{own}/init/cgroup.procs", pid)
        except ProcessLookupError:
            continue


def _v1_places() -> dict[str, str]:
    """Controller -> the directory of the cgroup we live in, in its v1 hierarchy."""
    paths = {}
    for line in _text("/proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number != "0":
            for name in names.split(","):
                paths[name] = path
    places = {}
    for line in _text("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.partition(" ")
        if kind != "cgroup":
            continue
        fields = left.split()
        mount, root = fields[4], fields[3]
        for ours in NEEDED:
            name = V1_NAME.get(ours, ours)
            path = paths.get(name, "")
            if name in options.split(" ")[-1].split(",") and path and ours not in places:
                if root != "/":
                    path = path[len(root) :] if path == root or path.startswith(root + "/") else "/"
                places[ours] = (mount + path).rstrip("/")
    return places


def _sweep(here: str) -> None:
    """Remove what wardens that are gone left behind, if nothing lives there."""
    for path in folders(here):
        name = os.path.basename(path)
        if name.startswith("unitd-") and name[6:].isdigit() and not os.path.exists(f"/proc/{name[6:]}"):
            _prune(path)


def _prune(path: str) -> None:
    """Remove a cgroup and those below it; one that holds processes stays."""
    for folder in folders(path):
        _prune(folder)
    try:
        os.rmdir(path)
    except OSError:
        return


def _text(path: str) -> str:
    return contents(path).decode("utf-8", "surrogateescape")


def _write(path: str, value: str) -> None:
    """One write(2): the kernel takes or refuses it as a whole. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)

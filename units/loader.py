"""Reads unit files from disk: search path, drop-ins, templates, aliases, masks, dependency directories (systemd.unit(5), UNIT FILE LOAD PATH)."""

from __future__ import annotations

import dataclasses
import grp
import os
import platform
import pwd
import time
from collections.abc import Iterator, Mapping, Sequence

from unitd.units import names
from unitd.units.errors import Problem
from unitd.units.lexer import Assignment, lex
from unitd.units.model import Unit
from unitd.units.parse import Defaults, build
from unitd.units.specifiers import HostFacts

MAX_SIZE = 1024 * 1024
#: Synchronisation points that distribution unit files name (systemd.special(7)); a file of the same name replaces them.
BUILT_IN = frozenset(
    f"{n}.target"
    for n in (
        "default multi-user graphical basic sysinit network network-online network-pre shutdown timers sockets paths slices local-fs local-fs-pre remote-fs "
        "remote-fs-pre time-sync time-set nss-lookup nss-user-lookup getty rescue emergency umount final reboot poweroff halt exit swap cryptsetup rpcbind "
        "system-update initrd sleep printer sound bluetooth smartcard"
    ).split()
)
ARCHITECTURES = {"x86_64": "x86-64", "i686": "x86", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64-le"}


def default_unit_paths(uid: int, environ: Mapping[str, str]) -> list[str]:
    """Where unit files are looked for, most important first."""
    if uid == 0:
        return ["/etc/unitd/units", "/run/unitd/units", "/usr/local/lib/unitd/units", "/usr/lib/unitd/units"]
    home = environ.get("HOME", "/")
    paths = [os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "unitd/units")]
    if environ.get("XDG_RUNTIME_DIR"):
        paths.append(os.path.join(environ["XDG_RUNTIME_DIR"], "unitd/units"))
    return [*paths, os.path.join(environ.get("XDG_DATA_HOME") or os.path.join(home, ".local/share"), "unitd/units")]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def host_facts() -> HostFacts:
    """What this machine and user are."""
    uid, gid = os.getuid(), os.getgid()
    try:
        entry = pwd.getpwuid(uid)
        user, home, shell = entry.pw_name, entry.pw_dir, entry.pw_shell
    except KeyError:
        user, home, shell = str(uid), os.environ.get("HOME", "/"), "/bin/sh"
    try:
        group = grp.getgrgid(gid).gr_name
    except KeyError:
        group = str(gid)
    pairs = [line.split("=", 1) for line in _read("/etc/os-release").splitlines() if "=" in line]
    base = HostFacts(
        uid=uid, gid=gid, user=user, group=group, home=home, shell=shell or "/bin/sh", hostname=platform.node(), machine_id=_read("/etc/machine-id"),
        boot_id=_read("/proc/sys/kernel/random/boot_id").replace("-", ""), arch=ARCHITECTURES.get(platform.machine(), platform.machine()),
        kernel=platform.release(), os_release=tuple((k, v.strip("\"'")) for k, v in pairs),
    )  # fmt: skip
    if uid == 0:
        return base
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(home, ".local/state")
    return dataclasses.replace(
        base,
        runtime_dir=os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/unitd-{uid}",  # noqa: S108 - checked by its user
        state_dir=state,
        cache_dir=os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache"),
        logs_dir=os.path.join(state, "log"),
        config_dir=os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"),
    )


class Loader:
    """Loads units by name. `load` reads the disk every time and never raises for what it finds there."""

    def __init__(self, paths: Sequence[str], host: HostFacts | None = None, defaults: Defaults | None = None) -> None:
        self.paths = [os.path.abspath(p) for p in paths]
        self.host = host or host_facts()
        self.defaults = defaults or Defaults()
        self._links: dict[str, tuple[int, dict[str, str]]] = {}

    # -- finding

    def find(self, name: str) -> str | None:
        """Path of the file, link or directory called `name`; the first directory wins."""
        for directory in self.paths:
            path = os.path.join(directory, name)
            if os.path.lexists(path):
                return path
        return None

    def list_files(self) -> dict[str, str]:
        """Every unit file: name -> path."""
        found: dict[str, str] = {}
        for directory in self.paths:
            for entry in sorted(_entries(directory)):
                if names.is_valid_name(entry):
                    found.setdefault(entry, os.path.join(directory, entry))
        return found

    def resolve(self, name: str) -> str:
        """The unit that `name` is an alias of (by symlink), or `name`."""
        for _ in range(8):
            path = self.find(name)
            if path is None and (template := names.template_of(name)) is not None:
                path = self.find(template)  # an alias of a template holds for its instances
            if path is None or not os.path.islink(path):
                return name
            target = os.path.basename(os.readlink(path))
            if target == name or not names.is_valid_name(target) or os.path.realpath(path) == "/dev/null":
                return name
            prefix, instance, suffix = names.split(name)
            if instance and names.split(target)[1] == "":
                target = f"{names.split(target)[0]}@{instance}.{suffix}"
            if target == name:
                return name
            name = target
        return name

    def changed(self, unit: Unit) -> bool:
        """Has any file of the unit changed since it was loaded (NeedDaemonReload)?"""
        for path, mtime in unit.mtimes:
            try:
                if os.stat(path).st_mtime_ns != mtime:
                    return True
            except OSError:
                return True
        have = set(unit.drop_in_paths)
        return bool(unit.fragment_path) and set(self._drop_ins(unit.name, unit.names)) != have

    # -- loading

    def load(self, name: str) -> Unit:
        """The unit as it is on disk now. Bad input shows in `load_state` and `problems`."""
        if not names.is_valid_name(name):  # also keeps "../x" from leaving the unit path
            problem = Problem("error", f"cannot load {name[:60]!r}, because it is no unit name", hint="a unit name looks like web.service or web@1.service")
            return Unit(name, load_state="error", names=(name,), problems=(problem,))
        asked = name
        name = self.resolve(name)
        aliases = tuple(dict.fromkeys([name, asked, *self._aliases(name)]))
        path = self.find(name)
        if path is None and (template := names.template_of(name)) is not None:
            path = self.find(self.resolve(template))
        problems: list[Problem] = []
        mtimes: list[tuple[str, int]] = []
        assignments: list[Assignment] = []
        state = "loaded"
        if path is None:
            if name not in BUILT_IN and not self._builtin_slice(name):
                return Unit(name, load_state="not-found", names=aliases, drop_in_paths=tuple(self._drop_ins(name, aliases)))
        else:
            if _is_mask(path):
                return Unit(name, load_state="masked", names=aliases, fragment_path=path)
            state = self._read_into(path, assignments, problems, mtimes)
        drop_ins = list(self._drop_ins(name, aliases))
        for drop_in in drop_ins:
            if os.path.realpath(drop_in) != "/dev/null" and self._read_into(drop_in, assignments, problems, mtimes) == "error":
                state = "error"
        unit, more = build(name, assignments, path or "", self.host, self.defaults, whole=state == "loaded")
        dependencies = dict(unit.unit.dependencies.items())
        for kind, directory in (("Wants", ".wants"), ("Requires", ".requires"), ("Upholds", ".upholds")):
            linked = self._linked(name, directory)
            if linked:
                dependencies[kind] = tuple(dict.fromkeys([*dependencies.get(kind, ()), *linked]))
        if unit.type == "target" and unit.unit.default_dependencies:
            pulled = [d for k in ("Wants", "Requires") for d in dependencies.get(k, ()) if d not in dependencies.get("Before", ())]
            dependencies["After"] = tuple(dict.fromkeys([*dependencies.get("After", ()), *pulled]))
        return dataclasses.replace(
            unit,
            load_state=state if state != "loaded" else unit.load_state,
            names=aliases,
            fragment_path=path or "",
            drop_in_paths=tuple(drop_ins),
            mtimes=tuple(mtimes),
            problems=tuple(problems + more),
            unit=dataclasses.replace(unit.unit, dependencies=dependencies),
        )

    @staticmethod
    def _builtin_slice(name: str) -> bool:
        return name.endswith(".slice")

    def _aliases(self, name: str) -> list[str]:
        found = []
        for directory in self.paths:
            found += [link for link, target in self._links_of(directory).items() if target == name and link != name]
        return sorted(found)

    def _links_of(self, directory: str) -> dict[str, str]:
        """Unit names that are links in a directory -> the name each points to; read again when the directory has changed."""
        try:
            changed = os.stat(directory).st_mtime_ns
            kept = self._links.get(directory)
            if kept is not None and kept[0] == changed:
                return kept[1]
            with os.scandir(directory) as entries:
                links = [entry for entry in entries if entry.is_symlink() and names.is_valid_name(entry.name)]
            found = {link.name: os.path.basename(os.readlink(link.path)) for link in links}
            # Directory times tick in milliseconds: what was changed just now may change again unseen.
            if time.time_ns() - changed > 100_000_000:
                self._links[directory] = (changed, found)
        except OSError:
            return {}
        return found

    def _read_into(self, path: str, assignments: list[Assignment], problems: list[Problem], mtimes: list[tuple[str, int]]) -> str:
        text, problem, mtime = read_text(path)
        mtimes.append((path, mtime))
        if problem is not None:
            problems.append(problem)
            return "error"
        found, wrong = lex(text, path)
        assignments += found
        problems += wrong
        return "error" if any(p.severity == "error" for p in wrong) else "loaded"

    def _linked(self, name: str, suffix: str) -> list[str]:
        found: set[str] = set()
        holders = [name]
        template = names.template_of(name)
        if template:
            holders.append(template)
        for directory in self.paths:
            for holder in holders:
                found.update(e for e in _entries(os.path.join(directory, holder + suffix)) if names.is_valid_name(e))
        return sorted(found)

    def _drop_ins(self, name: str, aliases: Sequence[str]) -> Iterator[str]:
        """Drop-ins in the order they apply: by file name over all directories; a file name counts once: own names before aliases, then the
        directory that comes first in the search path, then the most specific name (cases drop-002 to 016)."""
        general = name.rpartition(".")[2]  # service.d: below everything that names the unit
        folders = [
            os.path.join(directory, holder + ".d")
            for alias in dict.fromkeys([name, *aliases])
            for directory in self.paths
            for holder in _drop_in_names(alias)
            if holder != general
        ]
        folders += [os.path.join(directory, general + ".d") for directory in self.paths]
        chosen: dict[str, str] = {}
        for folder in dict.fromkeys(folders):
            for entry in _entries(folder):
                if entry.endswith(".conf"):
                    chosen.setdefault(entry, os.path.join(folder, entry))
        for entry in sorted(chosen):
            yield chosen[entry]


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


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _is_mask(path: str) -> bool:
    """A link to /dev/null or an empty file masks the unit (cases drop-013, drop-014)."""
    if os.path.realpath(path) == "/dev/null":
        return True
    try:
        status = os.stat(path)
    except OSError:
        return False
    return os.path.isfile(path) and status.st_size == 0


def read_text(path: str) -> tuple[str, Problem | None, int]:
    """(text, problem, mtime in ns) of a unit file; every way in which it can be no text is a problem, not an exception."""
    try:
        status = os.stat(path)
        mtime = status.st_mtime_ns
        if os.path.isdir(path):
            return "", Problem("error", f"cannot read {os.path.basename(path)}, because it is a directory", path, 0, "a unit is a text file"), mtime
        if not os.path.isfile(path):
            return "", Problem("error", f"cannot read {os.path.basename(path)}, because it is no regular file", path, 0, "a unit is a text file"), mtime
        if status.st_size > MAX_SIZE:
            return "", Problem("error", f"cannot read a unit file of {status.st_size} bytes", path, 0, f"unit files have at most {MAX_SIZE} bytes"), mtime
        with open(path, "rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        return "", Problem("error", f"cannot read the file, because: {error.strerror}", path), 0
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        return "", Problem("error", "cannot read the file, because it has a NUL byte: it is no text", path, line, "a unit is a text file"), mtime
    try:
        return data.decode("utf-8"), None, mtime
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return "", Problem("error", f"cannot read the file, because it is not UTF-8 (byte 0x{data[error.start]:02x})", path, line, "save it as UTF-8"), mtime

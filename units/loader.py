"""Reads unit files from disk: search path, drop-ins, templates, aliases, masks, dependency directories (systemd.unit(5), UNIT FILE LOAD PATH)."""

from __future__ import annotations

import grp
import os
import platform
import pwd
import stat
import time
from collections.abc import Mapping, Sequence

import msgspec

from unitd.units import implicit, names, pools, socket, special
from unitd.units.errors import Problem
from unitd.units.lexer import Assignment, lex
from unitd.units.localzone import local_zone
from unitd.units.model import Unit
from unitd.units.parse import Defaults, build
from unitd.units.searchpath import FRESH, Asked, SearchPath
from unitd.units.specifiers import HostFacts

MAX_SIZE = 1024 * 1024
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
        zone=local_zone(),
    )  # fmt: skip
    if uid == 0:
        return base
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(home, ".local/state")
    return msgspec.structs.replace(
        base,
        runtime_dir=os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/unitd-{uid}",  # noqa: S108 - checked by its user
        state_dir=state,
        cache_dir=os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache"),
        logs_dir=os.path.join(state, "log"),
        config_dir=os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"),
    )


class Loader(SearchPath):
    """Loads units by name. `load` never raises for what it finds, and gives the same object as long as nothing on disk has changed."""

    def __init__(self, paths: Sequence[str], host: HostFacts | None = None, defaults: Defaults | None = None, late: Sequence[str] = ()) -> None:
        super().__init__(paths, late)
        self.host = host or host_facts()
        self.defaults = defaults or Defaults()
        self._loaded: dict[str, Kept] = {}
        self.scales: dict[str, int] = {}  # template -> instances of its pool, over what its file says

    def scale(self, template: str, count: int) -> None:
        """The pool of `template` has so many instances from now on."""
        self.scales[template] = count
        for name in (pools.target_of(template), names.split(template)[0] + ".socket"):
            self._loaded.pop(name, None)

    def _pool(self, template: str) -> tuple[Unit, int]:
        """A template and how many instances its pool has; 0 if it is none."""
        unit = self._load(template)
        return unit, self.scales.get(template, unit.service.instances) if unit.load_state == "loaded" and unit.service.instances else 0

    def changed(self, unit: Unit) -> bool:
        """Has any file of the unit changed since it was loaded (NeedDaemonReload)?"""
        if any(_mtime(path) != mtime for path, mtime in unit.mtimes):
            return True
        return bool(unit.fragment_path) and set(self._drop_ins(unit.name, unit.names)) != set(unit.drop_in_paths)

    def load(self, name: str) -> Unit:
        """The unit as it is on disk now. Bad input shows in `load_state` and `problems`."""
        kept = self._loaded.get(name)
        if kept is not None and self._still_holds(kept):
            return kept.unit
        before, self._trace = self._trace, []
        try:
            unit = self._load(name)
            trace = tuple(self._trace)
        finally:
            self._trace = before
        if not any(time.time_ns() - mtime < FRESH for _, mtime in unit.mtimes):
            self._loaded[name] = Kept(unit, self.generation, trace)
        else:
            self._loaded.pop(name, None)
        return unit

    def _still_holds(self, kept: Kept) -> bool:
        """Would loading give the same again?"""
        for directory in (*self.paths, *self.late):
            self.listing(directory)
        for method, arguments, answer in kept.trace:
            if (self.generation != kept.generation or method == self._drop_ins or method == self._linked) and method(*arguments) != answer:
                return False
        kept.generation = self.generation
        return all(_mtime(path) == mtime for path, mtime in kept.unit.mtimes)

    def _load(self, name: str) -> Unit:
        if not names.is_valid_name(name):  # also keeps "../x" from leaving the unit path
            problem = Problem("error", f"cannot load {name[:60]!r}, because it is no unit name", hint="a unit name looks like web.service or web@1.service")
            return Unit(name, load_state="error", names=(name,), problems=(problem,))
        asked = name
        name = self.resolve(name)
        aliases = tuple(dict.fromkeys([name, asked, *self._aliases(name)]))
        path = self.find(name)
        if path is None and (template := names.template_of(name)) is not None:
            path = self.find(self.resolve(template))
        carrier = ""
        if path is None and name.endswith(".socket"):
            path, carrier = next(((found, service) for file, service in socket.carriers(name) if (found := self.find(self.resolve(file)))), (None, ""))
        problems: list[Problem] = []
        mtimes: list[tuple[str, int]] = []
        assignments: list[Assignment] = []
        state = "loaded"
        without_file = special.built_in(name) if path is None else None
        if path is None and (template := pools.template_of(name)) and self.find(self.resolve(template)):
            base, count = self._pool(template)
            if base.service.instances:
                return pools.target(name, base, count)
        if path is None:
            if without_file is None:
                return Unit(name, load_state="not-found", names=aliases, drop_in_paths=tuple(self._drop_ins(name, aliases)))
        elif self._is_mask(path):
            return Unit(name, load_state="masked", names=aliases, fragment_path=path, mtimes=((path, _mtime(path)),))
        else:
            path = self.follow(path)
            state = self._read_into(path, assignments, problems, mtimes)
            if state == "error":  # what is behind the bad line does not count, and drop-ins do not either
                line = next((p.line for p in problems if p.severity == "error"), 0)
                assignments = [a for a in assignments if a.line < line]
        passed = ""  # the socket that the [Socket] section of a service file stands for
        if carrier:
            for drop_in in self._drop_ins(carrier, [carrier]):
                self._read_drop_in(drop_in, assignments, problems, mtimes)
            if socket.shorthand(carrier, assignments) != name:
                return Unit(name, load_state="not-found", names=aliases, mtimes=tuple(mtimes))
            assignments = socket.own_lines(assignments, ("Socket",))
        drop_ins = self._drop_ins(name, aliases)
        for drop_in in drop_ins if state == "loaded" else ():
            self._read_drop_in(drop_in, assignments, problems, mtimes)
        if name.endswith(".service") and not socket.accepts(assignments):
            passed = socket.shorthand(name, assignments)
        if name.endswith(".service"):
            assignments = socket.own_lines(assignments, but=("Socket",))
        unit, more = build(name, assignments, path or "", self.host, self.defaults, whole=state == "loaded")
        if without_file is not None:
            unit = _under(without_file, unit)
        if passed and passed not in unit.service.sockets:
            unit = msgspec.structs.replace(unit, service=msgspec.structs.replace(unit.service, sockets=(*unit.service.sockets, passed)))
        if carrier.endswith("@.service"):
            unit = pools.triggers(unit, carrier, self._pool(carrier)[1])
        dependencies = pools.member(unit, socket.implicit(unit, unit.unit.dependencies, self._exists))
        for kind, suffix in (("Wants", ".wants"), ("Requires", ".requires"), ("Upholds", ".upholds")):
            linked = [names.instance_for(each, name) for each in self._linked(aliases, suffix)]
            if linked:
                dependencies[kind] = tuple(dict.fromkeys([*dependencies.get(kind, ()), *linked]))
        section = msgspec.structs.replace(
            unit.unit,
            dependencies=implicit.dependencies(unit, dependencies, self.host.uid != 0),
            ignore_on_isolate=implicit.ignores_isolate(unit, unit.settings),
        )
        return msgspec.structs.replace(
            unit,
            load_state=state if state != "loaded" else unit.load_state,
            names=aliases,
            fragment_path=path or "",
            drop_in_paths=tuple(drop_ins),
            mtimes=tuple(mtimes),
            problems=tuple(problems + more),
            unit=section,
        )

    def _is_null(self, path: str) -> bool:
        """Is it a link to /dev/null?"""
        return bool(self.points_to(path)) and os.path.realpath(path) == "/dev/null"

    def _exists(self, name: str) -> bool:
        return self.find(self.resolve(name)) is not None or ((template := names.template_of(name)) is not None and self.find(template) is not None)

    def _is_mask(self, path: str) -> bool:
        """A link to /dev/null or an empty file masks the unit (cases drop-013, drop-014)."""
        if self._is_null(path):
            return True
        try:
            status = os.stat(path)
        except OSError:
            return False
        return status.st_size == 0 and stat.S_ISREG(status.st_mode)

    def _read_drop_in(self, path: str, assignments: list[Assignment], problems: list[Problem], mtimes: list[tuple[str, int]]) -> None:
        """A drop-in counts up to its first line that is no unit file's; the unit loads all the same."""
        if self._is_null(path):
            return
        own: list[Assignment] = []
        wrong: list[Problem] = []
        self._read_into(path, own, wrong, mtimes)
        bad = next((p for p in wrong if p.severity == "error"), None)
        assignments += own if bad is None else [a for a in own if a.line < bad.line]
        for problem in wrong:
            if problem is bad:
                problem = msgspec.structs.replace(problem, severity="warning", message=f"{problem.message}; the rest of the drop-in is ignored")
            problems.append(problem)

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


class Kept:
    """A loaded unit, and what it depended on: it holds as long as these questions have these answers."""

    __slots__ = ("unit", "generation", "trace")

    def __init__(self, unit: Unit, generation: int, trace: tuple[Asked, ...]) -> None:
        self.unit, self.generation, self.trace = unit, generation, trace


def _under(built_in: Unit, unit: Unit) -> Unit:
    """A built-in unit with what drop-ins add to it."""
    base, more = built_in.unit, unit.unit
    merged = {k: tuple(dict.fromkeys([*base.dependencies.get(k, ()), *more.dependencies.get(k, ())])) for k in {**base.dependencies, **more.dependencies}}
    given = {key for section, key in unit.settings if section == "Unit"}
    section = msgspec.structs.replace(
        more,
        dependencies=merged,
        description=more.description or base.description,
        documentation=more.documentation or base.documentation,
        allow_isolate=more.allow_isolate if "AllowIsolate" in given else base.allow_isolate,
        default_dependencies=more.default_dependencies if "DefaultDependencies" in given else base.default_dependencies,
        refuse_manual_start=more.refuse_manual_start if "RefuseManualStart" in given else base.refuse_manual_start,
    )
    return msgspec.structs.replace(unit, unit=section)


def _mtime(path: str) -> int:
    """In ns; 0 for what is not there."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def read_text(path: str) -> tuple[str, Problem | None, int]:
    """(text, problem, mtime in ns) of a unit file; every way in which it can be no text is a problem, not an exception."""
    try:
        status = os.stat(path)
        mtime = status.st_mtime_ns
        if stat.S_ISDIR(status.st_mode):
            return "", Problem("error", f"cannot read {os.path.basename(path)}, because it is a directory", path, 0, "a unit is a text file"), mtime
        if not stat.S_ISREG(status.st_mode):
            return "", Problem("error", f"cannot read {os.path.basename(path)}, because it is no regular file", path, 0, "a unit is a text file"), mtime
        if status.st_size > MAX_SIZE:
            return "", Problem("error", f"cannot read a unit file of {status.st_size} bytes", path, 0, f"unit files have at most {MAX_SIZE} bytes"), mtime
        with open(path, "rb", buffering=0) as file:
            data = file.readall()
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

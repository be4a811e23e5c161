"""Assignments -> a typed unit, with every problem found on the way. Pure."""

from __future__ import annotations

import base64
import dataclasses
import difflib
import math
import re
from collections.abc import Callable
from typing import Any

from unitd.units import execline, names, values
from unitd.units.directives import DIRECTIVES, SECTIONS, Directive
from unitd.units.errors import Problem, ValueProblem
from unitd.units.lexer import Assignment
from unitd.units.model import (
    Command,
    Condition,
    ExecContext,
    ExecDirectory,
    ExitStatusSet,
    InstallSection,
    KillContext,
    ServiceSection,
    Unit,
    UnitSection,
)
from unitd.units.specifiers import HostFacts, resolver

STDOUT = ("inherit", "null", "tty", "journal", "kmsg", "journal+console", "kmsg+console", "syslog", "syslog+console", "socket")
STDIN = ("null", "tty", "tty-force", "tty-fail", "data", "socket")
JOB_MODES = ("fail", "replace", "replace-irreversibly", "isolate", "flush", "ignore-dependencies", "ignore-requirements")


@dataclasses.dataclass(frozen=True)
class Defaults:
    """Manager-wide defaults (unitd.conf), in seconds."""

    timeout_start: float = 90.0
    timeout_stop: float = 90.0
    restart_sec: float = 0.1
    start_limit_interval: float = 10.0
    start_limit_burst: int = 5


#: Values with which a confining directive confines nothing.
_OFF = frozenset(("", "no", "n", "false", "f", "off", "0", "infinity", "none", "default"))


class Fatal(ValueProblem):
    """A value that keeps the unit from loading."""


class Builder:
    """Collects typed fields while assignments come in."""

    def __init__(self, name: str, fragment: str, host: HostFacts, defaults: Defaults) -> None:
        self.name, self.host, self.defaults = name, host, defaults
        self.fields: dict[str, Any] = {}
        self.settings: dict[tuple[str, str], list[str]] = {}
        self.deps: dict[str, list[str]] = {}
        self.problems: list[Problem] = []
        self.bad = False
        self.place = (fragment, 0)
        self.resolve = resolver(name, fragment, host)

    def feed(self, a: Assignment) -> None:
        """Take one assignment in; a bad one becomes a problem at its line."""
        self.place = (a.file, a.line)
        directive = DIRECTIVES.get((a.section, a.key))
        if directive is None:
            self._unknown(a)
            return
        try:
            self._apply(directive, a)
        except Fatal as error:
            self.bad = True
            self.problems.append(Problem("error", f"{a.key}=: {error}", a.file, a.line, error.hint))
        except ValueProblem as error:
            self.problems.append(Problem("warning", f"{a.key}=: {error}; the line is ignored", a.file, a.line, error.hint))
        else:
            if directive.tier == "noted" and a.value.lower() not in _OFF:
                what = "would confine the service, but unitd does not apply it" if directive.confines else "is noted, unitd does not act on it"
                self.problems.append(Problem("warning" if directive.confines else "note", f"{a.key}= {what}", a.file, a.line, confines=directive.confines))

    def _unknown(self, a: Assignment) -> None:
        if a.section.startswith("X-") or a.key.startswith("X-"):
            if a.section == "X-Unitd":
                self.problems.append(Problem("warning", f"unknown directive {a.key}= in [X-Unitd] is ignored", a.file, a.line))
            return
        if a.section not in SECTIONS:
            near = difflib.get_close_matches(a.section, SECTIONS, 1)
            hint = f"did you mean [{near[0]}]?" if near else ""
            self.problems.append(Problem("warning", f"unknown section [{a.section}], {a.key}= is ignored", a.file, a.line, hint))
            return
        near = difflib.get_close_matches(a.key, [k for s, k in DIRECTIVES if s == a.section], 1)
        elsewhere = [s for s, k in DIRECTIVES if k == a.key]
        hint = f"it belongs into [{elsewhere[0]}]" if elsewhere else f"did you mean {near[0]}=?" if near else ""
        self.problems.append(Problem("warning", f"unknown directive {a.key}= in [{a.section}] is ignored", a.file, a.line, hint))

    def _apply(self, d: Directive, a: Assignment) -> None:
        kind, _, argument = d.kind.partition(":")
        reader: Callable[[Builder, Directive, str, str], None] = READERS[kind]
        reader(self, d, a.value, argument)
        kept = self.settings.setdefault((a.section, a.key), [])
        if not a.value and kind not in ("deps",):
            kept.clear()
        else:
            kept.append(a.value)

    def warn(self, message: str, hint: str = "") -> None:
        """Note a warning at the line that is being read."""
        self.problems.append(Problem("warning", message, *self.place, hint))

    # -- storing

    def put(self, path: str, value: object) -> None:
        self.fields[path] = value

    def reset(self, path: str) -> None:
        self.fields.pop(path, None)

    def append(self, path: str, *more: object) -> None:
        self.fields[path] = (*self.fields.get(path, ()), *more)

    def expanded(self, text: str) -> str:
        """Specifiers filled in; an unknown one is fatal (systemd.unit(5))."""
        try:
            return self.resolve(text)
        except ValueProblem as error:
            raise Fatal(str(error), error.hint) from None

    def soft(self, text: str) -> str:
        """Specifiers filled in; an unknown one drops the line only."""
        return self.resolve(text)


Reader = Callable[[Builder, Directive, str, str], None]


def scalar(read: Callable[[str], object]) -> Reader:
    """A value that the last assignment decides; empty resets it to the default."""

    def reader(b: Builder, d: Directive, value: str, _: str) -> None:
        if value == "":
            b.reset(d.field)
        else:
            b.put(d.field, read(value))

    return reader


def _str(b: Builder, d: Directive, value: str, _: str) -> None:
    b.put(d.field, b.soft(value))


def _enum(b: Builder, d: Directive, value: str, words: str) -> None:
    if value not in words.split(","):
        near = difflib.get_close_matches(value.lower(), words.split(","), 1)
        raise ValueProblem(f"cannot take {value!r}", f"did you mean {near[0]}?" if near else "one of " + words.replace(",", ", "))
    b.put(d.field, value)


def _int(b: Builder, d: Directive, value: str, bounds: str) -> None:
    low, _, high = bounds.partition(":")
    if value == "":
        b.reset(d.field)
    else:
        b.put(d.field, values.parse_int(value, int(low), int(high)))


def _timeout(text: str) -> float:
    return values.parse_timespan(text) or math.inf


def _timeout_both(b: Builder, d: Directive, value: str, _: str) -> None:
    seconds = _timeout(value) if value else 90.0
    b.put("service.timeout_start", seconds)
    b.put("service.timeout_stop", seconds)


def _command(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
        return
    try:
        b.append(d.field, *execline.parse_command_line(value, b.expanded))
    except Fatal:
        raise
    except ValueProblem as error:
        if value.lstrip("@:+!").startswith("-"):
            raise ValueProblem(str(error), error.hint) from None
        raise Fatal(str(error), error.hint) from None


def _exits(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.reset(d.field)
        return
    old: ExitStatusSet = b.fields.get(d.field, ExitStatusSet())
    codes, signals = set(old.codes), set(old.signals)
    for word in value.split():
        try:
            codes.add(values.parse_exit_code(word))
        except ValueProblem:
            try:
                signals.add(values.parse_signal(word))
            except ValueProblem:
                b.warn(f"{d.name}=: cannot read {word!r} as an exit status or signal; it is ignored", "write 0-255, a name such as TEMPFAIL, or a signal")
    b.put(d.field, ExitStatusSet(frozenset(codes), frozenset(signals)))


def _deps(b: Builder, d: Directive, value: str, _: str) -> None:
    have = b.deps.setdefault(d.name, [])
    for word, _special in execline.split_words(value):
        name = names.with_suffix(b.soft(word))
        if not names.is_valid_name(name):
            b.warn(f"{d.name}=: cannot take {word!r}, because it is no unit name; it is ignored", "unit names end in .service, .target, ...")
            continue
        if names.split(name)[1] == "":  # a bare template takes our own instance, or our prefix (systemd.unit(5))
            prefix, instance, _suffix = names.split(b.name)
            name = names.instance_name(name, instance or prefix)
        if name not in have and not (name == b.name and d.name in ("After", "Before")):
            have.append(name)


def _condition(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
        return
    trigger = value.startswith("|")
    rest = value[1:].lstrip() if trigger else value
    negate = rest.startswith("!")
    argument = b.soft(rest[1:].lstrip() if negate else rest)
    kind = d.name.removeprefix("Condition").removeprefix("Assert")
    if kind.startswith(("Path", "File", "Directory")) and not argument.startswith("/"):
        raise ValueProblem(f"cannot test {argument!r}, because the path is not absolute", "write an absolute path")
    b.append(d.field, Condition(kind, argument, trigger, negate))


def _words(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
    else:
        b.append(d.field, *(b.soft(w) for w, _s in execline.split_words(value)))


def _names(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
    else:
        b.append(d.field, *(names.with_suffix(b.soft(w)) for w, _s in execline.split_words(value)))


def _paths(b: Builder, d: Directive, value: str, _: str) -> None:
    _words(b, d, value, "")


def _documentation(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
        return
    for word in value.split():
        if re.match(r"(https?://|file:/|info:|man:)\S+", b.soft(word)):
            b.append(d.field, b.soft(word))
        else:
            b.warn(f"Documentation=: {word!r} is no URI and is ignored", "write https://..., file:/..., info:... or man:...")


def _environment(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
        return
    for word, _special in execline.split_words(value):
        key, equals, text = b.soft(word).partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            b.warn(f"Environment=: {word!r} is no assignment and is ignored", "write NAME=value, quoted as a whole if it has blanks")
        else:
            b.append(d.field, (key, text))


def _env_file(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
        return
    optional = value.startswith("-")
    path = b.soft(value[1:] if optional else value)
    if not path.startswith("/"):
        raise ValueProblem(f"cannot read {path!r}, because the path is not absolute", "write an absolute path")
    b.append(d.field, (path, optional))


def _workdir(b: Builder, d: Directive, value: str, _: str) -> None:
    optional = value.startswith("-")
    path = b.expanded(value[1:] if optional else value)
    if path and path != "~" and not path.startswith("/"):
        raise Fatal(f"cannot use {path!r}, because it is not absolute", "write an absolute path or ~")
    b.put("exec.working_directory", path)
    b.put("exec.working_directory_optional", optional)


def _path(b: Builder, d: Directive, value: str, _: str) -> None:
    path = b.soft(value)
    if path and not path.startswith("/"):
        raise ValueProblem(f"cannot use {path!r}, because it is not absolute", "write an absolute path")
    b.put(d.field, path)


def _pid_file(b: Builder, d: Directive, value: str, _: str) -> None:
    path = b.soft(value)
    if path and not path.startswith("/"):
        path = f"{b.host.runtime_dir}/{path}"
    b.put(d.field, "/run/" + path.removeprefix("/var/run/") if path.startswith("/var/run/") else path)


def _stdio(allowed: tuple[str, ...], prefixes: tuple[str, ...]) -> Reader:
    def reader(b: Builder, d: Directive, value: str, _: str) -> None:
        text = b.soft(value)
        kind, colon, rest = text.partition(":")
        if text == "":
            b.reset(d.field)
        elif colon and kind in prefixes and (kind == "fd" or rest.startswith("/")):
            b.put(d.field, text)
        elif text == "fd":
            b.put(d.field, "fd:" + {"standard_input": "stdin", "standard_output": "stdout"}.get(d.field.rpartition(".")[2], "stderr"))
        elif text in allowed:
            b.put(d.field, text.replace("syslog", "journal"))
        else:
            raise ValueProblem(f"cannot take {text!r}", "one of " + ", ".join((*allowed, *(p + ":..." for p in prefixes))))

    return reader


def _input_text(b: Builder, d: Directive, value: str, _: str) -> None:
    words = execline.split_words('"' + value.replace('"', '\\"') + '"', relaxed=True)
    b.put(d.field, b.fields.get(d.field, b"") + ("".join(w for w, _s in words)).encode("utf-8", "surrogateescape") + b"\n" if value else b"")
    if value:
        b.fields.setdefault("exec.standard_input", "data")


def _input_data(b: Builder, d: Directive, value: str, _: str) -> None:
    try:
        b.put(d.field, b.fields.get(d.field, b"") + base64.b64decode(value, validate=False) if value else b"")
    except ValueError as error:
        raise ValueProblem(f"cannot read base64: {error}") from None
    if value:
        b.fields.setdefault("exec.standard_input", "data")


def _directories(b: Builder, d: Directive, value: str, _: str) -> None:
    old: ExecDirectory = b.fields.get(d.field, ExecDirectory())
    if value == "":
        b.put(d.field, ExecDirectory((), old.mode))
        return
    found = list(old.names)
    for word, _special in execline.split_words(value):
        name = b.soft(word).partition(":")[0]
        if name.startswith("/") or ".." in name.split("/"):
            b.warn(f"{d.name}=: cannot make {name!r}, because it is not a plain relative path; it is ignored", "write a name such as myapp")
            continue
        if name not in found:
            found.append(name)
    b.put(d.field, ExecDirectory(tuple(found), old.mode))


def _dir_mode(b: Builder, d: Directive, value: str, _: str) -> None:
    old: ExecDirectory = b.fields.get(d.field, ExecDirectory())
    b.put(d.field, ExecDirectory(old.names, values.parse_mode(value) if value else 0o755))


def _limit(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.reset(d.field)
    else:
        b.put(d.field, values.parse_limit(d.name.removeprefix("Limit"), value))


def _capabilities(b: Builder, d: Directive, value: str, _: str) -> None:
    every = frozenset(range(len(values.CAPABILITIES)))
    old: frozenset[int] | None = b.fields.get(d.field)
    if value in ("", "~"):
        b.put(d.field, frozenset() if value == "" else every)
        return
    invert = value.startswith("~")
    found = set[int]()
    for word in value.lstrip("~").split():
        try:
            found.add(values.parse_capability(word))
        except ValueProblem as error:
            b.warn(f"{d.name}=: {error}; it is ignored", error.hint)
    if invert:
        b.put(d.field, (every if old is None else old) - found)
    else:
        b.put(d.field, frozenset(found) | (old or frozenset()))


def _choice(table: dict[str, int]) -> Reader:
    def reader(b: Builder, d: Directive, value: str, _: str) -> None:
        if value == "":
            b.reset(d.field)
        elif value in table:
            b.put(d.field, table[value])
        elif value.isascii() and value.isdigit() and int(value) in table.values():
            b.put(d.field, int(value))
        else:
            raise ValueProblem(f"cannot take {value!r}", "one of " + ", ".join(table))

    return reader


def _cpu_set(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.reset(d.field)
    else:
        b.put(d.field, b.fields.get(d.field, frozenset()) | values.parse_cpu_set(value))


def _job_mode(b: Builder, d: Directive, value: str, _: str) -> None:
    _enum(b, d, value, ",".join(JOB_MODES))


def _nsec(text: str) -> int:
    match = re.fullmatch(r"\s*([0-9]{1,19})\s*(ns|nsec)?\s*", text)
    return int(match[1]) if match else int((values.parse_usec(text) or 0) * 1000)


READERS: dict[str, Reader] = {
    "str": _str, "enum": _enum, "int": _int, "bool": scalar(values.parse_bool), "span": scalar(values.parse_timespan), "timeout": scalar(_timeout),
    "timeoutboth": _timeout_both, "uint": scalar(lambda t: values.parse_int(t, 0)), "signal": scalar(values.parse_signal), "mode": scalar(values.parse_mode),
    "exitcode": scalar(values.parse_exit_code), "command": _command, "exits": _exits, "deps": _deps, "condition": _condition, "words": _words,
    "quotedwords": _words, "names": _names, "paths": _paths, "documentation": _documentation, "environment": _environment, "envfile": _env_file,
    "workdir": _workdir, "path": _path, "pidfile": _pid_file, "stdout": _stdio(STDOUT, ("file", "append", "truncate", "fd")),
    "stdin": _stdio(STDIN, ("file", "fd")), "inputtext": _input_text, "inputdata": _input_data, "directories": _directories, "dirmode": _dir_mode,
    "limit": _limit, "capabilities": _capabilities, "cpuset": _cpu_set, "jobmode": _job_mode, "nsec": scalar(_nsec),
    "colonpaths": lambda b, d, v, _: b.put(d.field, tuple(p for p in b.soft(v).split(":") if p)),
    "ioclass": _choice({"none": 0, "realtime": 1, "best-effort": 2, "idle": 3}), "cpupolicy": _choice({"other": 0, "fifo": 1, "rr": 2, "batch": 3, "idle": 5}),
    "keep": lambda b, d, v, _: None,
}  # fmt: skip


def build(name: str, assignments: list[Assignment], fragment: str, host: HostFacts, defaults: Defaults) -> tuple[Unit, list[Problem]]:
    """The unit `name` from all its assignments (drop-ins included, in order), and every problem. Never raises."""
    b = Builder(name, fragment, host, defaults)
    for assignment in assignments:
        b.feed(assignment)
    groups: dict[str, dict[str, Any]] = {"unit": {}, "service": {}, "exec": {}, "kill": {}, "install": {}}
    for path, value in b.fields.items():
        group, _, rest = path.partition(".")
        field, _, key = rest.partition(".")
        if key:
            groups[group].setdefault(field, {})[key] = value
        else:
            groups[group][field] = value
    if b.deps:
        groups["unit"]["dependencies"] = {kind: tuple(units) for kind, units in b.deps.items()}
    groups["unit"].setdefault("start_limit_interval", defaults.start_limit_interval)
    groups["unit"].setdefault("start_limit_burst", defaults.start_limit_burst)
    service = groups["service"]
    _finish_service(b, name, service, fragment, defaults)
    unit = Unit(
        name,
        load_state="bad-setting" if b.bad else "loaded",
        unit=UnitSection(**groups["unit"]),
        service=ServiceSection(**service),
        exec=ExecContext(**groups["exec"]),
        kill=KillContext(**groups["kill"]),
        install=InstallSection(**groups["install"]),
        settings={key: tuple(v) for key, v in b.settings.items()},
    )
    return unit, b.problems


def _finish_service(b: Builder, name: str, service: dict[str, Any], fragment: str, defaults: Defaults) -> None:
    """Defaults that depend on other directives, and what a service cannot be without (service_verify)."""
    if not name.endswith(".service"):
        return
    start: tuple[Command, ...] = service.get("exec_start", ())
    if "type" not in service:
        service["type"] = "dbus" if service.get("bus_name") else "simple" if start else "oneshot"
    kind = service["type"]
    explicit = "timeout_start" in service
    service.setdefault("timeout_start", math.inf if kind == "oneshot" and not explicit else defaults.timeout_start)
    service.setdefault("timeout_stop", defaults.timeout_stop)
    service.setdefault("restart_sec", defaults.restart_sec)
    if kind in ("notify", "notify-reload") or service.get("watchdog") or service.get("file_descriptor_store_max"):
        if service.get("notify_access", "none") == "none":
            service["notify_access"] = "main"

    def refuse(message: str, hint: str = "") -> None:
        b.bad = True
        b.problems.append(Problem("error", message, fragment, 0, hint))

    if not start and not service.get("exec_stop") and not b.fields.get("unit.success_action"):
        refuse("cannot load the service, because it has no ExecStart=, ExecStop= or SuccessAction=", "add ExecStart= to [Service]")
    elif not start and not (service.get("remain_after_exit") or b.fields.get("unit.success_action")):
        refuse("cannot load the service, because without ExecStart= it needs RemainAfterExit=yes", "add ExecStart= or RemainAfterExit=yes")
    elif not start and kind != "oneshot":
        refuse(f"cannot load the service, because Type={kind} needs ExecStart=", "add ExecStart= to [Service]")
    if len(start) > 1 and kind != "oneshot":
        refuse("cannot load the service, because several ExecStart= are for Type=oneshot only", "set Type=oneshot, or reset ExecStart= with an empty line first")
    if kind == "oneshot" and service.get("restart") in ("always", "on-success"):
        refuse(f"cannot load the service, because Restart={service['restart']} does not go with Type=oneshot", "use Restart=on-failure")
    if kind == "dbus" and not service.get("bus_name"):
        refuse("cannot load the service, because Type=dbus needs BusName=", "unitd does not support Type=dbus; use Type=notify")
    elif kind == "dbus":
        b.problems.append(Problem("warning", "Type=dbus is not supported: the service counts as started at once", fragment))

"""unitd.conf: ConfigObj syntax, checked against SPEC, with the line of every mistake. Time spans and sizes are written as in unit files."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from unitd.units.errors import ValueProblem
from unitd.units.logvalues import log_age, log_compress
from unitd.units.values import parse_size, parse_timespan

if TYPE_CHECKING:
    from unitd.units.parse import Defaults

#: The configspec. Every key is optional.
SPEC = """
# Directories of unit files, most important first (a:b or a, b). Empty: the usual ones.
unit_path = paths(default="")
# Where the bus and the state are. Empty: /run/unitd, or $XDG_RUNTIME_DIR/unitd.
runtime_dir = absolute(default="")
# Where captured output goes. Empty: /var/log/unitd, or ~/.local/state/unitd/log.
log_dir = absolute(default="")
# What outlives the machine's restarts: stamps of timers. Empty: /var/lib/unitd, or ~/.local/state/unitd.
state_dir = absolute(default="")
# What to start at first: default, all, none, or unit names.
start = words(default="default")
log_level = option("debug", "info", "warning", "error", default="info")
# strict: refuse units with a confining directive that cannot be honoured.
sandbox = option("lenient", "strict", default="lenient")
# A unit's log is rotated at this size; this many files are kept, the current one included.
log_max_size = size(default="16M")
log_max_files = integer(min=1, max=10000, default=5)
# What is older than this goes; infinity: age does not matter.
log_max_age = age(default="infinity")
# Compress rotated files: no, yes (zstd where there is the Python package zstandard, else gzip), zstd, gzip.
log_compress = compress(default="no")
# Bring output to the disk: never, when a file is rotated, or every so often as well (a time span).
log_sync = sync(default="rotate")
# More lines than this in the interval are counted and dropped; 0: no limit. Units have LogRateLimitIntervalSec= and LogRateLimitBurst=.
log_rate_limit_interval = seconds(default="0")
log_rate_limit_burst = integer(min=0, max=1000000000, default=0)
# Show all captured output on unitd's own standard output as well (unitd --log-format does it too), and how: plain, prefix, json.
log_console = boolean(default=False)
log_format = option("plain", "prefix", "json", default="prefix")
# Where StandardOutput=journal goes if a journal listens there; empty: it is captured in any case.
journal_socket = string(default="/run/systemd/journal/stdout")
# Who may read logs besides unitd's own user: a group. Empty: adm where it exists and unitd is root. A service's own group may read its log.
log_group = string(default="")
default_timeout_start = timeout(default="90s")
default_timeout_stop = timeout(default="90s")
default_restart_sec = seconds(default="100ms")
default_start_limit_interval = seconds(default="10s")
default_start_limit_burst = integer(min=0, max=1000000, default=5)
# How long a stop of all units may take before unitd gives up; infinity: no limit.
stop_timeout = timeout(default="infinity")
# How long the manager may be stuck in one thing, or stopped, before the warden replaces it; infinity: never.
hang_timeout = timeout(default="30s")
# Keep a second manager ready to take over: a dead one is missed for some 20 ms instead of some 200, for 25 MB of memory.
standby = boolean(default=no)
# End when this unit has ended, with its exit code, as --exit-on does. Empty: run on.
exit_on = words(default="")
"""


class Config(msgspec.Struct, frozen=True):
    """unitd.conf, typed. None as a timeout means no limit; empty directories mean the usual ones."""

    unit_path: tuple[str, ...] = ()
    runtime_dir: str = ""
    log_dir: str = ""
    state_dir: str = ""
    start: str = "default"
    log_level: str = "info"
    sandbox: str = "lenient"
    log_max_size: int = 16 << 20
    log_max_files: int = 5
    log_max_age: float = 0.0
    log_compress: str = "no"
    log_sync: str = "rotate"  # never, rotate, or seconds
    log_rate_limit_interval: float = 0.0
    log_rate_limit_burst: int = 0
    log_group: str = ""
    log_console: bool = False
    log_format: str = "prefix"
    journal_socket: str = "/run/systemd/journal/stdout"
    default_timeout_start: float | None = 90.0
    default_timeout_stop: float | None = 90.0
    default_restart_sec: float = 0.1
    default_start_limit_interval: float = 10.0
    default_start_limit_burst: int = 5
    stop_timeout: float | None = None
    hang_timeout: float | None = 30.0
    standby: bool = False
    exit_on: str = ""

    def defaults(self) -> Defaults:
        """What the unit loader takes for directives that are absent."""
        from unitd.units.parse import Defaults

        return Defaults(
            timeout_start=_limit(self.default_timeout_start),
            timeout_stop=_limit(self.default_timeout_stop),
            restart_sec=self.default_restart_sec,
            start_limit_interval=self.default_start_limit_interval,
            start_limit_burst=self.default_start_limit_burst,
            strict=self.sandbox == "strict",
        )


class ConfigError(Exception):
    """unitd.conf cannot be used. `problems` has one line for each mistake: "FILE:LINE: what (hint)"."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def default_path(uid: int, environ: Mapping[str, str]) -> str:
    """Where unitd.conf is when nobody says."""
    if uid == 0:
        return "/etc/unitd/unitd.conf"
    base = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", "/"), ".config")
    return os.path.join(base, "unitd/unitd.conf")


def load(path: str, required: bool = False) -> Config:
    """The settings in `path`; a missing file means defaults unless it is `required`. Raises ConfigError with all mistakes."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        if required:
            raise ConfigError([f"{path}: no such file"]) from None
        return Config()
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: not UTF-8 text"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from None
    return parse(lines, path)


def parse(lines: list[str], path: str = "unitd.conf") -> Config:
    """As load, from lines of text."""
    from configobj import ConfigObj, ConfigObjError, flatten_errors, get_extra_values
    from configobj.validate import Validator

    problems: list[tuple[int, str]] = []
    try:
        found = ConfigObj(lines, configspec=SPEC.splitlines(), interpolation=False, file_error=True)
    except ConfigObjError as error:
        for each in getattr(error, "errors", None) or [error]:
            number = getattr(each, "line_number", None) or 0
            text = str(each.args[0] if each.args else each).rstrip(".")
            problems.append((number, _say(path, number, re.sub(r' at line "?\d+"?', "", text), "write KEY = VALUE")))
        raise ConfigError([text for _, text in sorted(problems)]) from None
    checks = {"paths": _paths, "absolute": _absolute, "words": _words, "size": _size, "seconds": _seconds, "timeout": _timeout}
    checks |= {"age": _age, "compress": _compress, "sync": _sync}
    known = Config.__struct_fields__
    result = found.validate(Validator(checks), preserve_errors=True)
    for sections, key in get_extra_values(found):
        name = key if not sections else sections[0]
        number = _line_of(lines, name)
        if sections or key in found.sections:
            problems.append((number, _say(path, number, f"[{name}] is not a section of unitd.conf", "write the keys without a section")))
        else:
            import difflib

            near = difflib.get_close_matches(name, known, 1, 0.6)
            problems.append((number, _say(path, number, f"{name} is not a key of unitd.conf", f"did you mean {near[0]}?" if near else "")))
    if result is not True:
        for _sections, key, reason in flatten_errors(found, result):
            number = _line_of(lines, str(key))
            hint = getattr(reason, "hint", "") or _hint(str(key))
            problems.append((number, _say(path, number, f"{key}: {str(reason).rstrip('.')}", hint)))
    if problems:
        raise ConfigError([text for _, text in sorted(dict.fromkeys(problems))])
    return Config(**{name: found[name] for name in known})


def _say(path: str, number: int, text: str, hint: str) -> str:
    return f"{path}:{number}: {text}" + (f" ({hint})" if hint else "") if number else f"{path}: {text}" + (f" ({hint})" if hint else "")


def _line_of(lines: list[str], key: str) -> int:
    """The last line that sets `key` or opens the section of that name; 0 if there is none."""
    pattern = re.compile(rf"""\s*(?:\[+\s*["']?{re.escape(key)}["']?\s*\]|["']?{re.escape(key)}["']?\s*=)""")
    return max((number for number, line in enumerate(lines, 1) if pattern.match(line)), default=0)


def _hint(key: str) -> str:
    """What may be written for a key, from the configspec."""
    match = re.search(rf"^{re.escape(key)} = (\w+)\((.*)\)$", SPEC, re.MULTILINE)
    if not match:
        return ""
    kind, arguments = match.groups()
    if kind == "option":
        return "write one of " + ", ".join(re.findall(r'"(\w+)"', arguments.partition("default")[0]))
    return "write a number" if kind == "integer" else ""


def _limit(value: float | None) -> float:
    return math.inf if value is None else value


# -- checks: they get what ConfigObj read, or the default


def _invalid(text: str, hint: str = "") -> Exception:
    from configobj.validate import ValidateError

    error: Exception = ValidateError(text)
    error.hint = hint  # type: ignore[attr-defined]
    return error


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, (list, tuple)) else str(value)


def _paths(value: Any) -> tuple[str, ...]:
    parts = value if isinstance(value, (list, tuple)) else str(value).split(":")
    found = tuple(part.strip() for whole in parts for part in str(whole).split(":") if part.strip())
    return tuple(_absolute(part) for part in found)


def _absolute(value: Any) -> str:
    text = _text(value)
    if text and not text.startswith("/"):
        raise _invalid(f"{text!r} is not an absolute path", "begin with /")
    return os.path.normpath(text) if text else ""


def _words(value: Any) -> str:
    return ",".join(str(v) for v in value) if isinstance(value, (list, tuple)) else str(value)


def _size(value: Any) -> int:
    try:
        return parse_size(_text(value)) or 0
    except ValueProblem as problem:
        raise _invalid(str(problem), problem.hint) from None


def _seconds(value: Any) -> float:
    try:
        found = parse_timespan(_text(value))
    except ValueProblem as problem:
        raise _invalid(str(problem), problem.hint) from None
    if math.isinf(found):
        raise _invalid("infinity makes no sense here", "write a time span such as 10s or 2min")
    return found


def _timeout(value: Any) -> float | None:
    return None if _text(value).strip() == "infinity" else _seconds(value) or None


def _age(value: Any) -> float:
    try:
        return log_age(_text(value))
    except ValueProblem as problem:
        raise _invalid(str(problem), problem.hint) from None


def _compress(value: Any) -> str:
    try:
        return log_compress(_text(value))
    except ValueProblem as problem:
        raise _invalid(str(problem), problem.hint) from None


def _sync(value: Any) -> str:
    text = _text(value).strip()
    return text if text in ("never", "rotate") else str(_seconds(value))

"""unitd.conf: ConfigObj with a configspec; a wrong key, type or value is an error with its line."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from unitd.units.errors import ValueProblem
from unitd.units.values import parse_size, parse_timespan

SPEC = """
unit_path = string(default="")
runtime_dir = string(default="")
log_dir = string(default="")
start = string(default="default")
log_level = option("debug", "info", "warning", "error", default="info")
sandbox = option("lenient", "strict", default="lenient")
log_max_size = size(default="16M")
log_max_files = integer(min=1, max=1000, default=5)
default_timeout_start = span(default="90s")
default_timeout_stop = span(default="90s")
default_restart_sec = span(default="100ms")
default_start_limit_interval = span(default="10s")
default_start_limit_burst = integer(min=0, default=5)
"""


@dataclass(frozen=True)
class Config:
    """Settings of the manager; empty strings mean: the place for this user."""

    unit_path: tuple[str, ...] = ()
    runtime_dir: str = ""
    log_dir: str = ""
    start: str = "default"
    log_level: str = "info"
    sandbox: str = "lenient"
    log_max_size: int = 16 << 20
    log_max_files: int = 5
    default_timeout_start: float = 90.0
    default_timeout_stop: float = 90.0
    default_restart_sec: float = 0.1
    default_start_limit_interval: float = 10.0
    default_start_limit_burst: int = 5


class ConfigError(Exception):
    """What is wrong with unitd.conf; `problems` has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def default_path(uid: int, environ: Mapping[str, str]) -> str:
    """Where unitd.conf is."""
    if uid == 0:
        return "/etc/unitd/unitd.conf"
    return os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", "/"), ".config"), "unitd/unitd.conf")


def load(path: str, required: bool = False) -> Config:
    """Read the file; one that does not exist gives the defaults unless `required`. Raises ConfigError with every problem."""
    import configobj
    from configobj.validate import ValidateError, Validator

    if not os.path.exists(path):
        if required:
            raise ConfigError([f"cannot read {path}, because there is no such file"])
        return Config()

    def span(text: str) -> float:
        return float(_checked(parse_timespan, text, ValidateError))

    def size(text: str) -> int:
        return _checked(parse_size, text, ValidateError) or 1 << 62

    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        parsed = configobj.ConfigObj(lines, configspec=SPEC.strip().splitlines(), interpolation=False, list_values=False)
    except configobj.ConfigObjError as error:
        raise ConfigError([f"{path}:{getattr(e, 'line_number', 0)}: {e}" for e in getattr(error, "errors", [error])]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"cannot read {path}, because: {error}"]) from None

    def line_of(key: str) -> int:
        return next((n for n, text in enumerate(lines, 1) if text.split("=")[0].strip() == key or text.strip() == f"[{key}]"), 0)

    known = [f.name for f in fields(Config)]
    problems: list[tuple[int, str]] = []
    checked = parsed.validate(Validator({"span": span, "size": size}), preserve_errors=True)
    for key in parsed:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            problems.append((line_of(key), f"unknown setting {key!r}" + (f", did you mean {near[0]}?" if near else "")))
    if checked is not True and isinstance(checked, dict):
        for key, result in checked.items():
            if result is not True and key in known:
                problems.append((line_of(key), f"cannot take {key} = {parsed[key]!r}, because: {result}"))
    if problems:
        raise ConfigError([f"{path}:{line}: {text}" for line, text in sorted(problems)])
    values: dict[str, Any] = {key: parsed[key] for key in known}
    values["unit_path"] = tuple(p for p in str(values["unit_path"]).split(":") if p)
    return replace(Config(), **values)


def _checked(read: Any, text: str, kind: type[Exception]) -> Any:
    try:
        return read(text)
    except ValueProblem as error:
        raise kind(str(error)) from None

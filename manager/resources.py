"""Which values systemd.resource-control(5) directives mean for the files of the kernel's controllers. Pure.

cgroup v2 is what the directives were made for; where a machine still has its memory, cpu and pids controllers in cgroup v1 (hybrid
and legacy mode), the nearest v1 file takes the value, as systemd does there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import msgspec

from unitd.units.errors import ValueProblem
from unitd.units.model import Unit
from unitd.units.values import parse_cpu_quota, parse_cpu_set, parse_permyriad, parse_size, parse_tasks, parse_timespan_usec, parse_weight

#: Directive -> controller, for the directives that are honoured where the controller is there.
CONTROLLER_OF = {
    "MemoryMax": "memory", "MemoryHigh": "memory", "MemoryLow": "memory", "MemoryMin": "memory", "MemorySwapMax": "memory", "MemoryZSwapMax": "memory",
    "MemoryLimit": "memory", "CPUQuota": "cpu", "CPUWeight": "cpu", "CPUShares": "cpu", "TasksMax": "pids", "IOWeight": "io", "AllowedCPUs": "cpuset",
    "AllowedMemoryNodes": "cpuset",
}  # fmt: skip
#: What a directive becomes when it is taken away while the group exists.
UNLIMITED = {
    "memory.max": "max", "memory.high": "max", "memory.low": "0", "memory.min": "0", "memory.swap.max": "max", "memory.zswap.max": "max",
    "cpu.max": "max", "cpu.weight": "100", "pids.max": "max", "io.weight": "default 100", "cpuset.cpus": "", "cpuset.mems": "",
    "memory.limit_in_bytes": "-1", "cpu.cfs_quota_us": "-1", "cpu.shares": "1024", "blkio.weight": "500",
}  # fmt: skip


class Host(msgspec.Struct, frozen=True):
    """What percentages are of."""

    memory: int  # bytes
    tasks: int  # the most processes the kernel allows


class Setting(msgspec.Struct, frozen=True):
    """One value for one file of one controller, wanted by `directive`."""

    controller: str
    file: str
    value: str
    directive: str


def wanted(unit: Unit) -> dict[str, str]:
    """Directive -> its value, for every controller directive that the unit sets (the last one counts)."""
    section = {"service": "Service", "slice": "Slice", "socket": "Socket"}.get(unit.type, "")
    given = CONTROLLER_OF.keys() & {name for where, name in unit.settings if where == section}
    if not given:
        return {}
    lines = {name: unit.settings[section, name] for name in CONTROLLER_OF if name in given}
    return {name: values[-1] for name, values in lines.items() if values and values[-1]}


def controllers(unit: Unit) -> set[str]:
    """The controllers that the unit's directives need."""
    return {CONTROLLER_OF[name] for name in wanted(unit)}


def slice_chain(unit: Unit) -> tuple[str, ...]:
    """The slices above the unit from the outermost in: `a-b.slice` lives in `a.slice` (systemd.slice(5)). Empty for the root slice.

    A service without Slice= is in system.slice; instances of a template get a slice of their own there in systemd, here they share it.
    """
    if unit.type == "slice":
        return _chain(unit.name)
    section = {"service": "Service", "socket": "Socket"}.get(unit.type, "")
    values = unit.settings.get((section, "Slice"))
    return _chain(values[-1] if values and values[-1] else "system.slice")


@functools.lru_cache(1024)
def _chain(name: str) -> tuple[str, ...]:
    if name == "-.slice" or not name.endswith(".slice"):
        return ()
    parts = name.removesuffix(".slice").split("-")
    return tuple("-".join(parts[: i + 1]) + ".slice" for i in range(len(parts)))


def _size(text: str, total: int) -> int | None:
    if text.endswith("%"):
        return total * parse_permyriad(text) // 10000 // 4096 * 4096
    return parse_size(text)


def _tasks(text: str, total: int) -> int | None:
    if text.endswith("%"):
        return total * parse_permyriad(text) // 10000
    return parse_tasks(text)


def _bytes(text: str, host: Host) -> str:
    value = _size(text, host.memory)
    return "max" if value is None else str(value)


def _period(unit: Unit) -> int:
    """CPUQuotaPeriodSec= in µs, within what the kernel takes (1 ms to 1 s)."""
    section = "Slice" if unit.type == "slice" else "Service"
    values = unit.settings.get((section, "CPUQuotaPeriodSec"))
    usec = parse_timespan_usec(values[-1]) if values and values[-1] else 100_000
    return min(max(usec, 1000), 1_000_000)


def _ranges(text: str) -> str:
    return ",".join(str(n) for n in sorted(parse_cpu_set(text)))


def settings(unit: Unit, host: Host, version: Mapping[str, int]) -> tuple[list[Setting], list[str]]:
    """(what to write, directives that nothing can be done for). `version` tells of each controller that is there whether it is v1 or v2."""
    found: list[Setting] = []
    missing: list[str] = []
    for name, text in wanted(unit).items():
        controller = CONTROLLER_OF[name]
        table = {1: _V1, 2: _V2}.get(version.get(controller, 0), {})
        make = table.get(name)
        if make is None:
            missing.append(name)
            continue
        try:
            found += [Setting(controller, file, value, name) for file, value in make(text, unit, host)]
        except ValueProblem:  # the loader has told of it and left it out
            continue
    if unit.service.oom_policy == "kill" and any(s.controller == "memory" for s in found) and version.get("memory") == 2:
        found.append(Setting("memory", "memory.oom.group", "1", "OOMPolicy"))
    return found, missing


Maker = Callable[[str, Unit, Host], list[tuple[str, str]]]


def _memory(file: str) -> Maker:
    return lambda text, _unit, host: [(file, _bytes(text, host))]


def _quota(text: str, unit: Unit, host: Host) -> list[tuple[str, str]]:
    period = _period(unit)
    return [("cpu.max", f"{max(int(parse_cpu_quota(text) * period), 1000)} {period}")]


def _quota_v1(text: str, unit: Unit, host: Host) -> list[tuple[str, str]]:
    period = _period(unit)
    return [("cpu.cfs_period_us", str(period)), ("cpu.cfs_quota_us", str(max(int(parse_cpu_quota(text) * period), 1000)))]


def _weight(text: str, unit: Unit, host: Host) -> list[tuple[str, str]]:
    weight = parse_weight(text)
    return [("cpu.idle", "1")] if weight is None else [("cpu.weight", str(weight))]


def _weight_v1(text: str, unit: Unit, host: Host) -> list[tuple[str, str]]:
    """CPUWeight= 100 is 1024 shares; at least 2."""
    weight = parse_weight(text)
    return [("cpu.shares", str(2 if weight is None else max(weight * 1024 // 100, 2)))]


def _shares(text: str, unit: Unit, host: Host) -> list[tuple[str, str]]:
    return [("cpu.weight", str(min(max(int(text) * 100 // 1024, 1), 10000)))]


def _pids(text: str, unit: Unit, host: Host) -> list[tuple[str, str]]:
    value = _tasks(text, host.tasks)
    return [("pids.max", "max" if value is None else str(value))]


def _limit_v1(text: str, unit: Unit, host: Host) -> list[tuple[str, str]]:
    value = _size(text, host.memory)
    return [("memory.limit_in_bytes", "-1" if value is None else str(value))]


_V2: dict[str, Maker] = {
    "MemoryMax": _memory("memory.max"),
    "MemoryLimit": _memory("memory.max"),
    "MemoryHigh": _memory("memory.high"),
    "MemoryLow": _memory("memory.low"),
    "MemoryMin": _memory("memory.min"),
    "MemorySwapMax": _memory("memory.swap.max"),
    "MemoryZSwapMax": _memory("memory.zswap.max"),
    "CPUQuota": _quota,
    "CPUWeight": _weight,
    "CPUShares": _shares,
    "TasksMax": _pids,
    "IOWeight": lambda text, _unit, _host: [("io.weight", f"default {parse_weight(text) or 1}")],
    "AllowedCPUs": lambda text, _unit, _host: [("cpuset.cpus", _ranges(text))],
    "AllowedMemoryNodes": lambda text, _unit, _host: [("cpuset.mems", _ranges(text))],
}
_V1: dict[str, Maker] = {
    "MemoryMax": _limit_v1,
    "MemoryLimit": _limit_v1,
    "CPUQuota": _quota_v1,
    "CPUWeight": _weight_v1,
    "CPUShares": lambda text, _unit, _host: [("cpu.shares", str(max(int(text), 2)))],
    "TasksMax": _pids,
    "IOWeight": lambda text, _unit, _host: [("blkio.weight", str(min(max((parse_weight(text) or 1) * 500 // 100, 10), 1000)))],
    "AllowedCPUs": lambda text, _unit, _host: [("cpuset.cpus", _ranges(text))],
    "AllowedMemoryNodes": lambda text, _unit, _host: [("cpuset.mems", _ranges(text))],
}

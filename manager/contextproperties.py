"""Properties of systemd.exec(5), systemd.kill(5) and systemd.resource-control(5), as `systemctl show` prints them.

Pure, but for the limits and the memory of this machine.
"""

from __future__ import annotations

import base64
import math
import os
import resource
from collections.abc import Callable, Iterable
from typing import TypeVar

from unitd.manager.controllers import host
from unitd.manager.showwords import infinite, words, yes
from unitd.manager.spawnspec import HARD_NOFILE, SOFT_NOFILE
from unitd.units.errors import ValueProblem
from unitd.units.implicit import slice_of
from unitd.units.model import Unit
from unitd.units.numbers import CAPABILITIES
from unitd.units.service import bidirectional
from unitd.units.values import (
    format_seconds,
    parse_bool,
    parse_cpu_quota,
    parse_memory_max,
    parse_permyriad,
    parse_size,
    parse_tasks,
    parse_timespan,
    parse_weight,
)

T = TypeVar("T")
_LIMIT_ORDER = (
    "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NOFILE", "AS", "NPROC", "MEMLOCK", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE",
    "RTPRIO", "RTTIME",
)  # fmt: skip


def exec_properties(unit: Unit) -> dict[str, str]:
    e = unit.exec
    files = "\n".join(f"{path} (ignore_errors={yes(optional)})" for path, optional in e.environment_files)
    found = {
        "Environment": words(f"{k}={v}" for k, v in dict(e.environment).items()),
        **({"EnvironmentFiles": files} if files else {}),
        "PassEnvironment": words(e.pass_environment),
        "UnsetEnvironment": words(e.unset_environment),
        "UMask": f"{e.umask:04o}",
    }
    for name in _LIMIT_ORDER:
        soft, hard = e.limits.get(name) or _inherited_limit(name)
        found["Limit" + name] = infinite(hard)
        found[f"Limit{name}Soft"] = infinite(soft)
    found |= {
        "WorkingDirectory": ("!" if e.working_directory_optional and e.working_directory else "") + e.working_directory,
        "RootDirectory": e.root_directory,
        "OOMScoreAdjust": str(e.oom_score_adjust or 0),
        "Nice": str(e.nice or 0),
        "IOSchedulingClass": str(e.io_scheduling_class or 2),
        "IOSchedulingPriority": str(4 if e.io_scheduling_priority is None else e.io_scheduling_priority),
        "CPUSchedulingPolicy": str(e.cpu_scheduling_policy or 0),
        "CPUSchedulingPriority": str(e.cpu_scheduling_priority),
        "CPUSchedulingResetOnFork": yes(e.cpu_scheduling_reset_on_fork),
        "CPUAffinity": _cpus(e.cpu_affinity),
        "TimerSlackNSec": str(50000 if e.timer_slack_nsec is None else e.timer_slack_nsec),
        "NonBlocking": yes(unit.service.non_blocking),
        "StandardInput": e.standard_input.partition(":")[0],
        "StandardInputData": base64.b64encode(e.standard_input_data).decode(),
        "StandardOutput": "journal" if e.standard_output == "inherit" and not bidirectional(e.standard_input) else e.standard_output.partition(":")[0],
        "StandardError": e.standard_error.partition(":")[0],
        "TTYPath": e.tty_path,
        "LogRateLimitIntervalUSec": format_seconds(e.log_rate_limit_interval or 0.0),
        "LogRateLimitBurst": str(e.log_rate_limit_burst or 0),
        "TTYReset": yes(e.tty_reset),
        "TTYVHangup": yes(e.tty_vhangup),
        "SyslogIdentifier": e.syslog_identifier,
        "SecureBits": str(e.secure_bits),
        "CapabilityBoundingSet": _capabilities(range(41) if e.capability_bounding_set is None else e.capability_bounding_set),
        "AmbientCapabilities": _capabilities(e.ambient_capabilities),
        "DynamicUser": yes(e.dynamic_user),
        "User": e.user,
        "Group": e.group,
        "SupplementaryGroups": words(e.supplementary_groups),
        "NoNewPrivileges": yes(e.no_new_privileges),
        "IgnoreSIGPIPE": yes(e.ignore_sigpipe),
        "ExecSearchPath": words(e.exec_search_path),
        "RuntimeDirectoryPreserve": e.runtime_directory_preserve,
    }
    for kind in ("Runtime", "State", "Cache", "Logs", "Configuration"):
        directory = e.directories.get(kind)
        found[f"{kind}DirectoryMode"] = f"{directory.mode if directory else 0o755:04o}"
        found[f"{kind}Directory"] = words(directory.names) if directory else ""
    return found


def _inherited_limit(name: str) -> tuple[int | None, int | None]:
    """What a service gets without the directive: unitd's own limit, but of open files what systemd gives (`spawnspec.SOFT_NOFILE`)."""
    soft, hard = resource.getrlimit(10 if name == "LOCKS" else getattr(resource, f"RLIMIT_{name}"))
    if name == "NOFILE":
        hard = HARD_NOFILE if hard < 0 or os.geteuid() == 0 else min(HARD_NOFILE, hard)
        soft = min(SOFT_NOFILE, hard)
    return (None if soft < 0 else soft), (None if hard < 0 else hard)


def kill_properties(unit: Unit) -> dict[str, str]:
    k = unit.kill
    return {
        "KillMode": k.mode,
        "KillSignal": str(k.signal),
        "RestartKillSignal": str(k.signal if k.restart_signal is None else k.restart_signal),
        "FinalKillSignal": str(k.final_signal),
        "SendSIGKILL": yes(k.send_sigkill),
        "SendSIGHUP": yes(k.send_sighup),
        "WatchdogSignal": str(k.watchdog_signal),
    }


def resource_properties(unit: Unit) -> dict[str, str]:
    """Directives of systemd.resource-control(5) from what the unit file says."""
    found = {"Slice": slice_of(unit), "Delegate": yes(bool(_setting(unit, "Delegate", _delegates)))}
    quota = _setting(unit, "CPUQuota", parse_cpu_quota)
    found["CPUQuotaPerSecUSec"] = "infinity" if quota is None else format_seconds(quota)
    period = _setting(unit, "CPUQuotaPeriodSec", parse_timespan)
    found["CPUQuotaPeriodUSec"] = "infinity" if period is None else format_seconds(period)
    for name in ("CPUWeight", "IOWeight"):
        found[name] = _setting(unit, name, _weight) or "[not set]"
    for name in ("MemoryMin", "MemoryLow"):
        found[name] = infinite(_setting(unit, name, _size)) if _setting(unit, name, str) else "0"
    if found["MemoryMin"] == "infinity":
        found["MemoryMin"] = str(2**64 - 1)  # systemctl has no word for it here
    for name, read in (("MemoryHigh", _limit), ("MemoryMax", _limit), ("MemorySwapMax", _size)):
        found[name] = infinite(_setting(unit, name, read))
    found["TasksMax"] = infinite(_setting(unit, "TasksMax", _tasks))
    return found


def _delegates(text: str) -> bool:
    """A boolean; names of controllers are a yes."""
    try:
        return parse_bool(text)
    except ValueProblem:
        return True


def _weight(text: str) -> str:
    return text if text == "idle" else str(parse_weight(text))


def _tasks(text: str) -> int | None:
    return host().tasks * parse_permyriad(text) // 10000 if text.endswith("%") else parse_tasks(text)


def _size(text: str) -> int | None:
    """Bytes; a percentage is of the machine's memory, in whole pages (case value-068)."""
    if text.endswith("%"):
        scale = parse_permyriad(text) * (2**32 - 1) // 10000
        return os.sysconf("SC_PHYS_PAGES") * scale // (2**32 - 1) * os.sysconf("SC_PAGE_SIZE")
    return parse_size(text)


def _limit(text: str) -> int | None:
    """As `_size`, but 0 is refused (case value-070)."""
    parse_memory_max(text)
    return _size(text)


def _cpus(cpus: frozenset[int]) -> str:
    """`0-3 6`."""
    spans: list[list[int]] = []
    for cpu in sorted(cpus):
        if spans and spans[-1][1] == cpu - 1:
            spans[-1][1] = cpu
        else:
            spans.append([cpu, cpu])
    return " ".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)


def _capabilities(numbers: Iterable[int]) -> str:
    return " ".join(f"cap_{CAPABILITIES[n].lower()}" for n in sorted(numbers) if n < len(CAPABILITIES))


def _setting(unit: Unit, name: str, read: Callable[[str], T]) -> T | None:
    """The last good value of a directive without a typed field; None when it was not set, or emptied."""
    values = unit.settings.get((unit.type.capitalize(), name), ())
    for text in reversed(values):
        if not text:
            return None
        try:
            value = read(text)
        except ValueProblem:
            continue
        return None if isinstance(value, float) and math.isinf(value) else value
    return None

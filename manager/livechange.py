"""What set-property can change in processes that run: limits, nice level, OOM score, CPUs (prlimit(2), setpriority(2), sched_setaffinity(2), proc(5))."""

from __future__ import annotations

import os
import resource
from collections.abc import Collection, Iterable, Iterator

from unitd.units.model import ExecContext, Unit
from unitd.units.tables import resource as resource_rows

#: Directives that the kernel takes for running processes, besides Limit*.
PROCESS = ("Nice", "OOMScoreAdjust", "CPUAffinity")
#: Directives of controllers, written to the cgroup at once.
CONTROLLED = frozenset(row.name for row in resource_rows.ROWS if row.tier != "noted")
#: Directives that are read when a process is made, or that say how the running one was made: the next start has them.
STARTING = frozenset(
    "Type RemainAfterExit ExecCondition ExecStartPre ExecStart ExecStartPost User Group SupplementaryGroups DynamicUser WorkingDirectory RootDirectory "  # noqa: SIM905
    "Environment EnvironmentFile PassEnvironment UnsetEnvironment ExecSearchPath UMask StandardInput StandardOutput StandardError StandardInputText "
    "StandardInputData TTYPath NoNewPrivileges CapabilityBoundingSet AmbientCapabilities SecureBits IOSchedulingClass IOSchedulingPriority "
    "CPUSchedulingPolicy CPUSchedulingPriority CPUSchedulingResetOnFork TimerSlackNSec RuntimeDirectory StateDirectory CacheDirectory LogsDirectory "
    "ConfigurationDirectory RuntimeDirectoryMode StateDirectoryMode CacheDirectoryMode LogsDirectoryMode ConfigurationDirectoryMode IgnoreSIGPIPE "
    "LoadCredential SetCredential NonBlocking Sockets WatchdogSec PIDFile BusName Slice LogStreams Delegate".split()
)


def needs_restart(key: str) -> bool:
    """Does what runs keep the old value until it is started again?"""
    return key in STARTING


def apply(unit: Unit, keys: Iterable[str], pids: Collection[int]) -> list[str]:
    """Give the processes of a unit what its definition says now about `keys`. What went wrong, a sentence each; processes that are gone are no problem."""
    problems: dict[str, None] = {}
    wanted = list(keys)
    for pid in pids:
        for key, change in _changes(unit.exec, wanted, pid):
            try:
                change()
            except (ProcessLookupError, FileNotFoundError):
                break
            except (OSError, ValueError) as error:
                problems[f"cannot change {key}= of running processes: {getattr(error, 'strerror', None) or error}"] = None
    return list(problems)


class _Change:
    """One call for one process."""

    def __init__(self, kind: str, pid: int, value: object) -> None:
        self.kind, self.pid, self.value = kind, pid, value

    def __call__(self) -> None:
        value = self.value
        if isinstance(value, tuple):
            soft, hard = value
            resource.prlimit(self.pid, getattr(resource, f"RLIMIT_{self.kind.removeprefix('Limit')}"), (soft, hard))
        elif self.kind == "Nice" and isinstance(value, int):
            os.setpriority(os.PRIO_PROCESS, self.pid, value)
        elif self.kind == "OOMScoreAdjust":
            with open(f"/proc/{self.pid}/oom_score_adj", "w", encoding="ascii") as file:
                file.write(f"{value}\n")
        elif isinstance(value, frozenset):
            os.sched_setaffinity(self.pid, value)


def _changes(e: ExecContext, keys: list[str], pid: int) -> Iterator[tuple[str, _Change]]:
    for key in keys:
        if key.startswith("Limit"):
            limit = e.limits.get(key.removeprefix("Limit"))
            if limit is not None and hasattr(resource, f"RLIMIT_{key.removeprefix('Limit')}"):
                yield key, _Change(key, pid, tuple(resource.RLIM_INFINITY if v is None else v for v in limit))
        elif key == "Nice":
            yield key, _Change(key, pid, e.nice or 0)
        elif key == "OOMScoreAdjust" and e.oom_score_adjust is not None:
            yield key, _Change(key, pid, e.oom_score_adjust)
        elif key == "CPUAffinity":
            yield key, _Change(key, pid, e.cpu_affinity or frozenset(range(os.cpu_count() or 1)))

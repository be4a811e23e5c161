"""What `status`, `list-units` and `show` tell about a unit: records turned into plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from unitd.bus import logread
from unitd.manager import procinfo, resources, triggerviews
from unitd.manager.engine import Engine, first_error
from unitd.manager.properties import properties
from unitd.manager.showwords import words
from unitd.manager.states import Record
from unitd.units.installstate import States
from unitd.units.model import Unit
from unitd.units.socket import WORDS
from unitd.units.transient import is_transient

if TYPE_CHECKING:
    from unitd.manager.controllers import Controllers
    from unitd.manager.output import Output
    from unitd.manager.processes import Processes
    from unitd.units.loader import Loader

LOG_LINES = 10
#: Dependencies that `show` prints from both ends.
RELATED = (
    "Requires", "Wants", "RequiredBy", "RequisiteOf", "WantedBy", "BoundBy", "ConsistsOf", "UpheldBy", "Conflicts", "ConflictedBy", "Before", "After",
    "PropagatesReloadTo", "ReloadPropagatedFrom", "PropagatesStopTo", "StopPropagatedFrom", "OnFailureOf", "OnSuccessOf", "Triggers", "TriggeredBy",
)  # fmt: skip


class Views:
    """Reads; changes nothing."""

    def __init__(self, engine: Engine, loader: Loader, processes: Processes, output: Output, paths: list[str], controllers: Controllers) -> None:
        self.engine, self.loader, self.processes, self.output, self.paths = engine, loader, processes, output, paths
        self.controllers = controllers
        self.sources: list[Callable[[Unit], dict[str, str]]] = []  # properties that other parts know
        self.file_states = States(loader)

    def unit_file_state(self, unit: Unit) -> str:
        """As `is-enabled` prints it; empty for a unit without a file."""
        if not unit.fragment_path and unit.load_state != "masked":
            return ""
        return "transient" if is_transient(unit.fragment_path) else self.file_states.state(unit.name)

    def row(self, unit: Unit) -> dict[str, Any]:
        """One line of list-units."""
        record = self.engine.record(unit.name)
        job = self.engine.jobs.get(unit.name)
        return {
            "unit": unit.name,
            "load": unit.load_state,
            "active": record.active,
            "sub": record.sub,
            "description": unit.unit.description or unit.name,
            "job": job.type if job else "",
        }

    def extra(self, unit: Unit) -> dict[str, str]:
        """Properties that come from elsewhere than the unit and its record."""
        graph, name = self.engine.graph, unit.name
        job = self.engine.jobs.get(name)
        found = {
            "UnitFileState": self.unit_file_state(unit),
            "NeedDaemonReload": "yes" if unit.fragment_path and self.loader.changed(unit) else "no",
            "Job": str(job.id) if job else "",
            "ControlGroup": self.engine.record(name).cgroup,
            "CanStart": "no" if unit.unit.refuse_manual_start or unit.load_state != "loaded" else "yes",
            "CanStop": "no" if unit.unit.refuse_manual_stop else "yes",
            "CanReload": "yes" if self.engine.can_reload(unit) else "no",
        }
        for kind in RELATED:
            found[kind] = words(sorted(graph.related(name, kind)))
        for source in self.sources:
            found |= source(unit)
        error = next((p for p in unit.problems if p.severity == "error"), None)
        if error is not None:
            found["LoadError"] = str(error)
        return found

    def show(self, unit: Unit) -> dict[str, str]:
        """Every property."""
        return properties(unit, self.engine.record(unit.name), self.extra(unit))

    def status(self, unit: Unit, lines: int) -> dict[str, Any]:
        """All that `status` prints."""
        record = self.engine.record(unit.name)
        members = self.processes.members(unit.name, record) if record.active not in ("inactive", "failed") and unit.type == "service" else set()
        memory, cpu, tasks = procinfo.usage(members)
        tree = procinfo.tree(members)
        now = self.engine.platform.realtime()
        pending = record.deadlines.get("restart")
        restart = None
        if pending is not None:
            limited = unit.unit.start_limit_interval > 0 and unit.unit.start_limit_burst > 0
            restart = {
                "in_seconds": max(0.0, pending[0] - self.engine.platform.now()),
                "attempt": record.restart_attempt,
                "burst": unit.unit.start_limit_burst if limited else 0,
                "delay": record.restart_delay,
            }
        stamp = {"active": "ActiveEnter", "reloading": "ActiveEnter", "inactive": "InactiveEnter", "failed": "InactiveEnter"}
        return {
            "unit": unit.name,
            "found": unit.load_state != "not-found" or record.active not in ("inactive",),
            "names": list(unit.names),
            "description": unit.unit.description or unit.name,
            "load": unit.load_state,
            "load_error": first_error(unit) if unit.load_state in ("error", "bad-setting") else "",
            "fragment": unit.fragment_path,
            "drop_ins": list(unit.drop_in_paths),
            "unit_file_state": self.unit_file_state(unit),
            "active": record.active,
            "sub": record.sub,
            "result": record.result,
            "since": record.stamps.get(stamp.get(record.active, "InactiveExit"), 0.0) or record.stamps.get("StateChange", 0.0),
            "active_enter": record.stamps.get("ActiveEnter", 0.0),
            "active_exit": record.stamps.get("ActiveExit", 0.0),
            "inactive_enter": record.stamps.get("InactiveEnter", 0.0),
            "now": now,
            "main_pid": record.main_pid,
            "main_comm": procinfo.name(record.main_pid),
            "control_pid": record.control_pid,
            "control_role": record.control_role,
            "status_text": record.status_text,
            "status_errno": record.status_errno,
            "exec_main_pid": record.exec_main_pid,
            "exec_main_code": record.exec_main_code,
            "exec_main_status": record.exec_main_status,
            "processes": self._ended(unit, record),
            "memory": memory,
            "cpu": cpu,
            "tasks": tasks,
            "tree": tree,
            "restart": restart,
            "last_failure": record.last_failure,
            "warnings": [str(p) for p in unit.problems if p.severity == "warning"] + self.unlimited(unit) + _lost(record),
            "log_lost": record.log_lost,
            "docs": list(unit.unit.documentation),
            "triggered_by": self._related(unit, "TriggeredBy"),
            "triggers": self._related(unit, "Triggers"),
            "listen": [f"{lis.address} ({WORDS[lis.kind]})" for lis in unit.socket.listeners],
            "trigger": triggerviews.next_of(unit, record, now, self.engine.platform.now()),
            "log": self.log_tail(unit.name, lines),
            "need_daemon_reload": bool(unit.fragment_path) and self.loader.changed(unit),
        }

    def unlimited(self, unit: Unit) -> list[str]:
        """One sentence for each limit that this machine has no controller for."""
        return [f"{name}= has no effect here, because no {resources.CONTROLLER_OF[name]} controller can be used" for name in self.controllers.missing(unit)]

    def _related(self, unit: Unit, kind: str) -> list[dict[str, str]]:
        """Units under a dependency, with their state."""
        return [self.dotted(name) for name in sorted(self.engine.graph.related(unit.name, kind))]

    @staticmethod
    def _ended(unit: Unit, record: Record) -> list[dict[str, Any]]:
        if not record.exec_main_code or record.main_pid or not unit.service.exec_start:
            return []
        command = unit.service.exec_start[-1]
        return [
            {
                "role": "ExecStart",
                "pid": record.exec_main_pid,
                "command": " ".join([command.path, *command.argv[1:]]),
                "code": record.exec_main_code,
                "status": record.exec_main_status,
            }
        ]

    def dotted(self, name: str) -> dict[str, str]:
        """A unit that others show beside themselves."""
        return {"unit": name, "active": self.engine.record(name).active}

    def log_tail(self, name: str, lines: int) -> list[str]:
        """The last lines of output, as text."""
        return [line.text.decode("utf-8", "backslashreplace") for line in logread.tail(self.output.directory(name), lines)] if lines else []


def _lost(record: Record) -> list[str]:
    return [f"{record.log_lost} bytes of output were lost, because the log could not be written: {record.log_lost_why}"] if record.log_lost else []

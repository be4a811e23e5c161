"""Every property of a unit, as `systemctl show` prints it (systemd 252, org.freedesktop.systemd1(5)).

A value with several lines is a property that `show` prints several times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unitd.bus.timetext import stamp
from unitd.manager import triggerviews
from unitd.manager.contextproperties import exec_properties, kill_properties, resource_properties
from unitd.manager.showwords import words, yes
from unitd.manager.states import Record
from unitd.units.model import Command, ExitStatusSet, Unit
from unitd.units.socket import WORDS, descriptor_name
from unitd.units.transient import is_transient
from unitd.units.values import (
    format_seconds,
    format_timespan,
    signal_name,
)

_CODES = {0: "(null)", 1: "exited", 2: "killed", 3: "dumped", 4: "trapped", 5: "stopped", 6: "continued"}
_ROLES = ("ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost")
_FIELDS = ("exec_condition", "exec_start_pre", "exec_start", "exec_start_post", "exec_reload", "exec_stop", "exec_stop_post")
_SOCKET_ROLES = ("ExecStartPre", "ExecStartPost", "ExecStopPre", "ExecStopPost")
_DEPENDENCIES = (
    "Requires", "Requisite", "Wants", "BindsTo", "PartOf", "Upholds", "RequiredBy", "RequisiteOf", "WantedBy", "BoundBy",
    "UpheldBy", "ConsistsOf", "Conflicts", "ConflictedBy", "Before", "After",
    "OnSuccess", "OnSuccessOf", "OnFailure", "OnFailureOf", "Triggers", "TriggeredBy",
    "PropagatesReloadTo", "ReloadPropagatedFrom", "PropagatesStopTo", "StopPropagatedFrom", "JoinsNamespaceOf",
)  # fmt: skip
_CLEANED = {"runtime": "Runtime", "state": "State", "cache": "Cache", "logs": "Logs", "configuration": "Configuration"}
_STAMPS = ("StateChange", "InactiveExit", "ActiveEnter", "ActiveExit", "InactiveEnter")


def properties(unit: Unit, record: Record, extra: Mapping[str, str]) -> dict[str, str]:
    """Property -> value in systemd's order. `extra` has what neither unit nor record know (UnitFileState, Job, RequiredBy, ...)
    and wins."""
    found: dict[str, str] = {}
    if unit.type == "service":
        found |= _service(unit, record)
        found |= resource_properties(unit)
        found |= exec_properties(unit)
        found |= kill_properties(unit)
    elif unit.type == "socket":
        found |= _socket(unit, record)
    elif unit.type == "timer":
        found |= triggerviews.timer(unit, record)
    elif unit.type == "path":
        found |= triggerviews.path(unit, record)
    found |= _unit(unit, record, extra)
    for key, value in extra.items():
        found[key] = value
    return found


# -- the service


def _service(unit: Unit, record: Record) -> dict[str, str]:
    s = unit.service
    abort = s.timeout_stop if s.timeout_abort is None else s.timeout_abort
    found = {
        "Type": s.type if unit.load_state in ("loaded", "bad-setting") or ("Service", "Type") in unit.settings else "",
        "ExitType": s.exit_type,
        "Restart": s.restart,
        "RestartMode": s.restart_mode,
        "PIDFile": s.pid_file,
        "NotifyAccess": record.notify_access or s.notify_access,
        "RestartUSec": format_seconds(s.restart_sec),
        "RestartSteps": str(s.restart_steps),
        "RestartMaxDelayUSec": format_seconds(s.restart_max_delay),
        "RestartUSecNext": format_seconds(record.restart_delay or s.restart_sec),
        "TimeoutStartUSec": format_seconds(s.timeout_start),
        "TimeoutStopUSec": format_seconds(s.timeout_stop),
        "TimeoutAbortUSec": format_seconds(abort),
        "TimeoutStartFailureMode": s.timeout_start_failure_mode,
        "TimeoutStopFailureMode": s.timeout_stop_failure_mode,
        "RuntimeMaxUSec": format_seconds(s.runtime_max),
        "RuntimeRandomizedExtraUSec": format_seconds(s.runtime_randomized_extra),
        "WatchdogUSec": _watchdog(unit, record),
        "RootDirectoryStartOnly": yes(s.root_directory_start_only),
        "RemainAfterExit": yes(s.remain_after_exit),
        "GuessMainPID": yes(s.guess_main_pid),
        "RestartPreventExitStatus": _statuses(s.restart_prevent_exit_status),
        "RestartForceExitStatus": _statuses(s.restart_force_exit_status),
        "SuccessExitStatus": _statuses(s.success_exit_status),
        "MainPID": str(record.main_pid),
        "ControlPID": str(record.control_pid),
        "BusName": s.bus_name,
        "FileDescriptorStoreMax": str(s.file_descriptor_store_max),
        "NFileDescriptorStore": "0",
        "FileDescriptorStorePreserve": s.file_descriptor_store_preserve,
        "StatusText": record.status_text,
        "StatusErrno": str(record.status_errno),
        "Result": record.result,
        "ReloadResult": record.reload_result,
        "CleanResult": "success",
        "NRestarts": str(record.n_restarts),
        "OOMPolicy": s.oom_policy,
        "ReloadSignal": str(s.reload_signal),
        "NonBlocking": yes(s.non_blocking),
        "Sockets": words(s.sockets),
        **_stamps(record, "ExecMainStart", "ExecMainExit"),
        "ExecMainPID": str(record.exec_main_pid),
        "ExecMainCode": str(record.exec_main_code),
        "ExecMainStatus": str(record.exec_main_status),
    }
    for role, name in zip(_ROLES, _FIELDS, strict=True):
        commands: Sequence[Command] = getattr(s, name)
        if commands:
            last = len(commands) - 1
            found[role] = "\n".join(_command(c, record if role == "ExecStart" and i == last else None) for i, c in enumerate(commands))
    return found


def _watchdog(unit: Unit, record: Record) -> str:
    """Infinity until the first start, as systemd takes the setting over then (case value-028)."""
    if record.watchdog_usec >= 0:
        return "infinity" if record.watchdog_usec >= 2**64 - 1 else format_timespan(record.watchdog_usec)
    return format_seconds(unit.service.watchdog) if record.invocation else "infinity"


def _command(command: Command, record: Record | None) -> str:
    """One command with how its last run went."""
    started = stopped = "n/a"
    pid = code = status = 0
    if record is not None and record.exec_main_pid:
        started = stamp(record.stamps.get("ExecMainStart", 0.0)) or "n/a"
        stopped = (stamp(record.stamps.get("ExecMainExit", 0.0)) if record.exec_main_code else "") or "n/a"
        pid, code, status = record.exec_main_pid, record.exec_main_code, record.exec_main_status
    how = str(status) if code == 1 else f"{status}/{signal_name(status) if status else 0}"
    return (
        f"{{ path={command.path} ; argv[]={' '.join(command.argv)} ; ignore_errors={yes(command.ignore_failure)} ; "
        f"start_time=[{started}] ; stop_time=[{stopped}] ; pid={pid} ; code={_CODES.get(code, '(null)')} ; status={how} }}"
    )


# -- sockets and timers


def _socket(unit: Unit, record: Record) -> dict[str, str]:
    s = unit.socket
    return {
        "Listen": "\n".join(f"{lis.address} ({WORDS[lis.kind]})" for lis in s.listeners),
        "BindIPv6Only": s.bind_ipv6_only,
        "Backlog": str(s.backlog),
        "TimeoutUSec": format_seconds(s.timeout),
        "BindToDevice": s.bind_to_device,
        "SocketUser": s.user,
        "SocketGroup": s.group,
        "SocketMode": f"{s.mode:04o}",
        "DirectoryMode": f"{s.directory_mode:04o}",
        "Accept": yes(s.accept),
        "FlushPending": yes(s.flush_pending),
        "Writable": yes(s.writable),
        "KeepAlive": yes(s.keep_alive),
        "KeepAliveTimeUSec": format_seconds(s.keep_alive_time or 0.0),
        "KeepAliveIntervalUSec": format_seconds(s.keep_alive_interval or 0.0),
        "KeepAliveProbes": str(s.keep_alive_probes or 0),
        "DeferAcceptUSec": format_seconds(s.defer_accept or 0.0),
        "NoDelay": yes(s.no_delay),
        "Priority": str(-1 if s.priority is None else s.priority),
        "ReceiveBuffer": str(s.receive_buffer or 0),
        "SendBuffer": str(s.send_buffer or 0),
        "IPTOS": str(-1 if s.ip_tos is None else s.ip_tos),
        "IPTTL": str(-1 if s.ip_ttl is None else s.ip_ttl),
        "PipeSize": str(s.pipe_size or 0),
        "FreeBind": yes(s.free_bind),
        "Transparent": yes(s.transparent),
        "Broadcast": yes(s.broadcast),
        "PassCredentials": yes(s.pass_credentials),
        "PassSecurity": yes(s.pass_security),
        "PassPacketInfo": yes(s.pass_packet_info),
        "Timestamping": s.timestamping,
        "RemoveOnStop": yes(s.remove_on_stop),
        "Symlinks": words(s.symlinks),
        "Mark": str(-1 if s.mark is None else s.mark),
        "MaxConnections": str(s.max_connections),
        "MaxConnectionsPerSource": str(s.max_connections_per_source),
        "TCPCongestion": s.tcp_congestion,
        "ReusePort": yes(s.reuse_port),
        "MessageQueueMaxMessages": "0",
        "MessageQueueMessageSize": "0",
        "SmackLabel": "",
        "NConnections": "0",
        "NAccepted": str(record.n_accepted),
        "NRefused": str(record.n_refused),
        "FileDescriptorName": descriptor_name(unit),
        "TriggerLimitIntervalUSec": format_seconds(s.trigger_limit_interval),
        "TriggerLimitBurst": str(s.burst),
        "PollLimitIntervalUSec": format_seconds(s.poll_limit_interval),
        "PollLimitBurst": str(s.poll_limit_burst),
        "ControlPID": str(record.control_pid),
        "Result": record.result,
    } | {role: "\n".join(_command(c, None) for c in lines) for role, lines in zip(_SOCKET_ROLES, (s.exec_start_pre, s.exec_start_post, s.exec_stop_pre, s.exec_stop_post)) if lines}


# -- any unit


def _unit(unit: Unit, record: Record, extra: Mapping[str, str]) -> dict[str, str]:
    u = unit.unit
    found = {"Id": unit.name, "Names": words(unit.names or (unit.name,)), "Following": ""}
    for kind in _DEPENDENCIES:
        found[kind] = extra.get(kind, "") or words(unit.deps(kind))
    found |= {
        "RequiresMountsFor": words(u.requires_mounts_for),
        "Documentation": words(u.documentation),
        "Description": u.description or unit.name,
        "LoadState": unit.load_state,
        "ActiveState": record.active,
        "FreezerState": "running",
        "SubState": record.sub,
        "FragmentPath": unit.fragment_path,
        "SourcePath": u.source_path,
        "DropInPaths": words(unit.drop_in_paths),
        "UnitFileState": extra.get("UnitFileState", ""),
        "UnitFilePreset": "enabled" if unit.fragment_path else "",
    }
    found |= _stamps(record, *_STAMPS)
    found |= {
        "CanStart": yes(not u.refuse_manual_start and unit.load_state == "loaded"),
        "CanStop": yes(not u.refuse_manual_stop),
        "CanReload": yes(bool(unit.service.exec_reload) or unit.service.type == "notify-reload"),
        "CanIsolate": yes(u.allow_isolate),
        "CanClean": words(kind for kind, key in _CLEANED.items() if unit.exec.directories.get(key)),
        "CanFreeze": "no",
        "StopWhenUnneeded": yes(u.stop_when_unneeded),
        "RefuseManualStart": yes(u.refuse_manual_start),
        "RefuseManualStop": yes(u.refuse_manual_stop),
        "AllowIsolate": yes(u.allow_isolate),
        "DefaultDependencies": yes(u.default_dependencies),
        "OnSuccessJobMode": u.on_success_job_mode,
        "OnFailureJobMode": u.on_failure_job_mode,
        "IgnoreOnIsolate": yes(u.ignore_on_isolate),
        "NeedDaemonReload": "no",
        "JobTimeoutUSec": format_seconds(u.job_timeout),
        "JobRunningTimeoutUSec": format_seconds(u.job_running_timeout),
        "JobTimeoutAction": u.job_timeout_action,
        "ConditionResult": yes(record.condition_result and _tried(record)),
        "AssertResult": yes(record.assert_result and _tried(record)),
        **_stamps(record, "Condition", "Assert"),
        "LoadError": f'org.freedesktop.systemd1.NoSuchUnit "Unit {unit.name} not found."' if unit.load_state == "not-found" else "",
        "Transient": yes(is_transient(unit.fragment_path)),
        "Perpetual": "no",
        "StartLimitIntervalUSec": format_seconds(u.start_limit_interval),
        "StartLimitBurst": str(u.start_limit_burst),
        "StartLimitAction": u.start_limit_action,
        "FailureAction": u.failure_action,
        "SuccessAction": u.success_action,
        "FailureActionExitStatus": "[not set]" if u.failure_action_exit_status is None else str(u.failure_action_exit_status),
        "SuccessActionExitStatus": "[not set]" if u.success_action_exit_status is None else str(u.success_action_exit_status),
        "InvocationID": record.invocation,
        "CollectMode": u.collect_mode,
    }
    return found


def _stamps(record: Record, *names: str) -> dict[str, str]:
    """The properties of timestamps, each for people and in microseconds of CLOCK_MONOTONIC (0: it has not happened)."""
    found = {}
    for name in names:
        found[name + "Timestamp"] = stamp(record.stamps.get(name, 0.0))
        found[name + "TimestampMonotonic"] = str(int(record.stamps.get(name + "Monotonic", 0.0) * 1e6))
    return found


def _tried(record: Record) -> bool:
    """Conditions of a unit that nobody tried to start did not hold yet."""
    return bool(record.invocation or record.stamps or not record.condition_result or not record.assert_result or record.sub != "dead")


def _statuses(statuses: ExitStatusSet) -> str:
    return " ".join([str(code) for code in sorted(statuses.codes)] + [signal_name(number) for number in sorted(statuses.signals)])



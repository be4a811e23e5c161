"""A unit's command -> what the warden is asked to run: environment in systemd's order, stdio, limits, privileges (systemd.exec(5)). Pure."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from dataclasses import dataclass, field

from unitd.manager.spec import SpawnSpec
from unitd.manager.users import UserFacts
from unitd.units.errors import Problem
from unitd.units.execline import expand_argv
from unitd.units.model import Command, Unit
from unitd.units.specifiers import HostFacts

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NO_SHELL = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "")
#: Variables of the manager's own that no service shall see.
_OWN = ("NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC", "INVOCATION_ID", "JOURNAL_STREAM")


@dataclass(frozen=True)
class SpawnContext:
    """All that is known at the moment of the spawn. Empty strings and zeros mean: not there."""

    token: str
    base_env: Mapping[str, str]
    host: HostFacts
    user: UserFacts
    invocation: str = ""
    notify_socket: str = ""
    watchdog_usec: int = 0
    main_pid: int = 0
    service_result: str = ""
    exit_code: str = ""
    exit_status: str = ""
    monitor: Mapping[str, str] = field(default_factory=dict)
    env_files: list[tuple[str, str]] = field(default_factory=list)
    cgroup: str = ""
    log_fd: int | None = None  # index of the capture pipe among the descriptors


def build(unit: Unit, command: Command, role: str, ctx: SpawnContext) -> tuple[SpawnSpec, list[Problem]]:
    """The request for one command of a unit, and what could not be taken over."""
    x = unit.exec
    problems: list[Problem] = []
    env = environment(unit, command, role, ctx)
    full, half = command.privilege == "+", command.privilege in ("!", "!!")
    spec: SpawnSpec = {
        "id": ctx.token,
        "path": command.path,
        "argv": list(expand_argv(command, env)),
        "env": [f"{k}={v}" for k, v in env.items()],
        "umask": x.umask,
        "ignore_sigpipe": x.ignore_sigpipe,
    }
    if command.ignore_failure:
        spec["optional"] = True
    if "/" not in command.path and x.exec_search_path:
        spec["search_path"] = list(x.exec_search_path)
    _stdio(unit, ctx, spec)
    if ctx.cgroup:
        spec["cgroup"] = ctx.cgroup
    home = ctx.user.home or ctx.host.home
    spec["cwd"] = home if x.working_directory == "~" else x.working_directory or "/"
    if x.working_directory_optional:
        spec["cwd_optional"] = True
    if x.nice is not None:
        spec["nice"] = x.nice
    if x.oom_score_adjust is not None:
        spec["oom_score_adj"] = x.oom_score_adjust
    if x.io_scheduling_class is not None or x.io_scheduling_priority is not None:
        level = 4 if x.io_scheduling_priority is None else x.io_scheduling_priority
        spec["ioprio"] = (2 if x.io_scheduling_class is None else x.io_scheduling_class) << 13 | level
    if x.cpu_scheduling_policy is not None:
        priority = x.cpu_scheduling_priority or (1 if x.cpu_scheduling_policy in (1, 2) else 0)
        spec["sched"] = [x.cpu_scheduling_policy, priority if x.cpu_scheduling_policy in (1, 2) else 0, int(x.cpu_scheduling_reset_on_fork)]
    if x.cpu_affinity:
        spec["affinity"] = sorted(x.cpu_affinity)
    if x.timer_slack_nsec is not None:
        spec["timer_slack"] = x.timer_slack_nsec
    if x.limits and not full:  # case exec-075: + lifts the limits too
        spec["limits"] = {k: [-1 if v is None else v for v in pair] for k, pair in x.limits.items()}
    if not full and not half:
        if ctx.user.uid is not None:
            spec["uid"] = ctx.user.uid
        if ctx.user.gid is not None:
            spec["gid"] = ctx.user.gid
    if ctx.user.groups is not None and not half:
        spec["groups"] = list(ctx.user.groups)
    if not full:
        if x.no_new_privileges:
            spec["no_new_privs"] = True
        if x.capability_bounding_set is not None:
            spec["cap_bound"] = sorted(x.capability_bounding_set)
        if x.ambient_capabilities and not half:
            spec["cap_ambient"] = sorted(x.ambient_capabilities)
    if x.root_directory and not full:
        spec["chroot"] = x.root_directory
    owner = (-1 if ctx.user.uid is None else ctx.user.uid, -1 if ctx.user.gid is None else ctx.user.gid)
    directories: list[list[object]] = []
    for kind, directory in x.directories.items():
        for name in directory.names:
            directories.append([kind, os.path.join(base_of(kind, ctx.host), name), directory.mode, *owner])
    if directories:
        spec["directories"] = directories
    return spec, problems


def base_of(kind: str, host: HostFacts) -> str:
    """Where RuntimeDirectory= and its siblings are made."""
    return {"Runtime": host.runtime_dir, "State": host.state_dir, "Cache": host.cache_dir, "Logs": host.logs_dir, "Configuration": host.config_dir}[kind]


def _stdio(unit: Unit, ctx: SpawnContext, spec: SpawnSpec) -> None:
    x = unit.exec
    stdin, out, err = x.standard_input, x.standard_output, x.standard_error
    if stdin.startswith("file:"):
        spec["stdin_path"] = stdin[5:]
    for name, value in (("stdout", out), ("stderr", err)):
        kind, _, path = value.partition(":")
        if kind in ("file", "append", "truncate") and path:
            if name == "stdout":
                spec["stdout_path"], spec["stdout_mode"] = path, kind
            else:
                spec["stderr_path"], spec["stderr_mode"] = path, kind
        elif kind == "inherit":
            if name == "stdout" and ctx.log_fd is not None:
                spec["stdout"] = ctx.log_fd
        elif kind == "null":
            if name == "stderr":
                spec["stderr_null"] = True
        elif ctx.log_fd is not None:
            if name == "stdout":
                spec["stdout"] = ctx.log_fd
            else:
                spec["stderr"] = ctx.log_fd


def environment(unit: Unit, command: Command, role: str, ctx: SpawnContext) -> dict[str, str]:
    """Variables in systemd's order of precedence, later ones win (systemd.exec(5), ENVIRONMENT)."""
    x = unit.exec
    env: dict[str, str] = {"LANG": ctx.base_env["LANG"]} if "LANG" in ctx.base_env else {}
    env["PATH"] = ":".join(x.exec_search_path) if x.exec_search_path else DEFAULT_PATH if ctx.host.uid == 0 else ctx.base_env.get("PATH", DEFAULT_PATH)
    if ctx.host.uid != 0:  # as systemd --user does: the manager's own environment is the base
        env = {k: v for k, v in ctx.base_env.items() if k not in _OWN} | env
    for name in x.pass_environment:
        if name in ctx.base_env:
            env[name] = ctx.base_env[name]
    if x.user and ctx.user.name:
        env["USER"] = env["LOGNAME"] = ctx.user.name
        if ctx.user.home and ctx.user.home not in ("/", "/nonexistent"):
            env["HOME"] = ctx.user.home
        if ctx.user.shell not in _NO_SHELL:
            env["SHELL"] = ctx.user.shell
    env["INVOCATION_ID"] = ctx.invocation
    env["SYSTEMD_EXEC_PID"] = ""
    if ctx.notify_socket:
        env["NOTIFY_SOCKET"] = ctx.notify_socket
    if ctx.watchdog_usec:
        env["WATCHDOG_PID"], env["WATCHDOG_USEC"] = "", str(ctx.watchdog_usec)
    if unit.service.pid_file:
        env["PIDFILE"] = unit.service.pid_file
    names = {"Runtime": "RUNTIME_DIRECTORY", "State": "STATE_DIRECTORY", "Cache": "CACHE_DIRECTORY", "Logs": "LOGS_DIRECTORY", "Configuration": "CONFIGURATION_DIRECTORY"}
    for kind, directory in x.directories.items():
        if directory.names:
            env[names[kind]] = ":".join(os.path.join(base_of(kind, ctx.host), n) for n in directory.names)
    if ctx.main_pid > 0:
        env["MAINPID"] = str(ctx.main_pid)
    if ctx.service_result:
        env["SERVICE_RESULT"] = ctx.service_result
        if ctx.exit_code:
            env["EXIT_CODE"], env["EXIT_STATUS"] = ctx.exit_code, ctx.exit_status
    env.update(ctx.monitor)
    env.update(dict(x.environment))
    env.update(dict(ctx.env_files))
    for word in x.unset_environment:
        key, equals, value = word.partition("=")
        if not equals or env.get(key) == value:
            env.pop(key, None)
    return env

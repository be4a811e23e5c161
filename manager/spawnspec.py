"""From a unit's command to the spec the warden runs: environment, expansion, stdio, user, limits. Pure."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from unitd.manager.spec import SpawnSpec
from unitd.manager.users import UserFacts
from unitd.units.errors import Problem
from unitd.units.execline import expand_argv
from unitd.units.model import Command, Unit
from unitd.units.specifiers import HostFacts

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: StandardOutput= values that mean: unitd captures it.
CAPTURED = ("journal", "syslog", "kmsg", "journal+console", "kmsg+console", "syslog+console")
#: StandardInput= values that mean the terminal.
TERMINALS = ("tty", "tty-force", "tty-fail")
#: Limits of open files that services start with (systemd-system.conf(5), DefaultLimitNOFILE=).
SOFT_NOFILE = 1024
HARD_NOFILE = 524288
_VARIABLES = {
    "Runtime": "RUNTIME_DIRECTORY",
    "State": "STATE_DIRECTORY",
    "Cache": "CACHE_DIRECTORY",
    "Logs": "LOGS_DIRECTORY",
    "Configuration": "CONFIGURATION_DIRECTORY",
}
#: What speaks of the manager itself and would mislead a service.
_PRIVATE = frozenset(
    "NOTIFY_SOCKET WATCHDOG_PID WATCHDOG_USEC LISTEN_PID LISTEN_FDS LISTEN_FDNAMES INVOCATION_ID JOURNAL_STREAM MAINPID "  # noqa: SIM905 - a list is no easier to read
    "SYSTEMD_EXEC_PID FDSTORE MANAGERPID MEMORY_PRESSURE_WATCH MEMORY_PRESSURE_WRITE SERVICE_RESULT EXIT_CODE EXIT_STATUS "
    "RUNTIME_DIRECTORY STATE_DIRECTORY CACHE_DIRECTORY LOGS_DIRECTORY CONFIGURATION_DIRECTORY CREDENTIALS_DIRECTORY "
    "PYTHONPATH PWD OLDPWD SHLVL _".split()
)
_NOLOGIN = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false")


class SpawnContext(msgspec.Struct, frozen=True):
    """All that `build` needs besides the unit. Descriptors are indexes into the list that goes with the spec."""

    token: str  # becomes SpawnSpec.id
    base_env: Mapping[str, str] = msgspec.field(default_factory=dict)  # the manager's environment
    given: Mapping[str, str] = msgspec.field(default_factory=dict)  # what set-environment added to it
    invocation: str = ""
    notify_socket: str = ""  # "" for NotifyAccess=none
    watchdog_usec: int = 0
    main_pid: int = 0
    service_result: str = ""
    exit_code: str = ""
    exit_status: str = ""
    monitor: Mapping[str, str] = msgspec.field(default_factory=dict)  # MONITOR_* of OnFailure= and OnSuccess= units
    user: UserFacts = UserFacts()
    env_files: Sequence[tuple[str, str]] = ()  # already read, in order
    host: HostFacts = HostFacts()
    cgroup: str = ""
    join: Sequence[str] = ()  # directories of cgroup v1 controllers
    log_fd: int | None = None  # captured output; None: what would be captured goes to /dev/null
    log_err_fd: int | None = None  # where stderr is captured apart; default: log_fd
    credentials: str = ""  # directory of them
    journal_stream: str = ""  # dev:ino of a stream to the real journal
    stdin_fd: int | None = None  # StandardInput=data
    socket_fd: int | None = None  # StandardInput=socket
    listen: Sequence[tuple[str, int]] = ()  # (name for LISTEN_FDNAMES, index)
    nonblock: bool | None = None  # O_NONBLOCK on the listen fds: None leaves it
    remote: tuple[str, int] = ("", 0)  # address and port of the connection that the service is for


def build(unit: Unit, cmd: Command, role: str, ctx: SpawnContext) -> tuple[SpawnSpec, list[Problem]]:
    """The spec for one command of `role` ("ExecStart", ...) and what cannot be honoured in it (systemd.exec(5), cases exec and env).

    Raises FileNotFoundError if standard input or output is to be a descriptor that there is none of."""
    e = unit.exec
    problems: list[Problem] = []
    directories = _directories(unit, ctx)
    env = environment(unit, ctx, directories)
    spec: SpawnSpec = {
        "id": ctx.token,
        "path": cmd.path,
        "argv": list(expand_argv(cmd, {**listen_variables(ctx.listen), **env})),
        "env": [f"{k}={v}" for k, v in env.items()],
        "umask": e.umask,
        "cwd": _cwd(unit, ctx),
        "ignore_sigpipe": e.ignore_sigpipe,
    }
    if cmd.ignore_failure:
        spec["optional"] = True
    if e.working_directory_optional or not e.working_directory:  # a home that is only the default may be missing
        spec["cwd_optional"] = True
    if "/" not in cmd.path:
        spec["search_path"] = list(e.exec_search_path) or DEFAULT_PATH.split(":")
    if ctx.listen:
        spec["listen"] = [index for _, index in ctx.listen]
        if ctx.nonblock is not None:
            spec["nonblock"] = ctx.nonblock
    if ctx.cgroup:
        spec["cgroup"] = ctx.cgroup
    if ctx.join:
        spec["join"] = list(ctx.join)
    if directories:
        spec["directories"] = directories
        links = _links(unit, ctx)
        if links:
            spec["links"] = links
    if e.root_directory and (role == "ExecStart" or not unit.service.root_directory_start_only):
        spec["chroot"] = e.root_directory
    _stdio(unit, ctx, spec, problems)
    _scheduling(unit, spec)
    _privileges(unit, cmd, ctx, spec)
    if e.dynamic_user:
        problems.append(Problem("warning", "DynamicUser= is not honoured: the service runs as the manager's user", confines=True))
    return spec, problems


# ---- environment ------------------------------------------------------------------------------------------


def environment(unit: Unit, ctx: SpawnContext, directories: Sequence[Sequence[object]] = ()) -> dict[str, str]:
    """The final environment, later sources winning: manager, system, PassEnvironment=, Environment=, files; UnsetEnvironment= last."""
    e = unit.exec
    env = _inherited(unit, ctx) | dict(ctx.given)
    user = ctx.user
    if user.name:
        env["USER"] = env["LOGNAME"] = user.name
        if user.home not in ("", "/"):
            env["HOME"] = user.home
        if user.shell and user.shell not in _NOLOGIN:
            env["SHELL"] = user.shell
    if ctx.invocation:
        env["INVOCATION_ID"] = ctx.invocation
    env["SYSTEMD_EXEC_PID"] = ""
    if ctx.notify_socket:
        env["NOTIFY_SOCKET"] = ctx.notify_socket
    if ctx.watchdog_usec > 0:
        env["WATCHDOG_PID"] = ""
        env["WATCHDOG_USEC"] = str(ctx.watchdog_usec)
    if ctx.listen:
        env["LISTEN_PID"] = ""
        env["LISTEN_FDS"] = str(len(ctx.listen))
        env["LISTEN_FDNAMES"] = ":".join(name for name, _ in ctx.listen)
    if ctx.credentials:
        env["CREDENTIALS_DIRECTORY"] = ctx.credentials
    if ctx.journal_stream:
        env["JOURNAL_STREAM"] = ctx.journal_stream
    if ctx.remote[0]:
        env["REMOTE_ADDR"], env["REMOTE_PORT"] = ctx.remote[0], str(ctx.remote[1])
    tty = _terminal(unit)
    if tty:
        env["TERM"] = (tty == "/dev/console" and ctx.base_env.get("TERM")) or ("linux" if re.fullmatch("/dev/tty[0-9]+", tty) else "vt220")
    if unit.service.pid_file:
        env["PIDFILE"] = unit.service.pid_file
    if ctx.main_pid > 0:
        env["MAINPID"] = str(ctx.main_pid)
    for name, value in (("SERVICE_RESULT", ctx.service_result), ("EXIT_CODE", ctx.exit_code), ("EXIT_STATUS", ctx.exit_status)):
        if value:
            env[name] = value
    env.update(ctx.monitor)
    for kind, variable in _VARIABLES.items():
        paths = [str(d[1]) for d in directories if d[0] == kind]
        if paths:
            env[variable] = ":".join(paths)
    passed = {**ctx.base_env, **ctx.given}
    env.update({name: passed[name] for name in e.pass_environment if name in passed})
    env.update(e.environment)
    env.update(ctx.env_files)
    for word in e.unset_environment:
        name, equals, value = word.partition("=")
        if not equals or env.get(name) == value:
            env.pop(name, None)
    return env


def listen_variables(listen: Sequence[tuple[str, int]]) -> dict[str, str]:
    """For programs that know no LISTEN_FDS: `$LISTEN_FD_name` in a command line is the number of the first descriptor of that name.

    What may not stand in a variable's name is `_`, and a name that ends in `.socket` is known without that too.
    """
    found: dict[str, str] = {}
    for number, (name, _) in enumerate(listen, 3):
        for word in (name, name.removesuffix(".socket")):
            found.setdefault("LISTEN_FD_" + re.sub(r"\W", "_", word, flags=re.ASCII), str(number))
    return found


def _inherited(unit: Unit, ctx: SpawnContext) -> dict[str, str]:
    """As root only the locale and a fixed PATH; a user's manager passes on its own environment."""
    search = ":".join(unit.exec.exec_search_path)
    if ctx.host.uid == 0:
        env = {k: v for k, v in ctx.base_env.items() if k == "LANG" or k.startswith("LC_")}
        env["PATH"] = search or DEFAULT_PATH
        return env
    env = {k: v for k, v in ctx.base_env.items() if k not in _PRIVATE and not k.startswith(("UNITD_", "MONITOR_"))}
    env["PATH"] = search or env.get("PATH") or DEFAULT_PATH
    return env


# ---- files ------------------------------------------------------------------------------------------------


def _cwd(unit: Unit, ctx: SpawnContext) -> str:
    wanted = unit.exec.working_directory
    if wanted == "~":
        return ctx.host.home if not ctx.user.name else ctx.user.home if ctx.user.home != "/" else ""  # / is no home: chdir fails
    if wanted:
        return wanted
    return "/" if ctx.host.uid == 0 or unit.exec.root_directory else ctx.host.home


def directory_bases(host: HostFacts) -> dict[str, str]:
    """Where RuntimeDirectory= and its siblings are, by kind."""
    return {
        "Runtime": host.runtime_dir,
        "State": host.state_dir,
        "Cache": host.cache_dir,
        "Logs": host.logs_dir,
        "Configuration": host.config_dir,
    }


def _links(unit: Unit, ctx: SpawnContext) -> list[list[str]]:
    bases = directory_bases(ctx.host)
    return [[f"{bases[kind]}/{link}", f"{bases[kind]}/{name}"] for kind, wanted in unit.exec.directories.items() for name, link in wanted.links]


def _directories(unit: Unit, ctx: SpawnContext) -> list[list[object]]:
    host, bases = ctx.host, directory_bases(ctx.host)
    uid = host.uid if ctx.user.uid is None else ctx.user.uid
    gid = host.gid if ctx.user.gid is None else ctx.user.gid
    out: list[list[object]] = []
    for kind, base in bases.items():
        wanted = unit.exec.directories.get(kind)
        for name in wanted.names if wanted else ():
            out.append([kind, f"{base}/{name}", wanted.mode if wanted else 0o755, uid, gid])
    return out


def _terminal(unit: Unit) -> str:
    """The unit's terminal, empty if nothing asks for one."""
    e = unit.exec
    asked = e.standard_input in TERMINALS or "tty" in (e.standard_output, e.standard_error)
    return e.tty_path or ("/dev/console" if asked else "")


def _file(setting: str) -> tuple[str, str] | None:
    """(path, mode) of a file setting."""
    kind, colon, path = setting.partition(":")
    return (path, kind) if colon and kind in ("file", "append", "truncate") else None


def _stdio(unit: Unit, ctx: SpawnContext, spec: SpawnSpec, problems: list[Problem]) -> None:
    e = unit.exec
    given = e.standard_input
    names = dict(ctx.listen)
    inherited: int | None = None  # what "inherit" gives to stdout, if not captured output
    terminal = given if given in TERMINALS else ""
    tty = _terminal(unit)
    if terminal or e.standard_output == "tty" or e.standard_error == "tty":
        spec["tty"] = [tty, terminal, e.tty_reset, e.tty_vhangup]
    if given.startswith("file:"):
        spec["stdin_path"] = given[5:]
    elif given == "data" and ctx.stdin_fd is not None:
        spec["stdin"] = ctx.stdin_fd
    elif given == "socket" and ctx.socket_fd is not None:
        spec["stdin"] = inherited = ctx.socket_fd
    elif given.startswith("fd") and given[3:] in names:
        spec["stdin"] = inherited = names[given[3:]]
    elif given.startswith("fd"):
        raise FileNotFoundError(errno.ENOENT, "there is no descriptor of that name", f"StandardInput={given}")
    elif given not in ("null", "data") and not terminal:
        problems.append(Problem("warning", f"StandardInput={given} is not honoured; standard input is /dev/null"))

    def target(setting: str, default: int | None, which: Literal["StandardOutput", "StandardError"]) -> int | tuple[str, str]:
        file = _file(setting)
        if file is not None:
            return (file[0], "stdin") if given == setting else file
        if setting == "tty":
            return (tty, "tty")
        if setting in CAPTURED or setting == "inherit":
            return default if default is not None else ("/dev/null", "append")
        if setting == "socket" and ctx.socket_fd is not None:
            return ctx.socket_fd
        if setting.startswith("fd") and setting[3:] in names:
            return names[setting[3:]]
        if setting.startswith("fd"):
            raise FileNotFoundError(errno.ENOENT, "there is no descriptor of that name", f"{which}={setting}")
        if setting != "null":
            problems.append(Problem("warning", f"{which}={setting} is not honoured; it goes to /dev/null"))
        return ("/dev/null", "file")

    error_log = ctx.log_fd if ctx.log_err_fd is None else ctx.log_err_fd
    follows = e.standard_output == "inherit" and inherited is not None
    out: int | tuple[str, str]
    if terminal and e.standard_output == "inherit":
        out, follows = (tty, "tty"), True
    else:
        out = inherited if follows and inherited is not None else target(e.standard_output, ctx.log_fd, "StandardOutput")
    captured = e.standard_output in (*CAPTURED, "inherit") and not follows
    if e.standard_error == "inherit":
        err = error_log if captured and error_log is not None else out
    else:
        err = target(e.standard_error, error_log, "StandardError")
    if isinstance(out, int):
        spec["stdout"] = out
    elif out[0] != "/dev/null":
        spec["stdout_path"], spec["stdout_mode"] = out
    if isinstance(err, int):
        if err != out:
            spec["stderr"] = err
    elif err != out:
        spec["stderr_path"], spec["stderr_mode"] = err


# ---- the rest ---------------------------------------------------------------------------------------------


def _scheduling(unit: Unit, spec: SpawnSpec) -> None:
    e = unit.exec
    if e.nice is not None:
        spec["nice"] = e.nice
    if e.oom_score_adjust is not None:
        spec["oom_score_adj"] = e.oom_score_adjust
    if e.io_scheduling_class is not None or e.io_scheduling_priority is not None:
        level = 4 if e.io_scheduling_priority is None else e.io_scheduling_priority
        spec["ioprio"] = (e.io_scheduling_class or 2) << 13 | level
    if e.cpu_scheduling_policy is not None or e.cpu_scheduling_priority:
        spec["sched"] = [e.cpu_scheduling_policy or 0, e.cpu_scheduling_priority, int(e.cpu_scheduling_reset_on_fork)]
    if e.cpu_affinity:
        spec["affinity"] = sorted(e.cpu_affinity)
    if e.timer_slack_nsec is not None:
        spec["timer_slack"] = e.timer_slack_nsec


def _privileges(unit: Unit, cmd: Command, ctx: SpawnContext, spec: SpawnSpec) -> None:
    """`+` keeps everything, `!` keeps the user; the groups that come with the user are set all the same (case exec-075)."""
    e = unit.exec
    groups = ctx.user.own_groups if cmd.privilege in ("+", "!") else ctx.user.groups
    if groups is not None:
        spec["groups"] = list(groups)
    if cmd.privilege == "+":
        return
    if cmd.privilege != "!":
        if ctx.user.gid is not None:
            spec["gid"] = ctx.user.gid
        if ctx.user.uid is not None:
            spec["uid"] = ctx.user.uid
    spec["limits"] = {"NOFILE": [SOFT_NOFILE, HARD_NOFILE]} | {name: [-1 if v is None else v - 2**64 if v >= 2**63 else v for v in pair] for name, pair in e.limits.items()}
    if e.no_new_privileges:
        spec["no_new_privs"] = True
    if e.capability_bounding_set is not None:
        spec["cap_bound"] = sorted(e.capability_bounding_set)
    if e.ambient_capabilities:
        spec["cap_ambient"] = sorted(e.ambient_capabilities)
    if e.secure_bits:
        spec["secure_bits"] = e.secure_bits

"""The typed, frozen units every other part works with.

Times are float seconds; `INFINITY` is `math.inf`. Sizes are int bytes; RLIM_INFINITY and "infinity" are None in sizes.
Field names follow the directives (`TimeoutStartSec` -> `timeout_start`). Defaults are those of systemd.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from unitd.units.errors import Problem
from unitd.units.path import PathSection
from unitd.units.socket import SocketSection
from unitd.units.timer import TimerSection

INFINITY = math.inf


class Command(msgspec.Struct, frozen=True):
    """One command of an Exec*= line: specifiers resolved, `$VAR` not yet expanded (systemd.service(5), COMMAND LINES)."""

    path: str  # absolute, or a bare name to look up in the search path
    argv: tuple[str, ...]  # argv[0] included
    ignore_failure: bool = False  # prefix -
    expand: bool = True  # False with prefix :
    privilege: str = ""  # "", "+", "!", "!!"


class ExitStatusSet(msgspec.Struct, frozen=True):
    """Exit codes and signals, as in SuccessExitStatus=."""

    codes: frozenset[int] = frozenset()
    signals: frozenset[int] = frozenset()


class Condition(msgspec.Struct, frozen=True):
    """One Condition*= or Assert*= line (systemd.unit(5))."""

    kind: str  # "PathExists", "Host", ... without the Condition/Assert prefix
    argument: str
    trigger: bool = False  # prefix |
    negate: bool = False  # prefix !


class UnitSection(msgspec.Struct, frozen=True):
    """[Unit]. `dependencies` maps the directive ("Requires", "After", ...) to unit names, with dependency directories and drop-ins merged in."""

    description: str = ""
    documentation: tuple[str, ...] = ()
    dependencies: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    asserts: tuple[Condition, ...] = ()
    start_limit_interval: float = 10.0
    start_limit_burst: int = 5
    start_limit_action: str = "none"
    success_action: str = "none"
    failure_action: str = "none"
    success_action_exit_status: int | None = None
    failure_action_exit_status: int | None = None
    stop_when_unneeded: bool = False
    refuse_manual_start: bool = False
    refuse_manual_stop: bool = False
    allow_isolate: bool = False
    ignore_on_isolate: bool = False
    default_dependencies: bool = True
    collect_mode: str = "inactive"
    on_failure_job_mode: str = "replace"
    on_success_job_mode: str = "fail"
    job_timeout: float = INFINITY
    job_timeout_action: str = "none"
    job_running_timeout: float = INFINITY
    source_path: str = ""
    requires_mounts_for: tuple[str, ...] = ()


class ServiceSection(msgspec.Struct, frozen=True):
    """[Service], the part that is the service's own (systemd.service(5))."""

    type: str = "simple"  # simple exec forking oneshot notify notify-reload idle
    exit_type: str = "main"
    remain_after_exit: bool = False
    guess_main_pid: bool = True
    pid_file: str = ""
    bus_name: str = ""
    exec_condition: tuple[Command, ...] = ()
    exec_start_pre: tuple[Command, ...] = ()
    exec_start: tuple[Command, ...] = ()
    exec_start_post: tuple[Command, ...] = ()
    exec_reload: tuple[Command, ...] = ()
    exec_stop: tuple[Command, ...] = ()
    exec_stop_post: tuple[Command, ...] = ()
    restart: str = "no"
    restart_sec: float = 0.1
    restart_steps: int = 0
    restart_max_delay: float = INFINITY
    restart_mode: str = "normal"  # normal direct
    timeout_start: float = 90.0  # oneshot: infinity unless set
    timeout_stop: float = 90.0
    timeout_abort: float | None = None  # None: as timeout_stop
    timeout_start_failure_mode: str = "terminate"  # terminate abort kill
    timeout_stop_failure_mode: str = "terminate"
    runtime_max: float = INFINITY
    runtime_randomized_extra: float = 0.0
    watchdog: float = 0.0  # 0: off
    success_exit_status: ExitStatusSet = ExitStatusSet()
    restart_prevent_exit_status: ExitStatusSet = ExitStatusSet()
    restart_force_exit_status: ExitStatusSet = ExitStatusSet()
    root_directory_start_only: bool = False
    non_blocking: bool = False
    notify_access: str = "none"  # after defaulting: notify types have at least "main"
    sockets: tuple[str, ...] = ()
    file_descriptor_store_max: int = 0
    file_descriptor_store_preserve: str = "restart"
    instances: int = 0  # [X-Unitd] of a template: workers of its pool
    reload_signal: int = 1
    oom_policy: str = "stop"


class ExecDirectory(msgspec.Struct, frozen=True):
    """One of RuntimeDirectory= and its siblings: names below the base directory, and their mode."""

    names: tuple[str, ...] = ()
    mode: int = 0o755
    links: tuple[tuple[str, str], ...] = ()  # (name, symlink to it), both below the base directory


class ExecContext(msgspec.Struct, frozen=True):
    """What the child sets up before exec (systemd.exec(5))."""

    working_directory: str = ""  # "" = /, "~" = the user's home
    working_directory_optional: bool = False  # prefix -
    root_directory: str = ""
    user: str = ""
    group: str = ""
    dynamic_user: bool = False
    supplementary_groups: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()  # in order, later wins
    environment_files: tuple[tuple[str, bool], ...] = ()  # (path or glob, optional)
    pass_environment: tuple[str, ...] = ()
    unset_environment: tuple[str, ...] = ()  # NAME or NAME=value
    exec_search_path: tuple[str, ...] = ()
    umask: int = 0o022
    nice: int | None = None
    oom_score_adjust: int | None = None
    io_scheduling_class: int | None = None  # 0 none 1 realtime 2 best-effort 3 idle
    io_scheduling_priority: int | None = None
    cpu_scheduling_policy: int | None = None  # SCHED_OTHER 0 FIFO 1 RR 2 BATCH 3 IDLE 5
    cpu_scheduling_priority: int = 0
    cpu_scheduling_reset_on_fork: bool = False
    cpu_affinity: frozenset[int] = frozenset()
    timer_slack_nsec: int | None = None
    limits: Mapping[str, tuple[int | None, int | None]] = msgspec.field(default_factory=dict)  # "NOFILE" -> (soft, hard), None = infinity
    standard_input: str = "null"  # null tty data file:PATH socket fd:NAME ...
    standard_output: str = "journal"  # unitd's default "journal" is its own capture unless the real journal is asked for
    standard_error: str = "inherit"
    standard_input_data: bytes = b""
    tty_path: str = ""  # empty: /dev/console where a terminal is asked for
    tty_reset: bool = False
    tty_vhangup: bool = False
    set_credentials: tuple[tuple[str, bytes], ...] = ()  # (name, data)
    load_credentials: tuple[tuple[str, str], ...] = ()  # (name, path; relative or empty: in the stores)
    syslog_identifier: str = ""
    directories: Mapping[str, ExecDirectory] = msgspec.field(default_factory=dict)  # "Runtime" "State" "Cache" "Logs" "Configuration"
    runtime_directory_preserve: str = "no"  # no restart yes
    no_new_privileges: bool = False
    capability_bounding_set: frozenset[int] | None = None  # None: keep all
    ambient_capabilities: frozenset[int] = frozenset()
    secure_bits: int = 0
    ignore_sigpipe: bool = True
    log_rate_limit_interval: float | None = None
    log_rate_limit_burst: int | None = None


class KillContext(msgspec.Struct, frozen=True):
    """How processes are ended (systemd.kill(5))."""

    mode: str = "control-group"  # control-group mixed process none
    signal: int = 15
    restart_signal: int | None = None
    send_sighup: bool = False
    send_sigkill: bool = True
    final_signal: int = 9
    watchdog_signal: int = 6


class LogContext(msgspec.Struct, frozen=True):
    """How captured output is kept ([X-Unitd]); None means as unitd.conf says, 0 without limit."""

    max_size: int | None = None
    max_files: int | None = None
    max_age: float | None = None
    compress: str | None = None  # no yes zstd gzip
    streams: str = "merged"  # merged separate


class InstallSection(msgspec.Struct, frozen=True):
    """[Install]; only enable and disable read it."""

    wanted_by: tuple[str, ...] = ()
    required_by: tuple[str, ...] = ()
    upheld_by: tuple[str, ...] = ()
    alias: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    default_instance: str = ""


class Unit(msgspec.Struct, frozen=True):
    """One unit as loaded. `load_state` is systemd's: loaded, not-found, masked, bad-setting, error.

    `settings` keeps every directive that was set and kept, as written, in order: (section, key) -> values.
    It serves directives without a typed field (MemoryMax, [Timer], [X-Unitd] ...) and `show`.
    """

    name: str  # "web@1.service"
    load_state: str = "loaded"
    names: tuple[str, ...] = ()  # with aliases, own name first
    fragment_path: str = ""
    drop_in_paths: tuple[str, ...] = ()
    mtimes: tuple[tuple[str, int], ...] = ()  # (path, st_mtime_ns) of every file read: NeedDaemonReload
    problems: tuple[Problem, ...] = ()
    unit: UnitSection = UnitSection()
    service: ServiceSection = ServiceSection()
    socket: SocketSection = SocketSection()
    exec: ExecContext = ExecContext()
    kill: KillContext = KillContext()
    log: LogContext = LogContext()
    install: InstallSection = InstallSection()
    timer: TimerSection = TimerSection()
    path: PathSection = PathSection()
    settings: Mapping[tuple[str, str], tuple[str, ...]] = msgspec.field(default_factory=dict)

    @property
    def type(self) -> str:
        """The unit's type: its suffix without the dot, "service" for instance."""
        return self.name.rpartition(".")[2]

    def deps(self, kind: str) -> tuple[str, ...]:
        """Names in the dependency list `kind` ("Requires", "After", ...)."""
        return self.unit.dependencies.get(kind, ())

"""Vocabulary of the deciding part: a unit's record, the events that reach it and the effects it asks for.

States are systemd's (systemctl(1), org.freedesktop.systemd1(5)). SubState decides ActiveState (`ACTIVE_OF`).
Times named `*_at` are CLOCK_MONOTONIC seconds, timestamps in `Record.stamps` are CLOCK_REALTIME seconds for showing only, each with one of CLOCK_MONOTONIC.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from unitd.manager.socketstates import SocketEffect, SocketEvent
from unitd.manager.triggerstates import PathState, TimerState, TriggerEffect, TriggerEvent
from unitd.units.values import signal_name

ACTIVE_OF = {
    "dead": "inactive",
    "condition": "activating",
    "start-pre": "activating",
    "start": "activating",
    "start-chown": "activating",  # sockets
    "start-post": "activating",
    "running": "active",
    "exited": "active",
    "active": "active",  # targets and the like
    "listening": "active",  # sockets
    "waiting": "active",  # timers, paths
    "elapsed": "active",  # timers
    "reload": "reloading",
    "reload-signal": "reloading",
    "reload-notify": "reloading",
    "stop-pre": "deactivating",  # sockets, with the next two
    "stop-pre-sigterm": "deactivating",
    "stop-pre-sigkill": "deactivating",
    "stop": "deactivating",
    "stop-watchdog": "deactivating",
    "stop-sigterm": "deactivating",
    "stop-sigkill": "deactivating",
    "stop-post": "deactivating",
    "final-watchdog": "deactivating",
    "final-sigterm": "deactivating",
    "final-sigkill": "deactivating",
    "failed": "failed",
    "auto-restart": "activating",
}

#: CLD_* codes as `ExecMainCode` prints them.
CLD_EXITED, CLD_KILLED, CLD_DUMPED = 1, 2, 3


class Exit(msgspec.Struct, frozen=True):
    """How a process ended. `code` is a CLD_* number, `status` the exit code or signal number."""

    code: int
    status: int
    step: str = ""  # the set-up step that failed in the child, with errno below
    errno: int = 0
    reason: str = ""  # what the errno means, in words
    oom: bool = False  # the kernel killed it because memory ran out


@dataclass
class Record:
    """Everything the manager knows of one unit at run time. JSON-serialisable; kept over the manager's death."""

    def copy(self) -> Record:
        """A shallow copy, made for every step: copy.copy takes five times as long."""
        made = object.__new__(Record)
        made.__dict__.update(self.__dict__)
        return made

    name: str
    sub: str = "dead"
    result: str = "success"
    reload_result: str = "success"
    invocation: str = ""  # 32 hex digits
    main_pid: int = 0
    main_token: str = ""  # id of the SpawnSpec of the main process
    control_pid: int = 0
    control_token: str = ""
    control_role: str = ""  # ExecStartPre ExecStartPost ExecReload ExecStop ExecStopPost ExecCondition
    command_index: int = 0  # which of several commands of the role runs
    main_known: bool = False  # with main_pid 0: the main process is known to be gone
    main_alien: bool = False  # main process is not one we spawned as such (forking, MAINPID=)
    exec_done: bool = False  # execve of the main process succeeded
    notify_state: str = ""  # "reloading" or "stopping" when the service said so
    exec_main_code: int = 0
    exec_main_status: int = 0
    exec_main_pid: int = 0
    main_exit_result: str = ""  # exited killed dumped: EXIT_CODE for ExecStop, ExecStopPost
    start_succeeded: bool = False
    stop_requested: str = ""  # "stop" or "restart" while such a job rules: Restart= has no say
    flush_restarts: bool = False  # the next manual start clears n_restarts
    n_restarts: int = 0
    restart_delay: float = 0.0  # of the restart that is pending
    restart_attempt: int = 0  # consecutive automatic restarts, for growing delays
    start_history: list[float] = field(default_factory=list)  # monotonic times of starts, for StartLimit*
    deadlines: dict[str, tuple[float, int]] = field(default_factory=dict)  # name -> (monotonic, generation)
    timer_generation: int = 0
    watchdog_usec: int = -1  # override by WATCHDOG_USEC=, -1: none
    status_text: str = ""
    status_errno: int = 0
    notify_access: str = ""  # override by NOTIFYACCESS=
    ready: bool = False
    condition_result: bool = False
    assert_result: bool = False
    last_failure: str = ""  # one sentence: why the unit failed, for start and status
    stamps: dict[str, float] = field(default_factory=dict)  # ActiveEnter ActiveExit InactiveEnter InactiveExit StateChange ExecMainStart ExecMainExit Condition Assert -> realtime; …Monotonic
    timer: TimerState | None = None  # of a timer unit
    path: PathState | None = None  # of a path unit
    start_limit_hit: bool = False  # the last start was refused by the start limit
    n_accepted: int = 0  # of a socket, since it came up
    n_refused: int = 0
    trigger_history: list[float] = field(default_factory=list)  # monotonic times of activations, for TriggerLimit*
    poll_history: list[float] = field(default_factory=list)
    scale: int = -1  # of a pool's target: how many instances it was scaled to
    socket: str = ""  # the socket unit whose connection this instance serves
    peer: str = ""  # where that connection comes from: an address or "uid:N"
    remote: tuple[str, int] = ("", 0)  # REMOTE_ADDR, REMOTE_PORT
    cgroup: str = ""
    log_lost: int = 0  # bytes of output that could not be kept
    log_lost_why: str = ""
    used_at: float = 0.0

    @property
    def active(self) -> str:
        """ActiveState that belongs to the SubState."""
        return ACTIVE_OF[self.sub]


def exit_status(record: Record) -> str:
    """EXIT_STATUS of the main process: a number, or the name of a signal without SIG; empty when it has not ended."""
    if not record.main_exit_result:
        return ""
    return str(record.exec_main_status) if record.exec_main_code == CLD_EXITED else signal_name(record.exec_main_status)


# ---- events -----------------------------------------------------------------------------------------------


class Start(msgspec.Struct, frozen=True):
    """A start job runs. `automatic` is a restart by Restart=."""

    invocation: str
    automatic: bool = False
    condition: bool = True  # what Condition*= and Assert*= evaluated to
    assertion: bool = True


class Stop(msgspec.Struct, frozen=True):
    """A stop job runs (or the stop half of a restart, then `restart`)."""

    restart: bool = False


class Reload(msgspec.Struct, frozen=True):
    """A reload job runs."""


class Spawned(msgspec.Struct, frozen=True):
    """The warden made the process `token`, or could not (pid 0, errno)."""

    token: str
    pid: int
    errno: int = 0
    reason: str = ""  # what the errno means, in words


class ExecDone(msgspec.Struct, frozen=True):
    """execve succeeded in the process `token` (close-on-exec pipe at EOF)."""

    token: str


class Exited(msgspec.Struct, frozen=True):
    """A process of the unit ended."""

    token: str
    pid: int
    exit: Exit


class Empty(msgspec.Struct, frozen=True):
    """No process of the unit is left."""


class Deadline(msgspec.Struct, frozen=True):
    """The timer `name` with this generation went off."""

    name: str
    generation: int


class Notified(msgspec.Struct, frozen=True):
    """An accepted sd_notify message: assignments in order; `pid` is the sender."""

    pid: int
    fields: dict[str, str]


class PidFile(msgspec.Struct, frozen=True):
    """What the PID file (or the guess, when there is none) says. pid 0: nothing usable, with the reason. `empty`: no process of the unit is left at all."""

    pid: int
    reason: str = ""
    empty: bool = False


class ResetFailed(msgspec.Struct, frozen=True):
    """reset-failed: failed becomes dead, counters are cleared."""


class Restarting(msgspec.Struct, frozen=True):
    """The restart that was planned is being carried out: the auto-restart state ends."""


class OutOfMemory(msgspec.Struct, frozen=True):
    """The kernel killed a process of the unit's control group, because memory ran out."""


Event = Start | Stop | Reload | Spawned | ExecDone | Exited | Empty | Deadline | Notified | PidFile | ResetFailed | Restarting | OutOfMemory | TriggerEvent | SocketEvent

# ---- effects ----------------------------------------------------------------------------------------------


class Spawn(msgspec.Struct, frozen=True):
    """Run command `index` of `role` ("ExecStart", "ExecStop", ...) as process `token`."""

    token: str
    role: str
    index: int
    wants_exec_done: bool = False


class Signal(msgspec.Struct, frozen=True):
    """Send `signal` to `whom`: "main", "control", "main+control" or "all" (every process of the unit). `wake`: SIGCONT after it, for what is stopped."""

    whom: str
    signal: int
    also_hup: bool = False
    wake: bool = True


class ArmTimer(msgspec.Struct, frozen=True):
    """Deliver `Deadline(name, generation)` at `at` (monotonic)."""

    name: str
    at: float
    generation: int


class DisarmTimer(msgspec.Struct, frozen=True):
    """Forget the timer `name`."""

    name: str


class WatchEmpty(msgspec.Struct, frozen=True):
    """Deliver `Empty` when no process of the unit is left (at once if so already)."""


class ReadPidFile(msgspec.Struct, frozen=True):
    """Deliver `PidFile`: read PIDFile=, or guess the main process."""

    guess: bool


class Finished(msgspec.Struct, frozen=True):
    """The job under way ends: "done", "failed", "canceled", "timeout", "dependency", "skipped", "assert"."""

    job: str  # "start" "stop" "reload"
    result: str


class Changed(msgspec.Struct, frozen=True):
    """The state changed; tell subscribers, dependants, the start-limit's OnFailure=."""

    old_sub: str
    new_sub: str


class QueueRestart(msgspec.Struct, frozen=True):
    """The restart delay is over: queue a restart job."""


class Cleanup(msgspec.Struct, frozen=True):
    """The unit is down: remove its runtime directories (unless preserved), its PID file and cgroup."""

    restarting: bool


class Log(msgspec.Struct, frozen=True):
    """One line for the manager's log about this unit."""

    level: str  # "info" "warning" "error" "debug"
    message: str


Effect = Spawn | Signal | ArmTimer | DisarmTimer | WatchEmpty | ReadPidFile | Finished | Changed | QueueRestart | Cleanup | Log | TriggerEffect | SocketEffect

"""What the manager asks the warden to run. Plain data: it crosses a socket as JSON and is read after fork."""

from __future__ import annotations

from typing import TypedDict


class SpawnSpec(TypedDict, total=False):
    """One child. Only `id`, `path`, `argv` and `env` are required; an absent key means: leave as it is.

    `fds` in the SPAWN message are referred to by index, here as `stdin`, `stdout`, `stderr`, `execfd`, `listen`.
    Steps run in systemd's order; a failing step ends the child with the step's code (systemd.exec(5), 200-243).
    """

    id: str  # the manager's token for this process; comes back in SPAWNED, EXIT, KIDS
    path: str  # absolute, or a bare name: the child tries each directory of search_path
    search_path: list[str]
    argv: list[str]
    env: list[str]  # "K=V"; SYSTEMD_EXEC_PID, LISTEN_PID and WATCHDOG_PID are filled in by the child where present with value ""
    stdin: int  # index into the message's fds; absent: /dev/null
    stdout: int  # absent: /dev/null
    stderr: int  # absent: same as stdout
    tty: list[object]  # terminal for stdin: [path, how, reset, vhangup]; how is "tty" "tty-force" "tty-fail", or "" to prepare it only
    stdin_path: str  # files are opened in the child, as root, before the user changes
    stdout_path: str
    stdout_mode: str  # "file" (no truncation, offset 0) "append" "truncate" "tty" (an existing one) "stdin" (what stdin_path is, open for both)
    stderr_path: str
    stderr_mode: str
    execfd: int  # close-on-exec write end: EOF tells the manager that exec is done
    listen: list[int]  # become fds 3..
    nonblock: bool  # O_NONBLOCK on the listen fds
    idle: int  # read end of a pipe: exec waits until it is closed, or for five seconds (Type=idle)
    cgroup: str  # directory in a cgroup2 tree to start in
    join: list[str]  # directories of cgroup v1 controllers to join before exec
    umask: int
    optional: bool  # a missing program is success (prefix -)
    cwd: str
    cwd_optional: bool
    nice: int
    oom_score_adj: int
    ioprio: int  # class << 13 | level
    sched: list[int]  # policy, priority, reset_on_fork
    affinity: list[int]
    timer_slack: int
    limits: dict[str, list[int]]  # "NOFILE": [soft, hard]; -1 = infinity
    uid: int
    gid: int
    groups: list[int]
    no_new_privs: bool
    cap_bound: list[int]  # capabilities to keep
    cap_ambient: list[int]
    secure_bits: int
    ignore_sigpipe: bool
    chroot: str
    pdeathsig: int  # the signal that the child gets when the warden dies
    links: list[list[str]]  # [symlink, where it leads]
    directories: list[list[object]]  # [kind, absolute path, mode, uid, gid] with kind Runtime State Cache Logs Configuration

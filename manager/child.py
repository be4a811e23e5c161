"""What happens between fork and exec. This and `childio` have all post-fork code; standard library only, nothing is imported late.

The order and the exit codes are systemd's (systemd.exec(5), "Process Exit Codes").
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import gc
import os
import resource
import select
import signal
import stat
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from unitd.manager.childio import SetupError, stdio

if TYPE_CHECKING:
    from unitd.manager.spec import SpawnSpec

#: pid, exit code, errno, step: what a child says of its failure. Shorter than PIPE_BUF, so it arrives whole.
RECORD = struct.Struct("<iiI20s")
NO_FILE = 203
DIRECTORY_CODES = {"Runtime": 233, "State": 238, "Cache": 239, "Logs": 240, "Configuration": 241}
DIRECTORY_STEPS = {
    "Runtime": "RUNTIME_DIRECTORY",
    "State": "STATE_DIRECTORY",
    "Cache": "CACHE_DIRECTORY",
    "Logs": "LOGS_DIRECTORY",
    "Configuration": "CONFIGURATION_DIRECTO",
}
_PR_SET_KEEPCAPS, _PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_SET_TIMERSLACK = 8, 23, 24, 28, 29
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _CAP_AMBIENT_RAISE = 38, 47, 2
_CAP_SETPCAP = 8
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "i686": 289, "armv7l": 314, "ppc64le": 273, "s390x": 282}
_SCHED_RESET_ON_FORK = 0x40000000
_FILLED = ("SYSTEMD_EXEC_PID=", "LISTEN_PID=", "WATCHDOG_PID=")

# PyDLL keeps the interpreter lock: there is nobody to hand it to after fork.
libc = ctypes.PyDLL(None, use_errno=True)
_machine = os.uname().machine


class Surroundings:
    """What the warden is and its children should not be. Made once, before any fork."""

    def __init__(self, error_fd: int, no_file: tuple[int, int]) -> None:
        """`error_fd` is the write end of the pipe for failures, `no_file` the RLIMIT_NOFILE children get by default."""
        self.error_fd, self.no_file = error_fd, no_file
        self.changed_signals = [s for s in signal.valid_signals() if signal.getsignal(s) not in (signal.SIG_DFL, None)]
        self.last_cap = int(_read("/proc/sys/kernel/cap_last_cap") or b"40")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def run(spec: SpawnSpec, fds: Sequence[int], around: Surroundings, join_cgroup: bool) -> NoReturn:
    """Become what `spec` says. Called in the new process with all signals blocked; never returns.

    `fds` are what the spec's indexes mean. `join_cgroup`: the kernel did not put us into spec["cgroup"], do so here.
    """
    try:
        gc.disable()
        try:
            _signals(spec, around)
            _become(spec, fds, around, join_cgroup)
            _exec(spec)
        except SetupError as problem:
            _fail(around, problem.code, problem.step, problem.error)
        except OSError as problem:
            _fail(around, 1, "SETUP", problem.errno or 0)
    except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as a second warden
        _fail(around, 1, "SETUP", 0)
    finally:
        os._exit(1)


def _fail(around: Surroundings, code: int, step: str, error: int) -> NoReturn:
    try:
        os.write(around.error_fd, RECORD.pack(os.getpid(), code, error, step.encode()[:20]))
    finally:
        os._exit(code)


def _become(spec: SpawnSpec, fds: Sequence[int], around: Surroundings, join_cgroup: bool) -> None:
    """All steps before exec."""
    if "pdeathsig" in spec:
        _prctl(_PR_SET_PDEATHSIG, spec["pdeathsig"], 1, "SETUP")
    try:
        os.setsid()
    except OSError as e:
        raise SetupError(220, "SETSID", e.errno or 0) from e
    if "idle" in spec:
        waiting = select.poll()
        waiting.register(fds[spec["idle"]], 0)  # POLLHUP needs no asking for
        waiting.poll(5000)
    if join_cgroup and spec.get("cgroup"):
        _write(spec["cgroup"] + "/cgroup.procs", b"0", 219, "CGROUP")
    for directory in spec.get("join", ()):
        _write(directory + "/cgroup.procs", b"0", 219, "CGROUP")
    if "umask" in spec:
        os.umask(spec["umask"])
    stdio(spec, fds)
    _descriptors(spec, fds, around)
    _scheduling(spec)
    _directories(spec)
    _limits(spec, around)
    if spec.get("chroot"):
        try:
            os.chroot(spec["chroot"])
            os.chdir("/")
        except OSError as e:
            raise SetupError(210, "CHROOT", e.errno or 0) from e
    _identity(spec, around)
    if "cwd" in spec:
        try:
            os.chdir(spec["cwd"])
        except OSError as e:
            if not spec.get("cwd_optional"):
                raise SetupError(200, "CHDIR", e.errno or 0) from e
            os.chdir("/")


def _signals(spec: SpawnSpec, around: Surroundings) -> None:
    try:
        signal.set_wakeup_fd(-1)
        for number in around.changed_signals:
            signal.signal(number, signal.SIG_DFL)
        if spec.get("ignore_sigpipe"):
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
    except OSError as e:
        raise SetupError(207, "SIGNAL_MASK", e.errno or 0) from e


def _descriptors(spec: SpawnSpec, fds: Sequence[int], around: Surroundings) -> None:
    """Put the listening sockets at 3... Everything else is close-on-exec. The error pipe moves out of their way."""
    listen = [fds[i] for i in spec.get("listen", ())]
    if not listen:
        return
    above = 3 + len(listen)
    try:
        # First up, out of the way of each other, then down.
        around.error_fd = fcntl.fcntl(around.error_fd, fcntl.F_DUPFD_CLOEXEC, above)
        if "execfd" in spec:
            fcntl.fcntl(fds[spec["execfd"]], fcntl.F_DUPFD_CLOEXEC, above)
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in listen]
        for target, fd in enumerate(high, 3):
            os.dup2(fd, target)
            if "nonblock" in spec:
                os.set_blocking(target, not spec["nonblock"])
    except OSError as e:
        raise SetupError(202, "FDS", e.errno or 0) from e


def _write(path: str, data: bytes, code: int, step: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
    except OSError as e:
        raise SetupError(code, step, e.errno or 0) from e


def _scheduling(spec: SpawnSpec) -> None:
    if "oom_score_adj" in spec:
        try:
            _write("/proc/self/oom_score_adj", b"%d" % spec["oom_score_adj"], 206, "OOM_ADJUST")
        except SetupError as e:
            if e.error not in (errno.EPERM, errno.EACCES):  # a container may not lower it; as systemd does, go on without
                raise
    code, step = 201, "NICE"
    try:
        if "nice" in spec:
            _nice(spec["nice"])
        if "sched" in spec:
            code, step = 214, "SETSCHEDULER"
            policy, priority, reset = spec["sched"]
            os.sched_setscheduler(0, policy | (_SCHED_RESET_ON_FORK if reset else 0), os.sched_param(priority))
        if "affinity" in spec:
            code, step = 215, "CPUAFFINITY"
            os.sched_setaffinity(0, spec["affinity"])
    except OSError as e:
        raise SetupError(code, step, e.errno or 0) from e
    if "ioprio" in spec:
        number = _IOPRIO_SET.get(_machine)
        if number is None or libc.syscall(number, 1, 0, spec["ioprio"]) != 0:
            raise SetupError(211, "IOPRIO", ctypes.get_errno())
    if "timer_slack" in spec:
        _prctl(_PR_SET_TIMERSLACK, spec["timer_slack"], 212, "TIMERSLACK")


def _nice(wanted: int) -> None:
    """The nice level, or the nearest that RLIMIT_NICE allows (systemd's setpriority_closest). Raises OSError."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, wanted)
    except PermissionError:
        lowest = 20 - resource.getrlimit(resource.RLIMIT_NICE)[0]
        os.setpriority(os.PRIO_PROCESS, 0, max(wanted, min(lowest, os.getpriority(os.PRIO_PROCESS, 0))))


def _directories(spec: SpawnSpec) -> None:
    wanted = spec.get("directories")
    if not wanted:
        return
    mask = os.umask(0)
    for kind, path, mode, uid, gid in wanted:
        try:
            make_directory(str(kind), str(path), int(str(mode)), int(str(uid)), int(str(gid)))
        except OSError as e:
            raise SetupError(DIRECTORY_CODES[str(kind)], DIRECTORY_STEPS[str(kind)], e.errno or 0) from e
    for link, target in spec.get("links", ()):
        try:
            _link(link, target)
        except OSError as e:
            raise SetupError(DIRECTORY_CODES["State"], DIRECTORY_STEPS["State"], e.errno or 0) from e
    os.umask(mask)


def _link(link: str, target: str) -> None:
    """A symlink that leads to the directory, relative as systemd makes it; one that is there already is kept if it leads there."""
    os.makedirs(os.path.dirname(link), 0o755, exist_ok=True)
    to = os.path.relpath(target, os.path.dirname(link))
    try:
        os.symlink(to, link)
    except FileExistsError:
        if not os.path.islink(link) or os.readlink(link) not in (to, target):
            raise


def make_directory(kind: str, path: str, mode: int, uid: int, gid: int) -> None:
    """One of RuntimeDirectory= and siblings: parents root's with 0755, itself with owner and mode. Raises OSError.

    An existing one is given to the owner with all that is in it, but a configuration directory stays as it is.
    """
    made = True
    current = ""
    parts = [p for p in path.split("/") if p]
    for part in parts[:-1]:
        current += "/" + part
        try:
            os.mkdir(current, 0o755)
        except FileExistsError:
            continue
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        made = False
        if not stat.S_ISDIR(os.stat(path).st_mode):
            raise
    if not made and kind == "Configuration":
        return
    info = os.stat(path)
    if stat.S_IMODE(info.st_mode) != mode:
        os.chmod(path, mode)
    if (info.st_uid, info.st_gid) != (uid, gid):
        for root, folders, files in os.walk(path):
            for name in folders + files:
                os.chown(os.path.join(root, name), uid, gid, follow_symlinks=False)
        os.chown(path, uid, gid)


def _limits(spec: SpawnSpec, around: Surroundings) -> None:
    wanted = dict(spec.get("limits", {}))
    if "NOFILE" not in wanted:
        wanted["NOFILE"] = list(around.no_file)
    for name, (soft, hard) in wanted.items():
        number = 10 if name == "LOCKS" else getattr(resource, f"RLIMIT_{name}", None)  # Python has no name for that one
        if number is None:
            raise SetupError(205, "LIMITS", 22)
        try:
            set_limit(number, soft, hard)
        except (OSError, ValueError) as e:
            raise SetupError(205, "LIMITS", getattr(e, "errno", None) or 22) from e


def set_limit(number: int, soft: int, hard: int) -> None:
    """setrlimit, or as close as we may come without privilege (systemd's setrlimit_closest). -1 is infinity."""
    try:
        resource.setrlimit(number, (soft, hard))
    except (OSError, ValueError):
        _soft, top = resource.getrlimit(number)
        if top == resource.RLIM_INFINITY:
            raise
        soft = top if soft == resource.RLIM_INFINITY else min(soft, top)
        hard = top if hard == resource.RLIM_INFINITY else min(hard, top)
        resource.setrlimit(number, (soft, hard))


def _prctl(option: int, argument: int, code: int, step: str, second: int = 0) -> None:
    if libc.prctl(option, ctypes.c_ulong(argument), ctypes.c_ulong(second), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        raise SetupError(code, step, ctypes.get_errno())


def _capset(effective: int, permitted: int, inheritable: int) -> None:
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    words = [w >> s & 0xFFFFFFFF for s in (0, 32) for w in (effective, permitted, inheritable)]
    if libc.capset(header, (ctypes.c_uint32 * 6)(*words)) != 0:
        raise SetupError(218, "CAPABILITIES", ctypes.get_errno())


def _permitted() -> int:
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    if libc.capget(header, data) != 0:
        raise SetupError(218, "CAPABILITIES", ctypes.get_errno())
    return int(data[1]) | int(data[4]) << 32


def _identity(spec: SpawnSpec, around: Surroundings) -> None:
    """Capabilities, groups, user, securebits, no_new_privs: each while the right to do it is still there."""
    bound = spec.get("cap_bound")
    none = ctypes.c_ulong(0)
    if bound is not None:
        for cap in range(around.last_cap + 1):
            if cap not in bound and libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(cap), none, none, none) == 1:
                _prctl(_PR_CAPBSET_DROP, cap, 218, "CAPABILITIES")
    ambient = spec.get("cap_ambient") or []
    secure = spec.get("secure_bits", 0)
    if ambient or secure:
        _prctl(_PR_SET_KEEPCAPS, 1, 218, "CAPABILITIES")
    code, step = 216, "GROUP"
    try:
        if "groups" in spec:
            os.setgroups(spec["groups"])
        if "gid" in spec:
            os.setresgid(spec["gid"], spec["gid"], spec["gid"])
        code, step = 217, "USER"
        if "uid" in spec:
            os.setresuid(spec["uid"], spec["uid"], spec["uid"])
    except OSError as e:
        raise SetupError(code, step, e.errno or 0) from e
    if ambient or secure:
        wanted = sum(1 << cap for cap in ambient)
        held = _permitted()
        _capset(held & (wanted | 1 << _CAP_SETPCAP) if spec.get("uid") else held, held, wanted)
        for cap in ambient:
            _prctl(_PR_CAP_AMBIENT, _CAP_AMBIENT_RAISE, 218, "CAPABILITIES", cap)
        if secure:
            _prctl(_PR_SET_SECUREBITS, secure, 213, "SECUREBITS")
        if spec.get("uid"):
            _capset(held & wanted, held & wanted, wanted)
    if spec.get("no_new_privs"):
        _prctl(_PR_SET_NO_NEW_PRIVS, 1, 227, "NO_NEW_PRIVILEGES")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _exec(spec: SpawnSpec) -> NoReturn:
    pid = str(os.getpid())
    env = dict(_bytes(word + pid if word in _FILLED else word).split(b"=", 1) for word in spec["env"])
    argv = [_bytes(word) for word in spec["argv"]]
    path = spec["path"]
    candidates = [path] if "/" in path else [f"{folder}/{path}" for folder in spec.get("search_path", ())]
    failure = 2
    for candidate in candidates:
        try:
            os.execve(_bytes(candidate), argv, env)  # noqa: S606 - to run programs is what this is for
        except OSError as e:
            if e.errno not in (2, 20) or failure == 2:
                failure = e.errno or failure
        except ValueError:  # a NUL byte, an empty argv
            failure = 22
    if failure == 2 and spec.get("optional"):
        os._exit(0)
    raise SetupError(NO_FILE, "EXEC", failure)

"""What happens between fork and exec. This, `childio` and `childdirectories` have all post-fork code; standard library only, nothing is imported late.

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
import struct

from unitd.manager.childdirectories import directories
from unitd.manager.childio import SetupError, stdio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from unitd.manager.spec import SpawnSpec

#: pid, exit code, errno, step: what a child says of its failure. Shorter than PIPE_BUF, so it arrives whole.
RECORD = struct.Struct("<iiI20s")
NO_FILE = 203
_PR_SET_KEEPCAPS, _PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_SET_TIMERSLACK = 8, 23, 24, 28, 29
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _CAP_AMBIENT_RAISE = 38, 47, 2
_CAP_SETPCAP = 8
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "i686": 289, "armv7l": 314, "ppc64le": 273, "s390x": 282}
_SCHED_RESET_ON_FORK = 0x40000000
_FILLED = (b"SYSTEMD_EXEC_PID", b"LISTEN_PID", b"WATCHDOG_PID")
_RLIMITS = {name[7:]: int(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")} | {"LOCKS": 10}  # Python has no name for that one
_NOFILE = _RLIMITS["NOFILE"]

# PyDLL keeps the interpreter lock: there is nobody to hand it to after fork.
libc = ctypes.PyDLL(None, use_errno=True)
_machine = os.uname().machine
_SIG_SETMASK = int(signal.SIG_SETMASK)
_SIGPIPE = int(signal.SIGPIPE)
_DEFAULT, _IGNORE = ctypes.c_void_p(0), ctypes.c_void_p(1)
# Looked up here and not after the fork, where each look-up copies pages: a child of a trivial unit touches a third less this way.
_pthread_sigmask, _set_signal = libc.pthread_sigmask, libc.signal
_prctl_call, _capset_call, _capget_call = libc.prctl, libc.capset, libc.capget
_setsid, _umask, _chdir, _getpid, _execve = os.setsid, os.umask, os.chdir, os.getpid, os.execve
_setrlimit = resource.setrlimit


class SignalSet(ctypes.Structure):
    """A sigset_t: 1024 bits in every libc. Python's `signal` makes sets of 64 enum members of it, which after a fork costs a hundred page faults."""

    _fields_ = (("bits", ctypes.c_uint64 * 16),)


NO_SIGNALS = SignalSet()
ALL_SIGNALS = SignalSet((ctypes.c_uint64 * 16)(*[0xFFFFFFFFFFFFFFFF] * 16))


def signal_mask(wanted: SignalSet, before: SignalSet | None = None) -> None:
    """Block exactly `wanted`; what was blocked goes to `before`. Raises OSError."""
    problem = _pthread_sigmask(_SIG_SETMASK, ctypes.byref(wanted), None if before is None else ctypes.byref(before))
    if problem:
        raise OSError(problem, os.strerror(problem))


class Surroundings:
    """What the warden is and its children should not be. Made once, before any fork."""

    def __init__(self, error_fd: int, no_file: tuple[int, int]) -> None:
        """`error_fd` is the write end of the pipe for failures, `no_file` the RLIMIT_NOFILE children get by default."""
        self.error_fd, self.no_file = error_fd, no_file
        self.changed_signals = [int(s) for s in signal.valid_signals() if signal.getsignal(s) not in (signal.SIG_DFL, None)]
        self.last_cap = int(_read("/proc/sys/kernel/cap_last_cap") or b"40")


class Image:
    """What execve is given. Made before the fork: every page that the child touches is copied for it."""

    __slots__ = ("argv", "env", "own", "paths")

    def __init__(self, spec: SpawnSpec) -> None:
        """Raises KeyError, ValueError for what no program can be given."""
        path = spec["path"]
        self.paths = [_bytes(path)] if "/" in path else [_bytes(f"{folder}/{path}") for folder in spec.get("search_path", ())]
        self.argv = [_bytes(word) for word in spec["argv"]]
        self.env = dict(_bytes(word).split(b"=", 1) for word in spec["env"])
        #: Variables that get the child's own number.
        self.own = [name for name in _FILLED if self.env.get(name) == b""]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def run(spec: SpawnSpec, image: Image, fds: Sequence[int], around: Surroundings, join_cgroup: bool) -> NoReturn:
    """Become what `spec` says. Called in the new process with all signals blocked; never returns.

    `image` is made of `spec`. `fds` are what the spec's indexes mean. `join_cgroup`: the kernel did not put us into spec["cgroup"], do so here.
    """
    try:
        gc.disable()
        try:
            _signals(spec, around)
            _become(spec, fds, around, join_cgroup)
            _exec(image, bool(spec.get("optional")))
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
        _setsid()
    except OSError as e:
        raise SetupError(220, "SETSID", e.errno or 0) from e
    if "idle" in spec:
        waiting = select.poll()
        waiting.register(fds[spec["idle"]], 0)  # POLLHUP needs no asking for
        waiting.poll(5000)
    if join_cgroup and "cgroup" in spec and spec["cgroup"]:
        _write(spec["cgroup"] + "/cgroup.procs", b"0", 219, "CGROUP")
    if "join" in spec:
        for directory in spec["join"]:
            _write(directory + "/cgroup.procs", b"0", 219, "CGROUP")
    if "umask" in spec:
        _umask(spec["umask"])
    stdio(spec, fds)
    _descriptors(spec, fds, around)
    _scheduling(spec)
    if "directories" in spec:
        directories(spec)
    _limits(spec, around)
    if "chroot" in spec and spec["chroot"]:
        try:
            os.chroot(spec["chroot"])
            os.chdir("/")
        except OSError as e:
            raise SetupError(226, "NAMESPACE", e.errno or 0) from e  # where systemd looks for it: it mounts /proc and the like in there
    _identity(spec, around)
    if "cwd" in spec:
        try:
            _chdir(spec["cwd"])
        except OSError as e:
            if not spec.get("cwd_optional"):
                raise SetupError(200, "CHDIR", e.errno or 0) from e
            os.chdir("/")


def _signals(spec: SpawnSpec, around: Surroundings) -> None:
    """Every signal as a program expects it, then unblocked: what came since the fork acts on what is to be."""
    try:
        for number in around.changed_signals:
            _set_signal(number, _DEFAULT)
        if "ignore_sigpipe" in spec and spec["ignore_sigpipe"]:
            _set_signal(_SIGPIPE, _IGNORE)
        signal_mask(NO_SIGNALS)
    except OSError as e:
        raise SetupError(207, "SIGNAL_MASK", e.errno or 0) from e


def _descriptors(spec: SpawnSpec, fds: Sequence[int], around: Surroundings) -> None:
    """Put the listening sockets at 3... Everything else is close-on-exec. The error pipe moves out of their way."""
    if "listen" not in spec or not spec["listen"]:
        return
    listen = [fds[i] for i in spec["listen"]]
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


def _limits(spec: SpawnSpec, around: Surroundings) -> None:
    wanted = spec["limits"] if "limits" in spec else {}
    try:
        if "NOFILE" not in wanted:
            set_limit(_NOFILE, *around.no_file)
        for name, (soft, hard) in wanted.items():
            set_limit(_RLIMITS[name], soft, hard)
    except (OSError, ValueError, KeyError) as e:
        raise SetupError(205, "LIMITS", getattr(e, "errno", None) or 22) from e


def set_limit(number: int, soft: int, hard: int) -> None:
    """setrlimit, or as close as we may come without privilege (systemd's setrlimit_closest). -1 is infinity."""
    try:
        _setrlimit(number, (soft, hard))
    except (OSError, ValueError):
        _soft, top = resource.getrlimit(number)
        if top == resource.RLIM_INFINITY:
            raise
        soft = top if soft == resource.RLIM_INFINITY else min(soft, top)
        hard = top if hard == resource.RLIM_INFINITY else min(hard, top)
        resource.setrlimit(number, (soft, hard))


def _prctl(option: int, argument: int, code: int, step: str, second: int = 0) -> None:
    if _prctl_call(option, ctypes.c_ulong(argument), ctypes.c_ulong(second), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        raise SetupError(code, step, ctypes.get_errno())


def _capset(effective: int, permitted: int, inheritable: int) -> None:
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    words = [w >> s & 0xFFFFFFFF for s in (0, 32) for w in (effective, permitted, inheritable)]
    if _capset_call(header, (ctypes.c_uint32 * 6)(*words)) != 0:
        raise SetupError(218, "CAPABILITIES", ctypes.get_errno())


def _permitted() -> int:
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    if _capget_call(header, data) != 0:
        raise SetupError(218, "CAPABILITIES", ctypes.get_errno())
    return int(data[1]) | int(data[4]) << 32


def _identity(spec: SpawnSpec, around: Surroundings) -> None:
    """Capabilities, groups, user, securebits, no_new_privs: each while the right to do it is still there."""
    if "cap_bound" in spec:
        bound, none = spec["cap_bound"], ctypes.c_ulong(0)
        for cap in range(around.last_cap + 1):
            if cap not in bound and _prctl_call(_PR_CAPBSET_READ, ctypes.c_ulong(cap), none, none, none) == 1:
                _prctl(_PR_CAPBSET_DROP, cap, 218, "CAPABILITIES")
    ambient = spec["cap_ambient"] if "cap_ambient" in spec else []
    if ambient:
        ambient = [cap for cap in ambient if _prctl_call(_PR_CAPBSET_READ, ctypes.c_ulong(cap), *(ctypes.c_ulong(0),) * 3) == 1]
    secure = spec["secure_bits"] if "secure_bits" in spec else 0
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
    if "no_new_privs" in spec and spec["no_new_privs"]:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1, 227, "NO_NEW_PRIVILEGES")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _exec(image: Image, optional: bool) -> NoReturn:
    if image.own:
        pid = b"%d" % _getpid()
        for name in image.own:
            image.env[name] = pid
    failure = 2
    for path in image.paths:
        try:
            _execve(path, image.argv, image.env)  # noqa: S606 - to run programs is what this is for
        except OSError as e:
            if e.errno not in (2, 20) or failure == 2:
                failure = e.errno or failure
        except ValueError:  # a NUL byte, an empty argv
            failure = 22
    if optional and not any(os.access(path, os.X_OK) and not os.path.isdir(path) for path in image.paths):
        os._exit(0)
    raise SetupError(NO_FILE, "EXEC", failure)

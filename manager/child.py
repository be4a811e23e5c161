"""Everything between fork and exec, in one file: no imports, no logging, no locks once forked. Standard library only.

Steps and exit codes are those of systemd.exec(5). A failing step is written to the warden's error pipe and ends the child with its code.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import signal
import struct
from typing import Any

ERROR = struct.Struct("<iii20s")  # pid, exit code, errno, step
_libc = ctypes.CDLL(None, use_errno=True)
_RLIMITS = {name[7:]: getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")} | {"LOCKS": 10}
_DIRECTORY_STEP = {"Runtime": (233, "RUNTIME_DIRECTORY"), "State": (238, "STATE_DIRECTORY"), "Cache": (239, "CACHE_DIRECTORY"),
                   "Logs": (240, "LOGS_DIRECTORY"), "Configuration": (241, "CONFIGURATION_DIRECTORY")}  # fmt: skip
_PR_SET_KEEPCAPS, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_SET_TIMERSLACK, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 8, 24, 28, 29, 38, 47
_NR = {"x86_64": (251, 125, 126), "aarch64": (30, 90, 91)}.get(os.uname().machine, (251, 125, 126))


class Step(Exception):
    """A step of the set-up failed."""

    def __init__(self, code: int, name: str, number: int) -> None:
        super().__init__(name)
        self.code, self.name, self.number = code, name, number


def run(spec: dict[str, Any], fds: list[int], error_fd: int, soft_nofile: int) -> None:
    """Set up and exec; never returns."""
    code = 255
    try:
        set_up(spec, fds, soft_nofile)
    except Step as step:
        code = step.code
        os.write(error_fd, ERROR.pack(os.getpid(), step.code, step.number, step.name.encode()[:20]))
    except BaseException as error:
        number = getattr(error, "errno", 0) or 0
        os.write(error_fd, ERROR.pack(os.getpid(), code, number, type(error).__name__.encode()[:20]))
    finally:
        os._exit(code)


class _Doing:
    """Turns an OSError in a block into the failing step."""

    __slots__ = ("code", "name")

    def __init__(self, code: int, name: str) -> None:
        self.code, self.name = code, name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Step) or error is None:
            return
        raise Step(self.code, self.name, getattr(error, "errno", 0) or 0)


def _call(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def set_up(spec: dict[str, Any], fds: list[int], soft_nofile: int) -> None:
    """All steps in systemd's order, then execve."""
    get = spec.get
    signal.set_wakeup_fd(-1)
    for number in range(1, 65):
        if number not in (9, 19, 32, 33):
            signal.signal(number, signal.SIG_DFL)
    if get("ignore_sigpipe", True):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    with _Doing(220, "SETSID"):
        os.setsid()
    if get("cgroup_procs"):
        with _Doing(219, "CGROUP"):
            _write(spec["cgroup_procs"], "0")
    _stdio(spec, fds)
    _scheduling(spec)
    _limits(get("limits", {}), soft_nofile)
    os.umask(get("umask", 0o022))
    for kind, path, mode, uid, gid in get("directories", ()):
        code, name = _DIRECTORY_STEP[kind]
        with _Doing(code, name):
            _make_directory(path, mode, uid, gid)
    if get("chroot"):
        with _Doing(210, "CHROOT"):
            os.chroot(spec["chroot"])
    _credentials(spec)
    with _Doing(200, "CHDIR"):
        try:
            os.chdir(get("cwd") or "/")
        except OSError:
            if not get("cwd_optional"):
                raise
            os.chdir("/")
    pid = str(os.getpid())
    filled = ("SYSTEMD_EXEC_PID=", "LISTEN_PID=", "WATCHDOG_PID=")
    env = {}
    for item in spec["env"]:
        key, _, value = item.partition("=")
        env[key] = pid if item in filled else value
    _exec(spec, env)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _open(path: str, mode: str) -> int:
    flags = os.O_CREAT | os.O_NOCTTY | (os.O_WRONLY if mode != "rw" else os.O_RDWR)
    if mode == "append":
        flags |= os.O_APPEND
    elif mode == "truncate":
        flags |= os.O_TRUNC
    return os.open(path, flags, 0o666)


def _stdio(spec: dict[str, Any], fds: list[int]) -> None:
    """0-2 and the passed descriptors from 3 on; everything else is close-on-exec."""
    get = spec.get
    high = max([64, *fds]) + 16
    copies: dict[int, int] = {}

    def copy(index: int) -> int:
        if index not in copies:
            copies[index] = fcntl.fcntl(fds[index], fcntl.F_DUPFD_CLOEXEC, high)
        return copies[index]

    listen = [copy(i) for i in get("listen", ())]
    if "execfd" in spec:
        copy(spec["execfd"])
    old = os.umask(get("umask", 0o022))
    with _Doing(208, "STDIN"):
        if "stdin" in spec:
            source = copy(spec["stdin"])
        elif get("stdin_path"):
            same = get("stdin_path") in (get("stdout_path"), get("stderr_path"))
            source = _open(spec["stdin_path"], "rw") if same else os.open(spec["stdin_path"], os.O_RDONLY | os.O_NOCTTY)
        else:
            source = os.open("/dev/null", os.O_RDONLY)
    source = _lift(source, high)
    with _Doing(209, "STDOUT"):
        if "stdout" in spec:
            out = copy(spec["stdout"])
        elif get("stdout_path"):
            same = get("stdout_path") == get("stdin_path")
            out = source if same else _lift(_open(spec["stdout_path"], get("stdout_mode", "file")), high)
        else:
            out = _lift(os.open("/dev/null", os.O_WRONLY), high)
    with _Doing(222, "STDERR"):
        if "stderr" in spec:
            err = copy(spec["stderr"])
        elif get("stderr_path"):
            same = get("stderr_path") == get("stdout_path") and get("stderr_mode") == get("stdout_mode")
            err = out if same else _lift(_open(spec["stderr_path"], get("stderr_mode", "file")), high)
        elif get("stderr_null"):
            err = _lift(os.open("/dev/null", os.O_WRONLY), high)
        else:
            err = out
    os.umask(old)
    os.dup2(source, 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    with _Doing(202, "FDS"):
        for number, fd in enumerate(listen, 3):
            os.dup2(fd, number)
            flags = fcntl.fcntl(number, fcntl.F_GETFL)
            wanted = flags | os.O_NONBLOCK if get("nonblock") else flags & ~os.O_NONBLOCK
            if wanted != flags:
                fcntl.fcntl(number, fcntl.F_SETFL, wanted)


def _lift(fd: int, high: int) -> int:
    if fd >= high:
        return fd
    new = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, high)
    os.close(fd)
    return new


def _scheduling(spec: dict[str, Any]) -> None:
    if "oom_score_adj" in spec:
        with _Doing(206, "OOM_ADJUST"):
            _write("/proc/self/oom_score_adj", str(spec["oom_score_adj"]))
    if "nice" in spec:
        with _Doing(201, "NICE"):
            os.setpriority(os.PRIO_PROCESS, 0, spec["nice"])
    if "sched" in spec:
        policy, priority, reset = spec["sched"]
        with _Doing(214, "SETSCHEDULER"):
            os.sched_setscheduler(0, policy | (0x40000000 if reset else 0), os.sched_param(priority))
    if "affinity" in spec:
        with _Doing(215, "CPUAFFINITY"):
            os.sched_setaffinity(0, spec["affinity"])
    if "ioprio" in spec:
        with _Doing(211, "IOPRIO"):
            _call(_libc.syscall(_NR[0], 1, 0, spec["ioprio"]))
    if "timer_slack" in spec:
        with _Doing(212, "TIMERSLACK"):
            _call(_libc.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(spec["timer_slack"]), 0, 0, 0))


def _limits(limits: dict[str, list[int]], soft_nofile: int) -> None:
    """setrlimit; above our own hard limit and without the privilege, the hard limit is what one gets (as systemd clamps)."""
    if "NOFILE" not in limits:
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft_nofile, hard) if hard >= 0 else soft_nofile, hard))
    with _Doing(205, "LIMITS"):
        for name, (soft, hard) in limits.items():
            number = _RLIMITS[name]
            try:
                resource.setrlimit(number, (soft, hard))
            except (ValueError, OSError):
                _old, top = resource.getrlimit(number)
                if top == -1:
                    raise

                def clamp(value: int, top: int = top) -> int:
                    return top if value == -1 or value > top else value

                resource.setrlimit(number, (clamp(soft), clamp(hard)))


def _make_directory(path: str, mode: int, uid: int, gid: int) -> None:
    old = os.umask(0)
    try:
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts)):
            try:
                os.mkdir("/" + "/".join(parts[:depth]), 0o755)
            except FileExistsError:
                pass
        try:
            os.mkdir(path, mode)
        except FileExistsError:
            if not os.path.isdir(path):
                raise
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fchmod(fd, mode)
            if uid >= 0 and (os.fstat(fd).st_uid != uid or os.fstat(fd).st_gid != gid):
                os.fchown(fd, uid, gid)
        finally:
            os.close(fd)
    finally:
        os.umask(old)


class _CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def _inherit(capabilities: list[int]) -> None:
    """Put capabilities into the inheritable set (they are permitted), a condition for the ambient one."""
    header = _CapHeader(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    _call(_libc.syscall(_NR[1], ctypes.byref(header), data))
    for capability in capabilities:
        word, bit = divmod(capability, 32)
        data[word * 3 + 2] |= 1 << bit
        data[word * 3] |= 1 << bit
    _call(_libc.syscall(_NR[2], ctypes.byref(header), data))


def _credentials(spec: dict[str, Any]) -> None:
    get = spec.get
    ambient = get("cap_ambient", [])
    if "cap_bound" in spec:
        with _Doing(218, "CAPABILITIES"):
            with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
                last = int(file.read())
            keep = set(spec["cap_bound"])
            for capability in range(last + 1):
                if capability not in keep:
                    _call(_libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0))
    if "gid" in spec or "groups" in spec:
        with _Doing(216, "GROUP"):
            if "groups" in spec:
                os.setgroups(spec["groups"])
            if "gid" in spec:
                os.setresgid(spec["gid"], spec["gid"], spec["gid"])
    if "uid" in spec:
        with _Doing(217, "USER"):
            if ambient:
                _call(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
            os.setresuid(spec["uid"], spec["uid"], spec["uid"])
    elif "cap_bound" in spec and os.geteuid() == 0:
        with _Doing(218, "CAPABILITIES"):
            _bound_root(spec["cap_bound"])
    if ambient:
        with _Doing(218, "CAPABILITIES"):
            _inherit(ambient)
            for capability in ambient:
                _call(_libc.prctl(_PR_CAP_AMBIENT, 2, capability, 0, 0))
    if get("secure_bits"):
        with _Doing(213, "SECUREBITS"):
            _call(_libc.prctl(_PR_SET_SECUREBITS, get("secure_bits"), 0, 0, 0))
    if get("no_new_privs"):
        with _Doing(227, "NO_NEW_PRIVILEGES"):
            _call(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _bound_root(keep: list[int]) -> None:
    """Root keeps no inheritable capability outside the bounding set; permitted ones follow at exec."""
    header = _CapHeader(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    _call(_libc.syscall(_NR[1], ctypes.byref(header), data))
    for word in range(2):
        mask = sum(1 << (c % 32) for c in keep if c // 32 == word)
        data[word * 3 + 2] &= mask
    _call(_libc.syscall(_NR[2], ctypes.byref(header), data))


def _exec(spec: dict[str, Any], env: dict[str, str]) -> None:
    path, argv = spec["path"], spec["argv"]
    candidates = [path] if "/" in path else [os.path.join(d, path) for d in spec.get("search_path", ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"])]
    number = errno.ENOENT
    for candidate in candidates:
        try:
            os.execve(candidate, argv, env)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                number = error.errno or errno.EIO
                break
    if number == errno.ENOENT and spec.get("optional"):
        os._exit(0)
    raise Step(203, "EXEC", number)

"""Condition*= and Assert*= lines against the machine (systemd.unit(5)); cases cond-*."""

from __future__ import annotations

import fnmatch
import glob
import os
import platform
import re
from collections.abc import Iterable

from unitd.units.model import Condition

ARCHITECTURES = {"x86_64": "x86-64", "i686": "x86", "i386": "x86", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64-le"}
#: Bits of the capability sets in /proc/self/status (linux/capability.h), by name.
CAPABILITIES = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast net_admin net_raw "
    "ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod "
    "lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"
).split()


def hold(conditions: Iterable[Condition]) -> bool:
    """All plain ones hold, and at least one of the triggering ones (`|`) if there are any."""
    triggers: list[bool] = []
    for condition in conditions:
        result = test(condition) != condition.negate
        if condition.trigger:
            triggers.append(result)
        elif not result:
            return False
    return not triggers or any(triggers)


def test(condition: Condition) -> bool:
    """One condition, its negation left out. A kind we cannot judge counts as true, as in systemd for unknown lines."""
    check = CHECKS.get(condition.kind)
    return True if check is None else bool(check(condition.argument))


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _read_write(path: str) -> bool:
    try:
        return not os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        return False


def _compare(have: float, text: str) -> bool:
    """`>= 4`, `!=2`, `4` (which means at least)."""
    match = re.fullmatch(r"\s*(<=|>=|!=|=|==|<|>)?\s*(\S+)\s*", text)
    if match is None:
        return False
    from unitd.units.values import parse_size

    try:
        want = float(parse_size(match[2]) or 0)
    except ValueError:
        return False
    operator = match[1] or ">="
    return {"<": have < want, "<=": have <= want, "=": have == want, "==": have == want, "!=": have != want, ">": have > want, ">=": have >= want}[operator]


def _version_key(text: str) -> list[tuple[int, object]]:
    return [(1, int(p)) if p.isdigit() else (0, p) for p in re.findall(r"\d+|[a-z]+", text)]


def _kernel(argument: str) -> bool:
    release = platform.release()
    for word in re.findall(r"(?:(?:<=|>=|!=|==|=|<|>)\s*)?\S+", argument):
        match = re.fullmatch(r"(<=|>=|!=|==|=|<|>)?\s*(\S+)", word)
        if match is None:
            return False
        if not match[1] or (match[1] == "=" and any(c in match[2] for c in "*?[")):
            if not fnmatch.fnmatchcase(release, match[2]):
                return False
            continue
        a, b = _version_key(release), _version_key(match[2])
        if not {"<": a < b, "<=": a <= b, "=": a == b, "==": a == b, "!=": a != b, ">": a > b, ">=": a >= b}[match[1]]:
            return False
    return True


def _host(argument: str) -> bool:
    machine = _text("/etc/machine-id").strip()
    return argument.replace("-", "").lower() == machine or fnmatch.fnmatch(platform.node().lower(), argument.lower())


def _environment(argument: str) -> bool:
    name, equals, value = argument.partition("=")
    return os.environ.get(name) == value if equals else name in os.environ


def _os_release(argument: str) -> bool:
    fields = dict(line.split("=", 1) for line in _text("/etc/os-release").splitlines() if "=" in line)
    for word in argument.split():
        match = re.fullmatch(r"(\w+)\s*(<=|>=|!=|==|=|<|>)\s*(.*)", word)
        if match is None:
            return False
        have, want = fields.get(match[1], "").strip("\"'"), match[3].strip("\"'")
        if match[2] == "=":
            ok = have == want
        elif match[2] == "!=":
            ok = have != want
        else:
            a, b = _version_key(have), _version_key(want)
            ok = {"<": a < b, "<=": a <= b, "==": a == b, ">": a > b, ">=": a >= b}[match[2]]
        if not ok:
            return False
    return True


def _command_line(argument: str) -> bool:
    words = _text("/proc/cmdline").split()
    return argument in words or (("=" not in argument) and any(w.partition("=")[0] == argument for w in words))


def _capability(argument: str) -> bool:
    match = re.search(r"CapBnd:\s*([0-9a-f]+)", _text("/proc/self/status"))
    name = argument.lower().removeprefix("cap_")
    return match is not None and name in CAPABILITIES and bool(int(match[1], 16) >> CAPABILITIES.index(name) & 1)


def _memory(argument: str) -> bool:
    return _compare(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), argument)


def _in_group(argument: str) -> bool:
    import grp

    try:
        gid = int(argument) if argument.isdigit() else grp.getgrnam(argument).gr_gid
    except KeyError:
        return False
    return gid in (os.getgid(), os.getegid(), *os.getgroups())


def _is_user(argument: str) -> bool:
    import pwd

    if argument == "@system":
        return os.getuid() < 1000 or os.getuid() == 65534
    try:
        return os.getuid() == (int(argument) if argument.isdigit() else pwd.getpwnam(argument).pw_uid)
    except KeyError:
        return False


def _any_in(path: str) -> bool:
    try:
        return bool(os.listdir(path))
    except OSError:
        return False


def _virtualization(argument: str) -> bool:
    container = bool(os.environ.get("container")) or os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv")
    vm = "hypervisor" in _text("/proc/cpuinfo")
    wanted = argument.lower()
    if wanted in ("1", "yes", "true", "y", "t", "on"):
        return container or vm
    if wanted in ("0", "no", "false", "n", "f", "off"):
        return not (container or vm)
    return container if wanted == "container" else vm and not container if wanted == "vm" else os.environ.get("container") == wanted


CHECKS = {
    "PathExists": os.path.exists,
    "PathExistsGlob": lambda a: bool(glob.glob(a)),
    "PathIsDirectory": os.path.isdir,
    "PathIsSymbolicLink": os.path.islink,
    "PathIsMountPoint": os.path.ismount,
    "PathIsReadWrite": _read_write,
    "DirectoryNotEmpty": _any_in,
    "FileNotEmpty": lambda a: os.path.isfile(a) and os.path.getsize(a) > 0,
    "FileIsExecutable": lambda a: os.path.isfile(a) and os.access(a, os.X_OK),
    "Host": _host,
    "KernelVersion": _kernel,
    "KernelCommandLine": _command_line,
    "Architecture": lambda a: a in (ARCHITECTURES.get(platform.machine(), platform.machine()), "native"),
    "Virtualization": _virtualization,
    "Memory": _memory,
    "CPUs": lambda a: _compare(len(os.sched_getaffinity(0)), a),
    "Environment": _environment,
    "OSRelease": _os_release,
    "Capability": _capability,
    "User": _is_user,
    "Group": _in_group,
}

"""Condition*= and Assert*= lines against the machine (systemd.unit(5)); cases cond-*."""

from __future__ import annotations

import fnmatch
import glob
import grp
import os
import platform
import pwd
import re
from collections.abc import Callable, Iterable, Iterator

from unitd.manager import hostfacts
from unitd.manager.hostfacts import text, versions
from unitd.units import execline
from unitd.units.errors import ValueProblem
from unitd.units.model import Condition
from unitd.units.values import parse_size

_OPERATOR = r"\$=|!\$=|<=|>=|<>|!=|==|=|<|>"
#: Ends of names that a directory does not count as having something in it for.
_BACKUPS = tuple("." + word for word in "rpmnew rpmsave rpmorig dpkg-old dpkg-new dpkg-tmp dpkg-dist dpkg-bak dpkg-backup dpkg-remove ucf-new ucf-old ucf-dist swp bak old new".split())


def hold(conditions: Iterable[Condition]) -> bool:
    """All plain ones hold, and at least one of the triggering ones (`|`) if there are any."""
    triggers: list[bool] = []
    for condition in conditions:
        result = test(condition)
        if condition.trigger:
            triggers.append(result)
        elif not result:
            return False
    return not triggers or any(triggers)


def test(condition: Condition) -> bool:
    """One condition. One that cannot be judged, because its value means nothing, does not hold, negated or not; a kind that nobody knows holds."""
    check = CHECKS.get(condition.kind)
    if check is None:
        return True
    try:
        return bool(check(condition.argument)) != condition.negate
    except (ValueError, execline.SplitProblem):
        return False


def _read_write(path: str) -> bool:
    try:
        return not os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        return False


def _compare(have: float, argument: str) -> bool:
    """`>= 4`, `!=2`, `4` (which means at least)."""
    match = re.fullmatch(r"\s*(<=|>=|<>|!=|=|==|<|>)?\s*(\S+)\s*", argument)
    if match is None:
        return False
    try:
        want = float(parse_size(match[2]) or 0)
    except ValueProblem:
        raise ValueError("no number") from None
    operator = {"<>": "!=", None: ">=", "==": "="}.get(match[1], match[1])
    return {"<": have < want, "<=": have <= want, "=": have == want, "!=": have != want, ">": have > want, ">=": have >= want}[operator]


def _kernel(argument: str) -> bool:
    release = platform.release()
    for word in re.findall(rf"(?:(?:{_OPERATOR})\s*)?\S+", argument):
        match = re.fullmatch(rf"({_OPERATOR})?\s*(\S+)", word)
        if match is None:
            return False
        if not match[1] or (match[1] == "=" and any(c in match[2] for c in "*?[")):
            if not fnmatch.fnmatchcase(release, match[2]):
                return False
        elif not versions({"=": "==", "!=": "<>"}.get(match[1], match[1]), release, match[2]):
            return False
    return True


def _host(argument: str) -> bool:
    machine = text("/etc/machine-id").strip()
    return argument.replace("-", "").lower() == machine or fnmatch.fnmatch(platform.node().lower(), argument.lower())


def _environment(argument: str) -> bool:
    name, equals, value = argument.partition("=")
    return os.environ.get(name) == value if equals else name in os.environ


def _os_release(argument: str) -> bool:
    fields = dict(line.split("=", 1) for line in text("/etc/os-release").splitlines() if "=" in line)
    for word in execline.split(argument, "plain"):
        match = re.fullmatch(rf"(\w+)({_OPERATOR})(\S.*)", word.text)
        if match is None:
            raise ValueError("no comparison")
        if not versions(match[2], fields.get(match[1], "").strip("\"'"), match[3]):
            return False
    return True


def _in_group(argument: str) -> bool:
    try:
        gid = int(argument) if argument.isdigit() else grp.getgrnam(argument).gr_gid
    except KeyError:
        return False
    return gid in (os.getgid(), os.getegid(), *os.getgroups())


def _is_user(argument: str) -> bool:
    if argument == "@system":
        return os.getuid() < 1000 or os.getuid() == 65534
    try:
        return os.getuid() == (int(argument) if argument.isdigit() else pwd.getpwnam(argument).pw_uid)
    except KeyError:
        return False


def _any_in(path: str) -> bool:
    """Hidden files and backups are nothing, as in systemd."""
    try:
        entries = os.listdir(path)
    except OSError:
        return False
    return any(not (name.startswith(".") or name == "lost+found" or name.endswith(("~", *_BACKUPS))) for name in entries)


def _braces(pattern: str) -> Iterator[str]:
    """`a{b,c}` -> ab, ac; glob(3) with GLOB_BRACE."""
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None or "," not in match[1]:
        yield pattern
        return
    for part in match[1].split(","):
        yield from _braces(pattern[: match.start()] + part + pattern[match.end() :])


CHECKS: dict[str, Callable[[str], bool]] = {
    **hostfacts.CHECKS,
    "PathExists": os.path.exists,
    "PathExistsGlob": lambda a: any(glob.glob(pattern) for pattern in _braces(a)),
    "PathIsDirectory": os.path.isdir,
    "PathIsSymbolicLink": os.path.islink,
    "PathIsMountPoint": os.path.ismount,
    "PathIsReadWrite": _read_write,
    "DirectoryNotEmpty": _any_in,
    "FileNotEmpty": lambda a: os.path.isfile(a) and os.path.getsize(a) > 0,
    "FileIsExecutable": lambda a: os.path.isfile(a) and os.access(a, os.X_OK),
    "Host": _host,
    "KernelVersion": _kernel,
    "Memory": lambda a: _compare(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), a),
    "CPUs": lambda a: _compare(len(os.sched_getaffinity(0)), a),
    "Environment": _environment,
    "OSRelease": _os_release,
    "User": _is_user,
    "Group": _in_group,
}

"""What /proc says about processes. Processes come and go while one looks: nothing here raises for that."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable
from typing import Any

#: What keeps the kernel from making a process, beyond what strerror(3) says.
_NO_PROCESS = {
    errno.EAGAIN: "a limit of processes is reached (ulimit -u, TasksMax=, pids.max or kernel.pid_max)",
    errno.ENOMEM: "memory ran out",
    errno.EMFILE: "too many files are open (ulimit -n, LimitNOFILE= of unitd)",
}


def why_no_process(number: int) -> str:
    """An errno of fork(2) in words."""
    return _NO_PROCESS.get(number) or os.strerror(number)


def _stat(pid: int) -> list[bytes]:
    """Fields of /proc/PID/stat behind the command name (state first); empty if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def ppid(pid: int) -> int:
    """The parent of a process, 0 if it has none or is gone."""
    found = _stat(pid)
    return int(found[1]) if len(found) > 1 else 0


def start_time(pid: int) -> int:
    """When a process was started, in clock ticks after boot; 0 if it is gone. With the pid it names one process for good."""
    found = _stat(pid)
    return int(found[19]) if len(found) > 19 else 0


def boot_id() -> str:
    """Names this boot of the machine; pids and start times mean something within one only."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def identity(pid: int) -> str:
    """A name for one process that no later one gets: boot, pid and start time."""
    return f"{boot_id()}:{pid}:{start_time(pid)}"


def is_zombie(pid: int) -> bool:
    """Is the process dead and only waited for? False if it is gone altogether."""
    found = _stat(pid)
    return bool(found) and found[0] in (b"Z", b"X")


def is_alive(pid: int) -> bool:
    """Is there such a process that still runs?"""
    found = _stat(pid) if pid > 0 else []
    return bool(found) and found[0] not in (b"Z", b"X")


def is_descendant(pid: int, ancestors: Collection[int]) -> bool:
    """Is `pid` one of `ancestors` or below one?"""
    seen: set[int] = set()
    while pid > 0 and pid not in seen:
        if pid in ancestors:
            return True
        seen.add(pid)
        pid = ppid(pid)
    return False


def main_pid_guess(pids: Iterable[int], parent: int) -> int:
    """systemd's GuessMainPID=: the one live process among `pids` whose parent is `parent` (the warden); 0 if there are none or several."""
    found = 0
    for pid in pids:
        status = _stat(pid)
        if len(status) > 1 and status[0] not in (b"Z", b"X") and int(status[1]) == parent:
            if found:
                return 0
            found = pid
    return found


def name(pid: int) -> str:
    """The name of a process as the kernel has it, at most 15 characters of its file; empty if it is gone."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read().rstrip(b"\n").decode("utf-8", "replace")
    except OSError:
        return ""


def command_line(pid: int) -> str:
    """The command line as one line of text, "(name)" for a process without one, "" if it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            text = file.read(4096).rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
        if not text:
            with open(f"/proc/{pid}/comm", "rb") as file:
                text = "(" + file.read().rstrip(b"\n").decode("utf-8", "replace") + ")"
    except OSError:
        return ""
    return "".join(c if c.isprintable() else "?" for c in text).strip()


def tree(pids: Collection[int]) -> list[dict[str, Any]]:
    """[{pid, cmdline, depth}], children behind their parents and one deeper, siblings by pid. Processes that are gone are left out."""
    children: dict[int, list[int]] = {}
    wanted = {pid for pid in pids if pid > 0}
    lines = {pid: command_line(pid) for pid in wanted}
    wanted = {pid for pid in wanted if lines[pid]}
    for pid in sorted(wanted, reverse=True):
        up = ppid(pid)
        children.setdefault(up if up in wanted and up != pid else 0, []).append(pid)
    rows: list[dict[str, Any]] = []
    stack = [(pid, 0) for pid in children.get(0, [])]
    while stack:
        pid, depth = stack.pop()
        rows.append({"pid": pid, "cmdline": lines[pid], "depth": depth})
        stack += [(child, depth + 1) for child in children.get(pid, [])]
    return rows


def usage(pids: Iterable[int]) -> tuple[int, float, int]:
    """(resident bytes, CPU seconds of user and system, threads) of all `pids` together."""
    wanted = [pid for pid in pids if pid > 0]
    if not wanted:
        return 0, 0.0, 0
    import psutil

    memory, cpu, tasks = 0, 0.0, 0
    for pid in wanted:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                times = process.cpu_times()
                rss, threads = process.memory_info().rss, process.num_threads()
        except (psutil.Error, OSError, ValueError):
            continue
        memory, cpu, tasks = memory + rss, cpu + times.user + times.system, tasks + threads
    return memory, cpu, tasks


def environment(pid: int) -> dict[str, str]:
    """What a process was given to begin with; empty if that cannot be seen."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            words = file.read().decode("utf-8", "surrogateescape").split("\0")
    except OSError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


def exe(pid: int) -> str:
    """The program a process runs, "" if that cannot be seen."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""

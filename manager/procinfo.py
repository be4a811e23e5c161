"""Facts about processes for people: trees, memory, CPU. Never raises for one that is gone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict


class Row(TypedDict):
    """One process of a tree."""

    pid: int
    cmdline: str
    depth: int


def _stat(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def identity(pid: int) -> str:
    """A process told apart from a later one with the same number: pid and start time."""
    fields = _stat(pid)
    return f"{pid}:{fields[19].decode() if fields else 0}"


def usage(pids: Iterable[int]) -> tuple[int, float, int]:
    """(resident bytes, CPU seconds, tasks) of these processes together."""
    import psutil

    memory, cpu, tasks = 0, 0.0, 0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                memory += process.memory_info().rss
                times = process.cpu_times()
                cpu += times.user + times.system
                tasks += process.num_threads()
        except psutil.Error:
            continue
    return memory, cpu, tasks


def tree(pids: Iterable[int]) -> list[Row]:
    """These processes, children below their parents."""
    parents: dict[int, int] = {}
    for pid in pids:
        fields = _stat(pid)
        if fields:
            parents[pid] = int(fields[1])
    rows: list[Row] = []

    def walk(pid: int, depth: int) -> None:
        rows.append({"pid": pid, "cmdline": command_line(pid), "depth": depth})
        for child in sorted(p for p, parent in parents.items() if parent == pid):
            walk(child, depth + 1)

    for pid in sorted(p for p, parent in parents.items() if parent not in parents):
        walk(pid, 0)
    return rows


def command_line(pid: int) -> str:
    """The command line, or the name in brackets."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "backslashreplace")
        if words:
            return words
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="backslashreplace") as file:
            return f"[{file.read().strip()}]"
    except OSError:
        return "[gone]"


def main_pid_guess(pids: Iterable[int], parent: int) -> int:
    """GuessMainPID=: the one process that was given to `parent`; 0 if there is none or more than one."""
    orphans = [pid for pid in pids if (fields := _stat(pid)) and int(fields[1]) == parent]
    return orphans[0] if len(orphans) == 1 else 0

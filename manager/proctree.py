"""Which processes belong to a unit where there is no cgroup2: one look at /proc, best effort."""

from __future__ import annotations

import os
from typing import NamedTuple


class _Process(NamedTuple):
    parent: int
    group: int
    session: int


def _scan() -> dict[int, _Process]:
    """Every live process; zombies are not."""
    found: dict[int, _Process] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            if fields[0] not in (b"Z", b"X"):
                found[int(name)] = _Process(int(fields[1]), int(fields[2]), int(fields[3]))
        except (OSError, IndexError, ValueError):
            continue
    return found


def _tagged(pid: int, invocation: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return invocation in file.read().split(b"\0")
    except OSError:
        return False


def unit_pids(invocation: str, roots: set[int], sessions: set[int], exclude: set[int]) -> set[int]:
    """Live processes of a unit: `roots`, whoever is in one of `sessions` (ids of sessions or groups), orphans that carry
    INVOCATION_ID=`invocation`, and all their descendants.

    Orphans are looked for among the children of the processes in `exclude` (the subreaper), which are never part of the answer.
    """
    processes = _scan()
    exclude = exclude | {os.getpid()}
    found = {pid for pid, p in processes.items() if pid in roots or p.session in sessions or p.group in sessions}
    if invocation:
        tag = f"INVOCATION_ID={invocation}".encode()
        found |= {pid for pid, p in processes.items() if p.parent in exclude and pid not in found and _tagged(pid, tag)}
    found -= exclude
    children: dict[int, list[int]] = {}
    for pid, process in processes.items():
        children.setdefault(process.parent, []).append(pid)
    queue = list(found)
    while queue:
        for pid in children.get(queue.pop(), ()):
            if pid not in found and pid not in exclude:
                found.add(pid)
                queue.append(pid)
    return found

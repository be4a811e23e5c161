"""Processes of a unit without cgroup2: one look at /proc. Best effort, repeated until nothing is found."""

from __future__ import annotations

import os


def unit_pids(invocation: str, roots: set[int], sessions: set[int], exclude: set[int]) -> set[int]:
    """Live processes that descend from `roots`, belong to the `sessions`, or carry INVOCATION_ID=`invocation`; `exclude` and zombies left out."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    candidates: list[int] = []
    mark = f"INVOCATION_ID={invocation}".encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        pid = int(entry)
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[0] in (b"Z", b"X") or pid in exclude:
            continue
        parents[pid] = int(fields[1])
        if pid in roots or int(fields[2]) in sessions or int(fields[3]) in sessions:
            found.add(pid)
        else:
            candidates.append(pid)
    if invocation:
        for pid in candidates:
            try:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    if mark in file.read().split(b"\0"):
                        found.add(pid)
            except OSError:
                continue
    grew = True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in found and pid not in found}
        found |= more
        grew = bool(more)
    return found

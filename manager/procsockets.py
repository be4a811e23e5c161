"""Sockets on which processes listen, with what waits to be accepted; and proportional memory. On demand only: both are dear.

psutil knows the sockets but not the accept queue, so /proc/net is read here; PSS comes from psutil.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import Any

_LISTEN = "0A"
_ACCEPTS = 0x10000  # SO_ACCEPTCON in the flags of /proc/net/unix


def listening(pids: Iterable[int]) -> list[dict[str, Any]]:
    """[{proto, address, queue, pids}] of all listening sockets that the processes hold; `queue` is None where the kernel does not say."""
    found: dict[int, dict[str, Any]] = {}
    tables: dict[str, dict[int, dict[str, Any]]] = {}
    for pid in pids:
        inodes = _inodes(pid)
        if not inodes:
            continue
        try:
            space = os.readlink(f"/proc/{pid}/ns/net")
        except OSError:
            continue
        if space not in tables:
            tables[space] = _table(pid)
        for inode in inodes & tables[space].keys():
            row = found.setdefault(inode, {**tables[space][inode], "pids": []})
            row["pids"].append(pid)
    return sorted(found.values(), key=lambda row: (row["proto"], row["address"]))


def _inodes(pid: int) -> set[int]:
    found = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except OSError:
        return found
    return found


def _table(pid: int) -> dict[int, dict[str, Any]]:
    """Listening sockets of the process's network namespace by inode."""
    found: dict[int, dict[str, Any]] = {}
    for proto, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for words in _lines(f"/proc/{pid}/net/{proto}"):
            if len(words) > 9 and words[3] == _LISTEN:
                queue = int(words[4].partition(":")[2], 16)
                found[int(words[9])] = {"proto": proto, "address": address(words[1], family), "queue": queue}
    for words in _lines(f"/proc/{pid}/net/unix"):
        if len(words) > 6 and int(words[3], 16) & _ACCEPTS:
            found[int(words[6])] = {"proto": "unix", "address": words[7] if len(words) > 7 else "", "queue": None}
    return found


def _lines(path: str) -> list[list[str]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            next(file, None)
            return [line.split() for line in file]
    except OSError:
        return []


def address(text: str, family: int) -> str:
    """`0100007F:1F90` of /proc/net/tcp as `127.0.0.1:8080`."""
    host, _, port = text.partition(":")
    raw = b"".join(bytes.fromhex(host[i : i + 8])[::-1] for i in range(0, len(host), 8))
    name = socket.inet_ntop(family, raw)
    return f"[{name}]:{int(port, 16)}" if family == socket.AF_INET6 else f"{name}:{int(port, 16)}"


def pss(pids: Iterable[int]) -> int:
    """Proportional resident bytes of all processes together; those that cannot be seen count nothing."""
    import psutil

    total = 0
    for pid in pids:
        try:
            total += psutil.Process(pid).memory_full_info().pss
        except (psutil.Error, OSError, ValueError):
            continue
    return total

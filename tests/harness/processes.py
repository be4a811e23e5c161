"""What runs, as /proc tells it, and waiting for its end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from tests.harness.waiting import PATIENCE, readable


def _read(pid: int, name: str) -> bytes:
    """A file of /proc/PID, empty when the process or the right to read it is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    """Is the process there and no zombie?"""
    fields = _read(pid, "stat").decode(errors="replace").rpartition(")")[2].split()
    return bool(fields) and fields[0] not in "ZX"


def children(pid: int) -> list[int]:
    """Its children now."""
    return [int(word) for word in _read(pid, f"task/{pid}/children").split()]


def command_line(pid: int) -> str:
    """Its arguments with blanks between them; a zombie has none."""
    return _read(pid, "cmdline").rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


def names(pid: int) -> tuple[str, str]:
    """What it calls itself: its first argument, and the name in `comm`."""
    return _read(pid, "cmdline").partition(b"\0")[0].decode(errors="replace"), _read(pid, "comm").decode(errors="replace").strip()


def marked(mark: str) -> list[int]:
    """Processes with this text in their environment or arguments, whoever their parent is. This one does not count."""
    wanted = mark.encode()
    pids = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return sorted(pid for pid in pids if pid != os.getpid() and (wanted in _read(pid, "environ") or wanted in _read(pid, "cmdline")))


def wait_gone(pids: Iterable[int], patience: float = PATIENCE) -> None:
    """Wait for the end of processes, whose parent we need not be. Raises AssertionError when one lives on."""
    end = time.monotonic() + patience
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            assert readable(fd, end), f"process {pid} does not end: {command_line(pid)}"
        finally:
            os.close(fd)

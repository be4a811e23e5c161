"""A unitd with N services that announce themselves with their own clock, so that nothing has to be polled."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.harness import Manager  # noqa: E402


def program() -> str:
    """The service: bench/svc, compiled when needed. Raises SystemExit without a compiler."""
    source, binary = ROOT / "bench/svc.c", ROOT / "bench/svc"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise SystemExit("bench: needs a C compiler (cc) for bench/svc.c")
        subprocess.run([compiler, "-O2", "-o", str(binary), str(source)], check=True)
    return str(binary)


class Bench:
    """unitd, N services and the socket on which they announce themselves."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.manager = Manager()
        self.path = str(self.manager.base / "up")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(120)
        command = program()
        for i in range(count):
            text = f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart={command} {self.path} {i}\nRestart=always\nRestartSec=0\n"
            self.manager.write(f"svc{i}.service", text)

    def announced(self) -> tuple[int, int]:
        """The next announcement: number of the service, its CLOCK_MONOTONIC in ns."""
        number, clock = self.socket.recv(256).split()
        return int(number), int(clock)

    def boot(self) -> float:
        """Launch unitd; seconds until the last service runs."""
        began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        self.manager.boot(start="all")
        last = max(self.announced()[1] for _ in range(self.count))
        return (last - began) / 1e9

    def own_pids(self) -> list[int]:
        """The processes of unitd itself."""
        return self.manager.own()


@contextlib.contextmanager
def bench(count: int) -> Iterator[Bench]:
    """A Bench that is cleaned up."""
    made = Bench(count)
    with made.manager, made.socket:
        yield made


def switches(pid: int) -> int:
    """Context switches of all threads of a process so far."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii", errors="replace") as file:
            total += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
    return total

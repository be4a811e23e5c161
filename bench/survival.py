"""Kills everything of unitd's, again and again, while clients use a pool of workers and a service counts: what fails, restarts or is lost.

    survival.py [--kills N] [--reexecs N] [--hangs N] [--wardens N]     without systemd
    survival.py --systemd [...] [--restarts N]                          under systemd in a container (root, systemd-container, debootstrap)
    survival.py --gap [--standby] [UNITS...] [--kills N]                            how long the bus does not answer after a kill of the manager
"""

from __future__ import annotations

import argparse
import os
import re
import select
import signal
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.harness import Manager, free_port  # noqa: E402

WORKERS = 4
WORKER = """
import socket
s = socket.socket(fileno=3)
s.setblocking(True)
while True:
    c, _ = s.accept()
    with c:
        c.recv(100)
        c.sendall(b"pong")
"""
COUNT = "[Service]\nExecStart=/bin/sh -c 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.005; done'\n"


def pause(seconds: float) -> None:
    """Wait."""
    select.select([], [], [], seconds)


class Load:
    """A client with one connection for each request."""

    def __init__(self, port: int) -> None:
        self.port, self.done, self.failed, self.slowest = port, 0, 0, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=20) as sock:
                    sock.sendall(b"ping")
                    good = sock.recv(10) == b"pong"
            except OSError:
                good = False
            self.done += 1
            self.failed += not good
            self.slowest = max(self.slowest, time.monotonic() - began)
            pause(0.002)

    def end(self) -> str:
        """What came of it."""
        self._stop.set()
        self._thread.join()
        return f"{self.done} requests, {self.failed} failed, slowest {self.slowest * 1000:.0f} ms"


def units(script: str, port: int) -> dict[str, str]:
    """The pool and the counter."""
    pool = f"[Service]\nExecStart={sys.executable} {script} %i\nSockets=web.socket\nRestart=always\n"
    return {"web.socket": f"[Socket]\nListenStream=127.0.0.1:{port}\nService=web@1.service\n", "web@.service": pool, "count.service": COUNT}


def names() -> list[str]:
    """What is watched."""
    return [f"web@{i}.service" for i in range(1, WORKERS + 1)] + ["count.service"]


def lines_lost(text: str) -> str:
    """Are the numbers that the counter wrote all there, once and in order?"""
    numbers = [int(n) for n in re.findall(r"line (\d+)$", text, re.M)]
    wrong = sum(b != a + 1 for a, b in zip(numbers, numbers[1:]))
    return f"{len(numbers)} lines, {wrong} gaps or repetitions"


def report(what: str, times: int, gaps: list[float]) -> None:
    """One line."""
    found = f", bus gap median {statistics.median(gaps) * 1000:.0f} ms, max {max(gaps) * 1000:.0f} ms" if gaps else ""
    print(f"survival: {times} x {what}{found}", flush=True)


class Plain:
    """unitd as a plain process."""

    def __init__(self) -> None:
        self.manager = Manager()

    def setup(self, port: int) -> None:
        """Start it with all services."""
        script = self.manager.base / "worker.py"
        script.write_text(WORKER)
        for name, text in units(str(script), port).items():
            self.manager.write(name, text)
        self.manager.configure("hang_timeout = 1s\n")
        self.manager.boot().ok("start", "web.socket", *names())

    def pids(self) -> dict[str, tuple[str, str]]:
        """MainPID and NRestarts of what is watched."""
        with self.manager.client() as client:
            rows = client.show(names())
        return {row["Id"]: (row["MainPID"], row["NRestarts"]) for row in rows}

    def gap(self, strike: Callable[[int], object]) -> float:
        """Strike, and seconds until another manager answers."""
        old = self.manager.manager_pid()
        began = time.monotonic()
        strike(old)
        self.manager.next_manager(old)
        return time.monotonic() - began


def plain(arguments: argparse.Namespace) -> None:
    """Without systemd."""
    run, port = Plain(), free_port()
    run.setup(port)
    load, before = Load(port), run.pids()
    m = run.manager
    report("SIGKILL of the manager", arguments.kills, [run.gap(lambda pid: os.kill(pid, signal.SIGKILL)) for _ in range(arguments.kills)])
    report("daemon-reexec", arguments.reexecs, [run.gap(lambda _: m.ok("daemon-reexec")) for _ in range(arguments.reexecs)])
    report("SIGSTOP of the manager (hang_timeout = 1s)", arguments.hangs, [run.gap(lambda pid: os.kill(pid, signal.SIGSTOP)) for _ in range(arguments.hangs)])
    report("SIGKILL of the warden", arguments.wardens, [run.gap(lambda _: m.kill_warden()) for _ in range(arguments.wardens)])
    finish(load.end(), before, run.pids(), m.ok("logs", "-n", "100000000", "count"))
    m.close()


def finish(load: str, before: dict[str, tuple[str, str]], after: dict[str, tuple[str, str]], log: str) -> None:
    """The counts that matter."""
    changed = sum(before[name] != after[name] for name in before)
    print(f"survival: {load}; {changed} of {len(before)} services restarted; {lines_lost(log)}", flush=True)


def under_systemd(arguments: argparse.Namespace) -> None:
    """The same in a container that systemd has booted."""
    from tests.nspawn import Machine

    machine, port = Machine(), free_port()
    try:
        machine.install()
        machine.write("/opt/worker.py", WORKER)
        for name, text in units("/opt/worker.py", port).items():
            machine.write(f"/etc/unitd/units/{name}", text)
        machine.run("systemctl", "start", "unitd")
        machine.run("unitctl", "start", "web.socket", *names())
        load = Load(port)

        def pids() -> dict[str, tuple[str, str]]:
            found = {}
            for name in names():
                pid, restarts = machine.run("unitctl", "show", "--value", "-p", "MainPID", name), machine.run("unitctl", "show", "--value", "-p", "NRestarts", name)
                found[name] = pid.strip(), restarts.strip()
            return found

        def gap(*command: str) -> float:
            old = machine.run("unitctl", "--json", "ping")
            began = time.monotonic()
            machine.run(*command)
            while machine.run("unitctl", "--json", "ping", check=False) in ("", old):
                pause(0.01)
            return time.monotonic() - began

        before = pids()
        manager = "kill -9 $(unitctl --json ping | grep -o '\"pid\": *[0-9]*' | grep -o '[0-9]*')"
        report("SIGKILL of the manager", arguments.kills, [gap("sh", "-c", manager) for _ in range(arguments.kills)])
        report("daemon-reexec", arguments.reexecs, [gap("unitctl", "daemon-reexec") for _ in range(arguments.reexecs)])
        report("systemctl restart unitd", arguments.restarts, [gap("systemctl", "restart", "unitd") for _ in range(arguments.restarts)])
        warden = "kill -9 $(systemctl show -P MainPID unitd)"
        report("SIGKILL of the warden", arguments.wardens, [gap("sh", "-c", warden) for _ in range(arguments.wardens)])
        finish(load.end(), before, pids(), machine.run("unitctl", "logs", "-n", "100000000", "count"))
        machine.run("systemctl", "stop", "unitd")
    finally:
        machine.close()


def gaps(arguments: argparse.Namespace) -> None:
    """The bus's silence after a kill of the manager, with many units."""
    from common import bench

    for count in arguments.units or [10, 1000]:
        with bench(count) as b:
            if arguments.standby:
                b.manager.configure("standby = yes\n")
            b.boot()
            run = Plain()
            run.manager.close()
            run.manager = b.manager
            found = []
            for _ in range(arguments.kills):
                found.append(run.gap(lambda pid: os.kill(pid, signal.SIGKILL)))
                pause(3.0 if arguments.standby else 0.3)
            report(f"SIGKILL of the manager at {count} units{' with one in reserve' if arguments.standby else ''}", arguments.kills, found)


def main() -> None:
    """Read the command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("units", nargs="*", type=int)
    for name, number in (("kills", 50), ("reexecs", 20), ("hangs", 3), ("wardens", 5), ("restarts", 5)):
        p.add_argument(f"--{name}", type=int, default=number, metavar="N")
    p.add_argument("--systemd", action="store_true")
    p.add_argument("--gap", action="store_true")
    p.add_argument("--standby", action="store_true")
    arguments = p.parse_args()
    if arguments.gap:
        gaps(arguments)
    elif arguments.systemd:
        under_systemd(arguments)
    else:
        plain(arguments)


if __name__ == "__main__":
    main()

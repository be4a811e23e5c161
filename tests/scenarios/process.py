"""A real unitd on a directory of its own, for the tests that look at it from outside."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from unitd.bus.client import BusError, Client, Events

CHECKOUT = Path(__file__).resolve().parents[2]
TIMEOUT = 30.0


def need(*tools: str) -> None:
    """Skip the test when a command or file is missing; with UNITD_TEST_REQUIRE=all, as in CI, fail it.

    `root` stands for being root.
    """
    for tool in tools:
        there = os.getuid() == 0 if tool == "root" else os.path.exists(tool) if tool.startswith("/") else shutil.which(tool) is not None
        if not there:
            text = f"this test needs {tool}"
            if os.environ.get("UNITD_TEST_REQUIRE") == "all":
                pytest.fail(text)
            pytest.skip(text)


class Manager:
    """One unitd with its unit, runtime and log directory below a short path in /tmp (unix sockets allow 107 characters)."""

    def __init__(self, *, start: str = "none", env: Mapping[str, str] | None = None) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="ud", dir="/tmp"))
        self.units, self.run, self.log = self.base / "units", self.base / "run", self.base / "log"
        self.units.mkdir()
        self.bus = f"ipc://{self.run}/bus"
        self.start_what = start
        self.env = {**os.environ, "PYTHONPATH": str(CHECKOUT), **(env or {})}
        for name in ("UNITD_BUS", "NOTIFY_SOCKET", "INVOCATION_ID"):
            self.env.pop(name, None)
        self.process: subprocess.Popen[str] | None = None
        self.messages: list[str] = []
        self._heard = threading.Condition()
        self._reader: threading.Thread | None = None
        self._began = 0

    # -- unitd itself

    def command(self, *extra: str) -> list[str]:
        """The command line of this unitd."""
        where = ["--unit-path", str(self.units), "--runtime-dir", str(self.run), "--log-dir", str(self.log)]
        return [sys.executable, "-m", "unitd.manager.launch", *where, "--start", self.start_what, *extra]

    def launch(self, timeout: float = TIMEOUT) -> Manager:
        """Start it and wait until it says that it is ready."""
        self._began = len(self.messages)
        self.process = subprocess.Popen(
            self.command(), env=self.env, cwd=self.base, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        self.wait_ready(1, timeout)
        return self

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                with self._heard:
                    self.messages.append(line.rstrip("\n"))
                    self._heard.notify_all()
        with self._heard:
            self._heard.notify_all()

    def _ready_count(self) -> int:
        return sum(line.startswith("unitd: ready") for line in self.messages[self._began :])

    def wait_ready(self, times: int, timeout: float = TIMEOUT) -> None:
        """Wait until unitd has said `times` times since its launch that it is ready. Raises AssertionError."""
        assert self.process is not None and self._reader is not None
        with self._heard:
            self._heard.wait_for(lambda: self._ready_count() >= times or not (self._reader and self._reader.is_alive()), timeout)
            assert self._ready_count() >= times, "unitd did not become ready; it said:\n" + "\n".join(self.messages)

    @property
    def pid(self) -> int:
        """The warden's process ID."""
        assert self.process is not None
        return self.process.pid

    @property
    def manager_pid(self) -> int:
        """The manager's process ID."""
        with self.client() as client:
            return int(client.ping()["pid"])

    @property
    def pids(self) -> set[int]:
        """Every process of this unitd, its own and its services', whoever their parent is."""
        found: set[int] = set()
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(psutil.Error):
                found = {p.pid for p in psutil.Process(self.pid).children(recursive=True)} | {self.pid}
        mark = str(self.base)
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                where = " ".join(process.cmdline())
                if os.getuid() == 0 or process.uids().real == os.getuid():
                    where += " ".join(process.environ().values())
                if mark in where and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                    found.add(process.pid)
        return found

    def services(self) -> list[psutil.Process]:
        """The processes that are not unitd's own, in the order of their numbers."""
        own = {self.pid} if self.process is not None else set()
        found = []
        for pid in sorted(self.pids - own):
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                line = " ".join(process.cmdline())
                alive = process.status() != psutil.STATUS_ZOMBIE
                if alive and not line.startswith("unitd: ") and "/manager/logger.py" not in line and "unitd.manager" not in line:
                    found.append(process)
        return found

    def kill_manager(self) -> None:
        """SIGKILL the manager process and wait until its successor is ready."""
        before = self._ready_count()
        os.kill(self.manager_pid, signal.SIGKILL)
        self.wait_ready(before + 1)

    def crash(self) -> None:
        """SIGKILL all of unitd and its services at once, as a power failure would; sockets and state stay behind."""
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self.process is not None
        self.process.wait(TIMEOUT)
        self.process = None

    def terminate(self, timeout: float = 60.0) -> int:
        """SIGTERM it and wait for its end; the exit code."""
        assert self.process is not None
        process, self.process = self.process, None
        process.terminate()
        code = process.wait(timeout)
        if self._reader is not None:
            self._reader.join(TIMEOUT)
        return code

    def close(self, *, check: bool = True) -> None:
        """End it and remove its directory. With `check`, its exit code must be 0 and no process may be left."""
        code, left = 0, set[int]()
        try:
            if self.process is not None:
                code = self.terminate()
        finally:
            if self.process is None or self.process.poll() is not None:
                left = self.pids
            if check is False or left:
                self._kill_all()
            shutil.rmtree(self.base, ignore_errors=True)
        if check:
            assert code == 0, f"unitd ended with {code}; it said:\n" + "\n".join(self.messages)
            assert not left, f"unitd left processes behind: {sorted(left)}"

    def _kill_all(self) -> None:
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    # -- units

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file into the unit directory."""
        path = self.units / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    # -- unitctl and the bus

    def ctl(self, *args: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run unitctl."""
        command = [sys.executable, "-m", "unitd.cli.main", "--bus", self.bus, *args]
        return subprocess.run(command, env=self.env, cwd=self.base, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)

    def ok(self, *args: str) -> str:
        """Run unitctl, which must succeed; its output."""
        done = self.ctl(*args)
        assert done.returncode == 0, f"unitctl {' '.join(args)} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def client(self) -> Client:
        """A connection to the bus."""
        return Client(self.bus, timeout=TIMEOUT)

    def show(self, unit: str, prop: str) -> str:
        """One property."""
        return self.properties(unit).get(prop, "")

    def properties(self, unit: str) -> dict[str, str]:
        """All properties of one unit."""
        with self.client() as client:
            return client.show([_full(unit)])[0]

    def main_pid(self, unit: str) -> int:
        """MainPID."""
        return int(self.show(unit, "MainPID"))

    def wait_for(self, unit: str, timeout: float = TIMEOUT, **wanted: str) -> dict[str, str]:
        """Wait, by events, until all properties are as wanted; a value of the form !X means anything but X. Raises AssertionError."""
        end = time.monotonic() + timeout
        events: Events | None = None
        found: dict[str, str] = {}
        try:
            while True:
                with contextlib.suppress(BusError):
                    events = events or self.client().events([f"unit.{_full(unit)}"])
                    found = self.properties(unit)
                    if all(found.get(k) != v[1:] if v.startswith("!") else found.get(k) == v for k, v in wanted.items()):
                        return found
                assert time.monotonic() < end, f"{unit} did not become {wanted}, but is { {k: found.get(k) for k in [*wanted, 'ActiveState', 'SubState', 'Result']} }"
                try:
                    # an event wakes at once; a property that changes without one is looked at again
                    if events is None:
                        threading.Event().wait(0.05)
                    else:
                        events.next_event(0.25)
                except BusError:
                    events.close() if events else None
                    events = None
        finally:
            if events is not None:
                events.close()


def _full(unit: str) -> str:
    return unit if unit.rpartition(".")[2] in ("service", "target", "socket", "timer", "path", "slice", "mount", "scope") else unit + ".service"


def wait_gone(pids: Iterable[int], timeout: float = TIMEOUT) -> set[int]:
    """Wait for the end of processes that are not our children; those that are still there."""
    processes = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            processes.append(psutil.Process(pid))
    _gone, alive = psutil.wait_procs(processes, timeout)
    return {p.pid for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE}


@contextlib.contextmanager
def running(*, start: str = "none", env: Mapping[str, str] | None = None, units: Mapping[str, str] | None = None) -> Iterator[Manager]:
    """A unitd that runs while the block does, and must end cleanly."""
    manager = Manager(start=start, env=env)
    for name, text in (units or {}).items():
        manager.write(name, text)
    good = False
    try:
        manager.launch()
        yield manager
        good = True
    finally:
        manager.close(check=good)

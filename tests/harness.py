"""Drives the real `unitd` and `unitctl` from outside."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 20.0


def need(*programs: str) -> None:
    """Skip with one line when a program is missing; with UNITD_TEST_REQUIRE=all that is a failure."""
    missing = [p for p in programs if shutil.which(p, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    if missing:
        absent("needs " + ", ".join(missing))


def absent(reason: str) -> None:
    """The environment lacks something: a skip, or a failure where everything is required."""
    if os.environ.get("UNITD_TEST_REQUIRE") == "all":
        pytest.fail(reason)
    pytest.skip(reason)


class Manager:
    """One unitd with directories of its own."""

    def __init__(self, environ: dict[str, str] | None = None) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="ud"))  # short: it holds sockets
        self.units, self.run, self.log = self.base / "units", self.base / "run", self.base / "log"
        self.units.mkdir()
        self.environ = {**os.environ, "PYTHONPATH": str(ROOT), "UNITD_BUS": str(self.run), "LANG": f"C.{self.base.name}", **(environ or {})}
        self.process: subprocess.Popen[bytes] | None = None
        self.messages: list[str] = []
        self.unread = b""
        self.extra: list[str] = []  # more options

    def write(self, name: str, text: str) -> Path:
        """A unit file (or drop-in)."""
        path = self.units / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def command(self, start: str = "none") -> list[str]:
        """The command line of this unitd."""
        directories = ["--runtime-dir", str(self.run), "--log-dir", str(self.log), "--state-dir", f"{self.base}/state"]
        options = ["--unit-path", str(self.units), *directories, "--start", start, *self.extra]
        return [sys.executable, "-m", "unitd.manager.launch", *options]

    def boot(self, start: str = "none") -> Manager:
        """Start it and wait until it is ready."""
        self.process = subprocess.Popen(self.command(start), env=self.environ, stderr=subprocess.PIPE, bufsize=0, cwd="/")
        self.unread = b""
        self.expect("ready (bus")
        return self

    def expect(self, text: str) -> str:
        """Wait for a line of unitd's own that holds `text`."""
        assert self.process is not None
        assert self.process.stderr is not None
        fd = self.process.stderr.fileno()
        end = time.monotonic() + PATIENCE
        while True:
            while b"\n" in self.unread:
                raw, _, self.unread = self.unread.partition(b"\n")
                self.messages.append(raw.decode(errors="replace") + "\n")
                if text in self.messages[-1]:
                    return self.messages[-1]
            if not select.select([fd], [], [], max(0.0, end - time.monotonic()))[0]:
                break
            data = os.read(fd, 65536)
            if not data:
                break
            self.unread += data
        raise AssertionError(f"unitd did not say {text!r}: {''.join(self.messages)}")

    def ctl(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run unitctl."""
        return subprocess.run(
            [sys.executable, "-m", "unitd.cli.main", *arguments], env=self.environ, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
        )

    def ok(self, *arguments: str) -> str:
        """Run unitctl, which must succeed; its output."""
        done = self.ctl(*arguments)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr, self.messages)
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        """One property."""
        return self.ok("show", "--value", "-p", name, unit).strip()

    def pid(self, unit: str) -> int:
        """The main PID."""
        return int(self.show(unit, "MainPID"))

    def wait_for(self, unit: str, **wanted: str) -> None:
        """Wait until properties have these values, woken by the bus."""
        from unitd.bus.client import Client

        end = time.monotonic() + PATIENCE
        with Client(f"ipc://{self.run}/bus") as client, client.events([f"unit.{unit}", "manager."]) as events:
            while True:
                have = client.show([unit])[0]
                if all(have.get(k) == v for k, v in wanted.items()):
                    return
                left = end - time.monotonic()
                assert left > 0, f"{unit} did not become {wanted}: {[have.get(k) for k in wanted]}"
                events.next_event(timeout=min(left, 1.0))

    def manager_pid(self) -> int:
        """The process that answers on the bus."""
        from unitd.bus.client import Client

        with Client(f"ipc://{self.run}/bus") as client:
            return int(client.ping()["pid"])

    def below(self) -> list[int]:
        """The warden and all its children."""
        assert self.process is not None
        warden = self.process.pid
        return [warden, *(int(p) for p in Path(f"/proc/{warden}/task/{warden}/children").read_text().split())]

    def stop(self) -> int:
        """SIGTERM, and how it ended."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, rest = self.process.communicate(timeout=60)
        self.messages.append((self.unread + rest).decode(errors="replace"))
        return self.process.returncode

    def close(self) -> None:
        """The end of every test: a clean stop with nothing left behind."""
        try:
            if self.process is not None:
                code = self.stop()
                assert code == 0, f"unitd ended with {code}: {''.join(self.messages)}"
                assert marked(str(self.base)) == []
        finally:
            for pid in marked(str(self.base)):
                os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.base, ignore_errors=True)


def marked(text: str) -> list[int]:
    """Processes that were started below the unitd in this directory: its LANG, which services get, names it."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                environ = Path(f"/proc/{entry}/environ").read_bytes()
            except OSError:
                continue
            if f"LANG=C.{os.path.basename(text)}".encode() in environ:
                found.append(int(entry))
    return found


def alive(pid: int) -> bool:
    """Is the process there and no zombie?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False

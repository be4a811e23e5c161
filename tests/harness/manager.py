"""One real unitd with directories of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from tests.harness import processes
from tests.harness.processes import marked, wait_gone
from tests.harness.waiting import PATIENCE, ROOT, Lines, poll
from unitd.bus.client import Client, Unreachable
from unitd.units.suffix import with_suffix

#: The words that run unitctl.
UNITCTL = [sys.executable, "-m", "unitd.cli.main"]
#: Whatever unitd runs may need to end.
END = 60.0


class Manager:
    """One unitd: its directories, its processes, and `unitctl` for it."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="ud", dir="/tmp"))  # short: it holds sockets, whose paths may have 107 characters
        self.units, self.run, self.log = self.base / "units", self.base / "run", self.base / "log"
        self.units.mkdir()
        self.unit_path = [self.units]
        self.bus = f"ipc://{self.run}/bus"
        # Services get LANG from unitd: by this one everything that was started here is found.
        own = {"PYTHONPATH": str(ROOT), "UNITD_BUS": str(self.run), "LANG": f"C.{self.base.name}"}
        self.environ = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "INVOCATION_ID")} | own | dict(environ or {})
        self.python = sys.executable
        self.wrap: list[str] = []  # a program that starts it: setpriv, unshare
        self.extra: list[str] = []  # more options
        self.process: subprocess.Popen[bytes] | None = None
        self.warden = 0
        self.messages: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(check=kind is None)

    # -- before it starts

    def write(self, name: str, text: str | bytes) -> Path:
        """A unit file (or drop-in)."""
        path = self.units / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def configure(self, text: str) -> None:
        """Its unitd.conf."""
        path = self.base / "unitd.conf"
        path.write_text(text)
        self.extra = [*self.extra, "--config", str(path)]

    def show_to_all(self) -> None:
        """Let other users' services read what is below its directory."""
        for path in (self.base, *self.unit_path):
            path.chmod(0o755)

    def command(self, start: str = "none") -> list[str]:
        """The command line of this unitd."""
        directories = ["--runtime-dir", str(self.run), "--log-dir", str(self.log), "--state-dir", f"{self.base}/state"]
        options = ["--unit-path", ":".join(map(str, self.unit_path)), *directories, "--start", start, *self.extra]
        return [*self.wrap, self.python, "-m", "unitd.manager.launch", *options]

    # -- its life

    def launch(self, start: str = "none") -> Manager:
        """Start it."""
        self.process = subprocess.Popen(
            self.command(start), env=self.environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, bufsize=0, cwd="/", start_new_session=True
        )
        assert self.process.stderr is not None
        self.warden = self.process.pid
        self.lines = Lines(self.process.stderr.fileno(), self.messages)
        return self

    def boot(self, start: str = "none") -> Manager:
        """Start it and wait until it is ready."""
        self.launch(start).expect("ready (bus")
        return self

    def expect(self, text: str) -> str:
        """Wait for a line of unitd's own that holds `text`."""
        return self.lines.expect(text)

    def said(self) -> str:
        """All of unitd's own lines that were read so far."""
        return "".join(self.messages)

    def wait(self) -> int:
        """Wait until warden and manager have ended; the exit code. It may be booted again then."""
        process = self.process
        assert process is not None
        self.lines.rest(END)
        code = process.wait(END)
        assert process.stderr is not None
        process.stderr.close()
        self.process = None
        return code

    def stop(self) -> int:
        """SIGTERM, and the exit code: 0 for a warden that is not our child (`kill_warden`), which keeps its code for itself."""
        assert self.process is not None
        if self.warden == self.process.pid:
            self.process.terminate()
            return self.wait()
        os.kill(self.warden, signal.SIGTERM)
        wait_gone([self.warden], END)
        self.wait()
        return 0

    def close(self, check: bool = True) -> None:
        """The end of every test: a clean stop with nothing left behind. Without `check` it may be anything but that."""
        code, left = 0, list[int]()
        try:
            if self.process is not None:
                code = self.stop()
            left = marked(self.base.name)
        finally:
            poll(self._kill_all, "something starts again and again")  # a manager that is left becomes a warden
            if self.process is not None:
                self.wait()
            shutil.rmtree(self.base, ignore_errors=True)
        if check:
            assert code == 0, f"unitd ended with {code}: {self.said()}"
            assert not left, f"unitd left processes behind: {left}"

    def _kill_all(self) -> bool:
        """SIGKILL for everything that was started here; was there nothing any more?"""
        found = marked(self.base.name)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not found

    # -- its processes

    def below(self) -> list[int]:
        """The warden and all its children, zombies left out: they still have their names."""
        return [pid for pid in (self.warden, *processes.children(self.warden)) if processes.alive(pid)]

    def named(self, name: str) -> list[int]:
        """Those of them with this name, such as `unitd: logger`."""
        return [pid for pid in self.below() if name in processes.names(pid)]

    def own(self) -> list[int]:
        """Those of them that are unitd's own, warden first."""
        return [pid for pid in self.below() if processes.names(pid)[1].startswith("unitd")]

    def services(self) -> list[str]:
        """The command lines of what it runs, in order, none of it still between fork and exec: there a child looks like the warden."""
        poll(lambda: not any("/manager/warden.py" in processes.command_line(pid) for pid in processes.children(self.warden)), "a child does not exec")
        lines = (processes.command_line(pid) for pid in marked(self.base.name))
        return sorted(line for line in lines if line and not line.startswith("unitd: ") and "/manager/" not in line and "unitd.manager" not in line)

    def manager_pid(self) -> int:
        """The process that answers on the bus."""
        with self.client() as client:
            return int(client.ping()["pid"])

    def next_manager(self, old: int) -> int:
        """Wait until another process than `old` answers on the bus: its pid."""
        found = old

        def other(client: Client) -> bool:
            nonlocal found
            found = int(client.ping()["pid"])
            return found != old

        self._until(other, lambda: "no new manager came", PATIENCE)
        return found

    def kill_manager(self) -> int:
        """SIGKILL the manager and wait until its successor is ready: its pid."""
        old = self.manager_pid()
        self.lines.skip()
        os.kill(old, signal.SIGKILL)
        self.expect("ready (bus")
        return self.next_manager(old)

    def kill_warden(self) -> int:
        """SIGKILL the warden and wait until the manager has taken its place: its pid."""
        old, gone = self.manager_pid(), self.warden
        os.kill(gone, signal.SIGKILL)
        wait_gone([gone])
        self.next_manager(old)
        self.warden = old
        return old

    def kill_unitd(self) -> None:
        """SIGKILL warden and manager. What they ran runs on; `boot` takes it over."""
        manager = self.manager_pid()
        os.kill(manager, signal.SIGSTOP)  # it shall not become the next warden
        for pid in (self.warden, manager):
            os.kill(pid, signal.SIGKILL)
        self.wait()

    def crash(self) -> None:
        """SIGKILL for all, services included, as a power failure would do it; sockets and state stay behind."""
        self.kill_unitd()
        poll(self._kill_all, "something starts again and again")

    # -- unitctl and the bus

    def call(self, command: list[str], timeout: float = END, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program beside it, with its environment; `options` are those of subprocess.run."""
        plain: dict[str, Any] = {"env": self.environ, "cwd": self.base, "text": True, "errors": "replace"}
        plain |= {} if "input" in options else {"stdin": subprocess.DEVNULL}
        plain |= {} if "stdout" in options else {"capture_output": True}
        return subprocess.run(command, timeout=timeout, check=False, **(plain | options))

    def ctl(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run unitctl; `options` are those of `call`."""
        return self.call([*UNITCTL, *arguments], **options)

    def ok(self, *arguments: str) -> str:
        """Run unitctl, which must succeed; its output."""
        done = self.ctl(*arguments)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr, self.messages)
        return done.stdout

    def client(self) -> Client:
        """A connection to the bus."""
        return Client(self.bus)

    def show(self, unit: str, name: str) -> str:
        """One property, as unitctl prints it."""
        return self.ok("show", "--value", "-p", name, unit).strip()

    def pid(self, unit: str) -> int:
        """The main PID."""
        return int(self.show(unit, "MainPID"))

    def wait_for(self, unit: str, patience: float = PATIENCE, **wanted: str) -> None:
        """Wait until properties have these values; !X is anything but X. Raises AssertionError."""
        name, have = with_suffix(unit), dict[str, str]()

        def so(client: Client) -> bool:
            have.update(client.show([name])[0])
            return all(have.get(k) != v[1:] if v.startswith("!") else have.get(k) == v for k, v in wanted.items())

        self._until(so, lambda: f"{name} did not become {wanted}: { {k: have.get(k) for k in [*wanted, 'ActiveState', 'SubState', 'Result']} }", patience, f"unit.{name}")

    def _until(self, so: Callable[[Client], bool], what: Callable[[], str], patience: float, *topics: str) -> None:
        """Wait until it is so, asked after every event of these topics and of the manager itself, whoever is the manager meanwhile."""
        end = time.monotonic() + patience
        while True:
            try:
                with self.client() as client, client.events(["manager.", *topics]) as events:
                    while not so(client):
                        left = end - time.monotonic()
                        assert left > 0, what()
                        events.next_event(min(left, 0.5))  # counters and the like change without an event
                    return
            except Unreachable:
                assert time.monotonic() < end, what()

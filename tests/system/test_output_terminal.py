"""unitctl logs -f in a real terminal, beside tail -F of the files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from tests.harness import Manager, alive, need

ECHO = "[Service]\nExecStart=/bin/sh -c 'exec 3<>{base}/fifo%i; while read x <&3; do echo $x; done'\n"


class Terminal:
    """A tmux server with a window for each command; everything they ever printed is kept."""

    def __init__(self, manager: Manager) -> None:
        self.manager, self.socket, self.windows = manager, str(manager.base / "tmux"), 0
        self.environ = {**manager.environ, "TERM": "xterm", "SHELL": "/bin/sh"}
        self.environ.pop("TMUX", None)

    def tmux(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *words], env=self.environ, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def open(self, command: str) -> int:
        """Run a command in a window of its own; the window's number."""
        if self.windows == 0:
            self.tmux("new-session", "-d", "-x", "120", "-y", "40", "-s", "t", "sleep 1000", ";", "set-option", "-g", "history-limit", "50000")
        self.windows += 1
        self.tmux("new-window", "-d", "-t", f"t:{self.windows}", command)
        return self.windows

    def lines(self, window: int) -> list[str]:
        return self.tmux("capture-pane", "-p", "-J", "-S", "-", "-t", f"t:{window}").splitlines()

    def wait(self, window: int, *texts: str) -> None:
        """Until all these lines have been printed."""
        end = time.monotonic() + 60
        while not set(texts) <= set(self.lines(window)):
            assert time.monotonic() < end, f"{texts} did not come in window {window}: {self.lines(window)[-20:]}"
            time.sleep(0.05)

    def close(self) -> None:
        """End the server and wait for what ran in it: manager.close finds nothing of it any more."""
        if not self.windows:
            return
        pids = [int(pid) for pid in self.tmux("list-panes", "-a", "-F", "#{pane_pid}").split()]
        pids.append(int(self.tmux("display-message", "-p", "#{pid}")))
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], env=self.environ, capture_output=True, timeout=60)
        end = time.monotonic() + 30
        while any(alive(pid) for pid in pids):
            assert time.monotonic() < end, pids
            time.sleep(0.02)


def test_a_terminal_shows_what_a_tail_of_the_files_shows(manager: Manager) -> None:
    """Across a rotation and a manager that is killed."""
    need("tmux", "tail")
    manager.write("web@.service", ECHO.format(base=manager.base))
    pens = {}
    for n in "12":
        os.mkfifo(manager.base / f"fifo{n}")
        pens[n] = os.open(manager.base / f"fifo{n}", os.O_RDWR)
    manager.boot()
    manager.ok("start", "web@1", "web@2")
    written: dict[str, list[str]] = {"1": [], "2": []}

    def say(count: int) -> None:
        for n, pen in pens.items():
            lines = [f"web {n} line {len(written[n]) + i}" for i in range(count)]
            written[n] += lines
            os.write(pen, "".join(line + "\n" for line in lines).encode())

    say(1)
    files = [manager.log / f"web@{n}.service" / "current" for n in "12"]
    end = time.monotonic() + 30
    while not all(path.exists() and path.stat().st_size for path in files):
        assert time.monotonic() < end
        time.sleep(0.02)
    terminal = Terminal(manager)
    try:
        shown = terminal.open(f"exec {sys.executable} -m unitd.cli.main logs -f -n all -o cat 'web@*'")
        tailed = terminal.open("exec tail -q -n +1 -F " + " ".join(map(str, files)) + " 2>/dev/null")

        def settle() -> None:
            for window in (shown, tailed):
                terminal.wait(window, *(lines[-1] for lines in written.values()))

        settle()
        say(60)
        settle()
        manager.ok("logs", "--rotate", "web@*")
        say(60)
        settle()
        os.kill(manager.manager_pid(), signal.SIGKILL)
        say(60)
        manager.expect("ready (bus")
        say(60)
        settle()
        for window in (shown, tailed):
            lines = terminal.lines(window)
            for n in "12":
                assert [line for line in lines if line.startswith(f"web {n} ")] == written[n]
        assert all(len(list(path.parent.glob("@*.log"))) == 1 for path in files)
    finally:
        terminal.close()
        for pen in pens.values():
            os.close(pen)

"""Terminals: tmux with windows whose screens can be looked at, and a pseudo-terminal with one command."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.harness.processes import wait_gone
from tests.harness.waiting import PATIENCE, readable


class Tmux:
    """A tmux server of its own, below `directory`."""

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self.directory, self.socket = directory, str(directory / "tmux")
        words = {"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "TERM": "screen-256color", "SHELL": "/bin/sh"}
        self.environ = {k: v for k, v in environ.items() if k not in ("TMUX", "NO_COLOR")} | words
        self.windows: list[Window] = []

    def tmux(self, *words: str) -> str:
        """Give tmux a command; what it prints."""
        done = subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *words], env=self.environ, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def open(self, command: list[str], size: tuple[int, int] = (110, 24)) -> Window:
        """Run a command in a window of its own. At its end the window says `ended-with-CODE`, and stays."""
        line = shlex.join(command) + "; echo ended-with-$?; exec cat"
        if not self.windows:
            first = ["set-option", "-g", "history-limit", "50000", ";", "new-session", "-d", "-s", "t", "-x", str(size[0]), "-y", str(size[1])]
            self.tmux("start-server", ";", *first, "sh", "-c", line)
        else:
            self.tmux("new-window", "-d", "-t", f"t:{len(self.windows)}", "sh", "-c", line)
        self.windows.append(Window(self, len(self.windows)))
        return self.windows[-1]

    def close(self) -> None:
        """End the server and all that runs in it, and wait until they are gone."""
        if not self.windows:
            return
        pids = [*self.tmux("list-panes", "-a", "-F", "#{pane_pid}").split(), self.tmux("display-message", "-p", "#{pid}")]
        self.tmux("kill-server")
        wait_gone(int(pid) for pid in pids)
        for window in self.windows:
            os.close(window.output)


class Window:
    """One window of tmux."""

    def __init__(self, server: Tmux, number: int) -> None:
        self.server, self.target = server, f"t:{number}"
        fifo = server.directory / f"window{number}"
        os.mkfifo(fifo)
        self.output = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        # What comes through it tells that the screen has changed: tmux draws before it passes on.
        server.tmux("pipe-pane", "-t", self.target, f"exec cat >{shlex.quote(str(fifo))}")

    def screen(self) -> list[str]:
        """The lines that one sees."""
        return self.server.tmux("capture-pane", "-p", "-t", self.target).splitlines()

    def history(self) -> list[str]:
        """All lines that there ever were; those that were too long for the screen are whole."""
        return self.server.tmux("capture-pane", "-p", "-J", "-S", "-", "-t", self.target).splitlines()

    def keys(self, *keys: str) -> None:
        """Press keys."""
        self.server.tmux("send-keys", "-t", self.target, *keys)

    def resize(self, columns: int, rows: int) -> None:
        """Another size, as when a user pulls at the window."""
        self.server.tmux("resize-window", "-t", self.target, "-x", str(columns), "-y", str(rows))

    def wait(self, wanted: Callable[[list[str]], object], look: Callable[[], list[str]] | None = None) -> list[str]:
        """Look at the screen (or at what `look` returns) after everything that is printed, until it is as wanted. Raises AssertionError."""
        end = time.monotonic() + 2 * PATIENCE
        while True:
            shown = (look or self.screen)()
            if wanted(shown):
                return shown
            assert readable(self.output, end), "\n".join(shown[-50:])
            os.read(self.output, 1 << 20)

    def shows(self, text: str) -> list[str]:
        """Wait until some line of the screen holds `text`."""
        return self.wait(lambda shown: any(text in line for line in shown))


class Pty:
    """A terminal with a command in it, as a user sits at one."""

    def __init__(self, command: list[str], environ: Mapping[str, str]) -> None:
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(command[0], command, {**environ, "TERM": "xterm"})

    def _read(self) -> bool:
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: nobody has the other end any more
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def expect(self, text: str) -> None:
        """Wait for a text. Raises AssertionError."""
        end = time.monotonic() + PATIENCE
        while text not in self.text:
            assert readable(self.fd, end) and self._read(), self.text

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.fd, text.encode())

    def wait(self) -> int:
        """Wait for the command's end; its exit code."""
        while self._read():
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

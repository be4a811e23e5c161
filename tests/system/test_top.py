"""`unitctl top` in a real terminal (tmux): what the screen shows after which key, and that it outlives the manager."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness import Manager, need

PATIENCE = 60.0


class Terminal:
    """A tmux server of its own with one window, in which a command runs."""

    def __init__(self, directory: Path, command: list[str], environ: dict[str, str], size: tuple[int, int] = (110, 24)) -> None:
        self.socket = str(directory / "tmux")
        self.environ = {k: v for k, v in environ.items() if k not in ("TMUX", "NO_COLOR")} | {"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "TERM": "screen-256color"}
        line = shlex.join(command) + "; echo ended-with-$?; exec cat"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), "sh", "-c", line)
        self._pause = threading.Event()

    def tmux(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-S", self.socket, *words], env=self.environ, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def screen(self) -> list[str]:
        return self.tmux("capture-pane", "-p").splitlines()

    def keys(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def wait(self, wanted: Callable[[list[str]], bool]) -> list[str]:
        """Look at the screen until it is as wanted: a terminal tells nobody when it has changed."""
        end = time.monotonic() + PATIENCE
        while True:
            shown = self.screen()
            if wanted(shown):
                return shown
            assert time.monotonic() < end, "\n".join(shown)
            self._pause.wait(0.1)

    def shows(self, text: str) -> list[str]:
        return self.wait(lambda shown: any(text in line for line in shown))

    def close(self) -> None:
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], env=self.environ, capture_output=True, timeout=PATIENCE)


def order(shown: list[str]) -> list[str]:
    """Units of the list from top to bottom."""
    return [line.split()[0] for line in shown if line[:1].isalpha() and ".service" in line.split()[0]]


TOP = [sys.executable, "-m", "unitd.cli.main", "top", "*.service"]


@pytest.fixture
def services(manager: Manager) -> Manager:
    need("tmux")
    manager.write("alpha.service", "[Service]\nExecStart=/bin/sh -c 'while sleep 0.2; do echo tick-tock; done'\n")
    manager.write("beta.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    manager.write("gamma.service", f"[Service]\nNice=10\nExecStart={sys.executable} -c 'while True: pass'\n")
    manager.boot()
    manager.ok("start", "alpha", "beta", "gamma")
    return manager


@pytest.fixture
def top(services: Manager) -> Iterator[Terminal]:
    made = Terminal(services.base, TOP, services.environ)
    try:
        yield made
    finally:
        made.close()


def test_it_sorts_and_filters(top: Terminal) -> None:
    # the one that burns CPU is first without being asked for
    top.wait(lambda shown: order(shown)[:1] == ["gamma.service"] and len(order(shown)) == 3)
    top.keys("n")
    top.wait(lambda shown: order(shown) == ["alpha.service", "beta.service", "gamma.service"])
    top.keys("i")
    top.wait(lambda shown: order(shown) == ["gamma.service", "beta.service", "alpha.service"])
    top.keys("/", "b", "e", "t")
    top.wait(lambda shown: order(shown) == ["beta.service"])
    top.keys("Enter")
    top.shows("only 'bet'")
    top.keys("Escape")
    top.wait(lambda shown: len(order(shown)) == 3)
    top.keys("t")
    top.wait(lambda shown: any("python" in line and line.startswith("  ") for line in shown))
    top.keys("h")
    top.shows("processes as a tree")
    top.keys("x", "q")
    top.shows("ended-with-0")


def test_it_commands_and_shows_output(services: Manager, top: Terminal) -> None:
    top.wait(lambda shown: len(order(shown)) == 3)
    pid = services.pid("beta")
    top.keys("n", "Home", "Down", "R")
    top.shows("restart beta.service (1 process)? y/n")
    top.keys("n")
    top.shows("nothing was done")
    assert services.pid("beta") == pid
    top.keys("R")
    top.shows("restart beta.service (1 process)? y/n")
    top.keys("y")
    top.shows("restart beta.service: asked for")
    services.wait_for("beta.service", ActiveState="active", SubState="running")
    end = time.monotonic() + PATIENCE
    while services.pid("beta") == pid:
        assert time.monotonic() < end
    top.keys("K")
    top.shows("signal for beta.service: TERM_")
    top.keys("Enter")
    top.shows("send TERM to beta.service")
    top.keys("y")
    top.wait(lambda shown: any("beta.service" in line and " dead " in line for line in shown))
    top.keys("Home", "Enter")
    top.shows("output of alpha.service")
    top.shows("tick-tock")


def test_it_outlives_the_manager_and_a_resize(services: Manager, top: Terminal) -> None:
    top.wait(lambda shown: order(shown)[:1] == ["gamma.service"])
    top.tmux("resize-window", "-x", "70", "-y", "12")
    top.wait(lambda shown: len(shown) <= 12 and len(order(shown)) == 3 and all(len(line) <= 70 for line in shown))
    top.tmux("resize-window", "-x", "160", "-y", "40")
    top.wait(lambda shown: any("MEM" in line and "FDS" in line and len(line) > 100 for line in shown) and len(order(shown)) == 3)
    os.kill(services.manager_pid(), signal.SIGKILL)
    services.expect("ready (bus")
    # the new manager tells of what happens now, and takes samples again
    services.ok("stop", "beta")
    top.wait(lambda shown: any("beta.service" in line and " dead " in line for line in shown))
    top.wait(lambda shown: any("gamma.service" in line and " running " in line and float(line.split()[2]) > 5 for line in shown))
    top.keys("q")
    top.shows("ended-with-0")


def test_monochrome_and_ascii(services: Manager) -> None:
    terminal = Terminal(services.base, ["env", "TERM=vt100", "NO_COLOR=1", *TOP, "--ascii"], services.environ, (80, 24))
    try:
        terminal.wait(lambda shown: len(order(shown)) == 3)
        terminal.keys("q")
        shown = terminal.shows("ended-with-0")
        assert "".join(shown).isascii()
    finally:
        terminal.close()


def test_pictures_as_text(services: Manager) -> None:
    shown = services.ok("top", "--batch", "-n", "2", "--width", "100", "--tree")
    assert shown.count("unitd: ") == 2 and shown.count("gamma.service ") == 2
    assert all(len(line) <= 100 for line in shown.splitlines())
    assert services.ctl("top").returncode == 1

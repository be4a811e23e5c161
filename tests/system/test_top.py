"""`unitctl top` in a real terminal (tmux): what the screen shows after which key, and that it outlives the manager."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.harness import UNITCTL, Manager, file_has, need
from tests.harness.terminal import Tmux, Window


def order(shown: list[str]) -> list[str]:
    """Units of the list from top to bottom."""
    return [line.split()[0] for line in shown if line[:1].isalpha() and ".service" in line.split()[0]]


TOP = [*UNITCTL, "top", "*.service"]


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
def tmux(services: Manager) -> Iterator[Tmux]:
    made = Tmux(services.base, services.environ)
    yield made
    made.close()


@pytest.fixture
def top(tmux: Tmux) -> Window:
    return tmux.open(TOP)


def test_it_sorts_and_filters(top: Window) -> None:
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


def test_it_commands_and_shows_output(services: Manager, top: Window) -> None:
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
    services.wait_for("beta.service", ActiveState="active", SubState="running", MainPID=f"!{pid}")
    top.keys("K")
    top.shows("signal for beta.service: TERM_")
    top.keys("Enter")
    top.shows("send TERM to beta.service")
    top.keys("y")
    top.wait(lambda shown: any("beta.service" in line and " dead " in line for line in shown))
    top.keys("Home", "Enter")
    top.shows("output of alpha.service")
    top.shows("tick-tock")


def test_keys_that_reload_stop_start_and_scale(services: Manager, tmux: Tmux) -> None:
    services.write("beta.service.d/reload.conf", f"[Service]\nExecReload=/usr/bin/touch {services.base}/reloaded\n")
    services.write("pool@.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    services.ok("daemon-reload")
    services.ok("start", "pool@1")
    top = tmux.open(TOP)
    top.wait(lambda shown: len(order(shown)) == 4)
    top.keys("n")
    top.wait(lambda shown: order(shown) == ["alpha.service", "beta.service", "gamma.service", "pool@1.service"])

    def row(unit: str, word: str) -> None:
        top.wait(lambda shown: any(line.split()[:1] == [unit] and f" {word} " in line for line in shown))

    def press(key: str, question: str) -> None:
        top.keys(key)
        top.shows(question)
        top.keys("y")

    top.keys("Home", "Down")
    press("L", "reload beta.service (1 process)? y/n")
    file_has(services.base / "reloaded")
    press("T", "stop beta.service (1 process)? y/n")
    services.wait_for("beta", ActiveState="inactive")
    row("beta.service", "dead")
    press("S", "start beta.service")
    services.wait_for("beta", ActiveState="active")
    row("beta.service", "running")
    top.keys("+")
    top.shows("beta.service is no instance of a template")
    top.keys("End")
    press("+", "one instance of pool@.service more? y/n")
    row("pool@2.service", "running")
    press("-", "one instance of pool@.service less? y/n")
    services.wait_for("pool@2", ActiveState="inactive")
    top.keys("-")
    top.shows("one instance of pool@.service less? y/n")
    top.keys("n")
    top.shows("nothing was done")
    assert services.show("pool@1", "ActiveState") == "active"
    top.keys("q")
    top.shows("ended-with-0")


def test_it_outlives_the_manager_and_a_resize(services: Manager, top: Window) -> None:
    top.wait(lambda shown: order(shown)[:1] == ["gamma.service"])
    top.resize(70, 12)
    top.wait(lambda shown: len(shown) <= 12 and len(order(shown)) == 3 and all(len(line) <= 70 for line in shown))
    top.resize(160, 40)
    top.wait(lambda shown: any("MEM" in line and "FDS" in line and len(line) > 100 for line in shown) and len(order(shown)) == 3)
    services.kill_manager()
    # the new manager tells of what happens now, and takes samples again
    services.ok("stop", "beta")
    top.wait(lambda shown: any("beta.service" in line and " dead " in line for line in shown))
    top.wait(lambda shown: any("gamma.service" in line and " running " in line and float(line.split()[2]) > 5 for line in shown))
    top.keys("q")
    top.shows("ended-with-0")


def test_monochrome_and_ascii(tmux: Tmux) -> None:
    window = tmux.open(["env", "TERM=vt100", "NO_COLOR=1", *TOP, "--ascii"], (80, 24))
    window.wait(lambda shown: len(order(shown)) == 3)
    window.keys("q")
    assert "".join(window.shows("ended-with-0")).isascii()


def test_pictures_as_text(services: Manager) -> None:
    shown = services.ok("top", "--batch", "-n", "2", "--width", "100", "--tree")
    assert shown.count("unitd: ") == 2 and shown.count("gamma.service ") == 2
    assert all(len(line) <= 100 for line in shown.splitlines())
    assert services.ctl("top").returncode == 1

"""unitctl logs -f in a real terminal, beside tail -F of the files."""

from __future__ import annotations

import os
import signal

from tests.harness import UNITCTL, Manager, file_has, need
from tests.harness.terminal import Tmux

ECHO = "[Service]\nExecStart=/bin/sh -c 'exec 3<>{base}/fifo%i; while read x <&3; do echo $x; done'\n"


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
    for path in files:
        file_has(path, lambda path: path.exists() and path.stat().st_size)
    terminal = Tmux(manager.base, manager.environ)
    try:
        shown = terminal.open([*UNITCTL, "logs", "-f", "-n", "all", "-o", "cat", "web@*"])
        tailed = terminal.open(["sh", "-c", 'exec tail -q -n +1 -F "$@" 2>/dev/null', "tail", *map(str, files)])

        def settle() -> None:
            last = {lines[-1] for lines in written.values()}
            for window in (shown, tailed):
                window.wait(lambda lines: last <= set(lines), window.history)

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
            lines = window.history()
            for n in "12":
                assert [line for line in lines if line.startswith(f"web {n} ")] == written[n]
        assert all(len(list(path.parent.glob("@*.log"))) == 1 for path in files)
    finally:
        terminal.close()
        for pen in pens.values():
            os.close(pen)

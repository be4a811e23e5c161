"""Drives the real `unitd`, `unitctl` and terminals from outside. For tests and benches: everything that starts or waits for a process is here.

manager     one unitd with directories of its own: boot, unitctl, waiting for units, kills, the end
processes   what runs, and waiting for its end
waiting     the lines that a process says, files that change, and the one poll for what nothing announces
terminal    tmux, and a pseudo-terminal
needs       what the machine lacks
"""

from tests.harness.manager import UNITCTL, Manager
from tests.harness.needs import absent, need
from tests.harness.processes import alive, marked, wait_gone
from tests.harness.waiting import PATIENCE, ROOT, Lines, file_has, free_port, poll

__all__ = [
    "PATIENCE",
    "ROOT",
    "UNITCTL",
    "Lines",
    "Manager",
    "absent",
    "alive",
    "file_has",
    "free_port",
    "marked",
    "need",
    "poll",
    "wait_gone",
]

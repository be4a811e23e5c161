"""How a process becomes the warden: `unitd` at its start, and a manager whose warden died."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

import unitd
from unitd.manager import bag
from unitd.manager.bag import Bag

if TYPE_CHECKING:
    from unitd.manager.link import WardenLink
    from unitd.manager.processes import Processes

#: Environment between warden and manager. LIFE is the same from the first start to the orderly end, OWNER, the first warden's pid,
#: is in the names of cgroups. SYSTEMD: systemd started the warden, and will do so again.
CONFIG, LIFE, OWNER, SYSTEMD = "UNITD_CONFIG_JSON", "UNITD_LIFE", "UNITD_OWNER", "UNITD_SYSTEMD"
#: Where Python finds packages: a manager starts without looking for them.
PATH = "UNITD_PATH"
#: systemd opened the bus.
DOORS = "UNITD_DOORS"
#: Names in systemd's store that are of no use any more.
FORGET = "UNITD_FORGET"
#: In the warden's store: the locked file that keeps a second unitd away.
LOCK = "unitd:lock"


def become_warden(contents: Bag, environ: Mapping[str, str]) -> NoReturn:
    """exec the warden, which starts a manager as its child and begins with `contents`. Raises OSError."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(unitd.__file__)))
    warden = os.path.join(package, "unitd", "manager", "warden.py")
    environ = dict(environ)
    environ[PATH] = os.pathsep.join(dict.fromkeys([package, *(os.path.abspath(p) for p in sys.path if p)]))
    environ[bag.VARIABLE] = str(bag.pack(contents))
    command = [sys.executable, "-I", "-S", warden, "--package-dir", package, "--", sys.executable, "-I", "-S", os.path.join(package, "unitd", "manager", "start.py")]
    os.execve(sys.executable, command, environ)  # noqa: S606 - with arguments of our own


def succeed(link: WardenLink, processes: Processes, logger: tuple[int, int], environ: Mapping[str, str]) -> NoReturn:
    """The warden is gone: take its place with all that this manager holds. `logger` is its (pid, pidfd). Raises OSError.

    The services are other people's children from now on: their ends are seen by pidfd.
    """
    if logger[1] >= 0:
        try:
            signal.pidfd_send_signal(logger[1], signal.SIGKILL)  # the next one reads on where it stopped
        except ProcessLookupError:
            pass
    kids = [(pid, token, processes.pidfds[pid]) for pid, token in processes.pids.items() if pid in processes.pidfds]
    kids += [(pid, f"pid:{pid}", fd) for pid, fd in processes.alien_fds.items() if pid not in processes.pidfds]
    import logging  # which `unitd` at its start does without

    contents = Bag(kids=kids, sequence=link.sequence, store=link.held)
    logging.getLogger("unitd").error("the warden is gone; this manager takes its place with %d processes", len(kids))
    sys.stderr.flush()
    become_warden(contents, environ)

"""unitd for an ordinary user: no capability, no cgroup, no /run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig

from tests.harness import ROOT, Manager
from tests.system.test_survival import COUNTER, STEADY, kill_warden, next_manager, orphaned, wait_until, whole

__all__ = ["orphaned"]
NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]


def usable(python: str, environ: dict[str, str]) -> bool:
    """Can nobody run it, and have it run itself?"""
    code = "import os, sys, unitd.manager.app; os.execv(sys.executable, [sys.executable, '-c', ''])"
    return subprocess.run([*AS_NOBODY, python, "-c", code], cwd="/", env=environ, capture_output=True, check=False).returncode == 0


def test_everything_survives_without_root(orphaned: Manager) -> None:
    m = orphaned
    if os.getuid() == 0:
        m.environ |= {"HOME": str(m.base), "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_paths()["purelib"]])}
        python = next((p for p in (sys.executable, "/usr/bin/python3") if usable(p, m.environ)), "")
        if not python:
            return  # every Python here is for root alone
        for path in (m.base, m.units):
            os.chown(path, NOBODY, NOBODY)
        plain = m.command
        m.command = lambda start="none": [*AS_NOBODY, python, *plain(start)[1:]]  # type: ignore[method-assign]
    m.write("count.service", COUNTER)
    m.write("steady.service", STEADY)
    m.boot().ok("start", "count", "steady")
    before = m.pid("count"), m.pid("steady")
    pid = m.manager_pid()
    os.kill(pid, signal.SIGKILL)
    pid = next_manager(m, pid)
    m.ok("daemon-reexec")
    next_manager(m, pid)
    warden = kill_warden(m)
    assert (m.pid("count"), m.pid("steady")) == before
    os.kill(before[1], signal.SIGKILL)
    m.wait_for("steady.service", ActiveState="active", SubState="running", NRestarts="1")
    m.ok("stop", "count")
    whole(m, "count")
    os.kill(warden, signal.SIGTERM)
    wait_until(lambda: not os.path.exists(f"/proc/{before[0]}"), "it does not end")

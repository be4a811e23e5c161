"""unitd for an ordinary user: no capability, no cgroup, no /run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig

from tests.harness import ROOT, Manager, alive
from tests.system.test_survival import COUNTER, STEADY, whole

NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]


def usable(python: str, environ: dict[str, str]) -> bool:
    """Can nobody run it, and have it run itself?"""
    code = "import os, sys, unitd.manager.app; os.execv(sys.executable, [sys.executable, '-c', ''])"
    return subprocess.run([*AS_NOBODY, python, "-c", code], cwd="/", env=environ, capture_output=True, check=False).returncode == 0


def test_everything_survives_without_root(manager: Manager) -> None:
    m = manager
    if os.getuid() == 0:
        m.environ |= {"HOME": str(m.base), "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_paths()["purelib"]])}
        python = next((p for p in (sys.executable, "/usr/bin/python3") if usable(p, m.environ)), "")
        if not python:
            return  # every Python here is for root alone
        for path in (m.base, m.units):
            os.chown(path, NOBODY, NOBODY)
        m.wrap, m.python = AS_NOBODY, python
    m.write("count.service", COUNTER)
    m.write("steady.service", STEADY)
    m.boot().ok("start", "count", "steady")
    before = m.pid("count"), m.pid("steady")
    pid = m.kill_manager()
    m.ok("daemon-reexec")
    m.next_manager(pid)
    m.kill_warden()
    assert (m.pid("count"), m.pid("steady")) == before
    os.kill(before[1], signal.SIGKILL)
    m.wait_for("steady.service", ActiveState="active", SubState="running", NRestarts="1")
    m.ok("stop", "count")
    whole(m, "count")
    m.stop()
    assert not alive(before[0])

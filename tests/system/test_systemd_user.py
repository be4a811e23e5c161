"""unitd as a service of `systemd --user`: no root anywhere."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator

import pytest

from tests.harness import ROOT, poll
from tests.nspawn import BIN, BOOT, Machine

#: The Debian root may have to be fetched first.
pytestmark = pytest.mark.timeout(900)
HOME = "/home/joe"


class Joe:
    """A user with a systemd of his own, in a container."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.python = ""

    def run(self, *command: str, check: bool = True) -> str:
        enter = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "env", f"HOME={HOME}", "XDG_RUNTIME_DIR=/run/user/1000"]
        return self.machine.run(*enter, *command, check=check)

    def said(self, name: str) -> str:
        return self.run("systemctl", "--user", "show", "--value", "-p", name, "unitd").strip()

    def main_pid(self) -> str:
        return self.run("unitctl", "show", "--value", "-p", "MainPID", "steady").strip()


@pytest.fixture(scope="module")
def joe() -> Iterator[Joe]:
    m = Machine()
    try:
        user = Joe(m)
        m.run("useradd", "-m", "-u", "1000", "joe")
        libraries = f"PYTHONPATH={ROOT}:{sysconfig.get_paths()['purelib']}"
        for python in (m.python, "/usr/bin/python3"):
            again = f"import os, sys, unitd.manager.app; assert sys.version_info[:2] == {sys.version_info[:2]}; os.execv(sys.executable, [sys.executable, '-c', 'print(1)'])"
            if user.run("env", libraries, python, "-c", again, check=False).strip() == "1":
                user.python = python
                break
        m.run("mkdir", "-p", BIN)
        for name, module in (("unitd", "unitd.manager.launch"), ("unitctl", "unitd.cli.main")):
            m.write(f"{BIN}/{name}", f'#!/bin/sh\n{libraries} exec {user.python} -m {module} "$@"\n')
            m.run("chmod", "755", f"{BIN}/{name}")
        text = (ROOT / "contrib/systemd/user/unitd.service").read_text().replace("%h/.local/bin", BIN)
        m.write(f"{HOME}/.config/systemd/user/unitd.service", text)
        m.write(f"{HOME}/.config/unitd/units/steady.service", "[Service]\nExecStart=/bin/sleep 1000\n")
        m.write(f"{HOME}/.config/unitd/units/default.target", "[Unit]\nWants=steady.service\n")
        m.run("chown", "-R", "joe:", HOME)
        # what pam_systemd would do
        m.write("/etc/systemd/system/user@.service.d/runtime.conf", "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n")
        m.run("systemctl", "daemon-reload")
        m.run("systemctl", "start", "user@1000.service")
        yield user
    finally:
        m.close()


def test_under_a_users_systemd(joe: Joe) -> None:
    if not joe.python:
        return  # this Python is for root alone, and Debian's is another version
    joe.run("systemctl", "--user", "start", "unitd")
    before = joe.main_pid()
    assert before not in ("", "0")
    joe.run("systemctl", "--user", "restart", "unitd")
    assert joe.main_pid() == before
    warden = joe.said("MainPID")
    joe.run("sh", "-c", f"kill -KILL {warden}")
    poll(lambda: joe.said("ActiveState") == "active" and joe.said("MainPID") not in ("0", warden), "not restarted", BOOT, 0.1)
    assert joe.main_pid() == before
    joe.run("systemctl", "--user", "stop", "unitd")
    assert joe.run("sh", "-c", f"test -e /proc/{before} || echo gone").strip() == "gone"

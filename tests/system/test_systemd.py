"""unitd under real systemd, as contrib/systemd installs it: restart, reload, stop, kills, watchdog, sockets handed over."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.harness import free_port, poll
from tests.nspawn import BOOT, Machine

#: The Debian root may have to be fetched first.
pytestmark = pytest.mark.timeout(900)
COUNT = "[Service]\nExecStart=/bin/sh -c 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done'\n"
#: Ends with 7 when it is told to, whoever its parent is.
GAP = "[Service]\nExecStart=/bin/sh -c 'trap \"exit 7\" USR1; while :; do sleep 0.02; done'\n"
SLOW = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'sleep 0.5; date +%%s%%N >/run/slow-started'\n"
TARGET = "[Unit]\nWants=count.service slow.service gap.service\n"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    m = Machine()
    try:
        m.install()
        units = {"count.service": COUNT, "slow.service": SLOW, "gap.service": GAP, "default.target": TARGET}
        for name, text in units.items():
            m.write(f"/etc/unitd/units/{name}", text)
        m.run("systemctl", "start", "unitd")
        yield m
    finally:
        m.close()


def shown(m: Machine, unit: str, name: str) -> str:
    return m.run("unitctl", "show", "--value", "-p", name, unit).strip()


def said(m: Machine, name: str) -> str:
    """What systemd knows of unitd."""
    return m.run("systemctl", "show", "--value", "-p", name, "unitd").strip()


def whole(m: Machine) -> int:
    """The output of count.service has no gap; how many lines."""
    lines = m.run("unitctl", "logs", "-n", "1000000", "count").split("\n")
    numbers = [int(line.rpartition("line ")[2]) for line in lines if "line " in line]
    assert numbers == list(range(1, len(numbers) + 1))
    return len(numbers)


def test_ready_comes_with_the_end_of_the_start(machine: Machine) -> None:
    assert said(machine, "ActiveState") == "active"
    assert machine.run("cat", "/run/slow-started")  # systemctl start returned behind it
    poll(lambda: "units active, 0 failed" in said(machine, "StatusText"), "no counts", BOOT, 0.1)
    assert f"/{shown(machine, 'count', 'Id')}" in machine.run("cat", f"/proc/{shown(machine, 'count', 'MainPID')}/cgroup")


def test_restart_leaves_services_alone(machine: Machine) -> None:
    before = shown(machine, "count", "MainPID")
    for _ in range(2):
        warden = said(machine, "MainPID")
        machine.run("systemctl", "restart", "unitd")
        assert said(machine, "MainPID") != warden
        assert shown(machine, "count", "MainPID") == before
    assert shown(machine, "count", "NRestarts") == "0"
    seen = whole(machine)
    poll(lambda: whole(machine) > seen, "no more lines", BOOT, 0.1)


def test_reload_reads_unit_files(machine: Machine) -> None:
    machine.write("/etc/unitd/units/count.service.d/more.conf", "[Unit]\nDescription=counts\n")
    machine.run("systemctl", "reload", "unitd")
    assert shown(machine, "count", "Description") == "counts"
    assert said(machine, "ActiveState") == "active"


def test_the_warden_is_killed(machine: Machine) -> None:
    before = shown(machine, "count", "MainPID")
    for _ in range(2):
        warden = said(machine, "MainPID")
        machine.run("sh", "-c", f"kill -KILL {warden}")
        poll(lambda: said(machine, "ActiveState") == "active" and said(machine, "MainPID") not in ("0", warden), "not restarted", BOOT, 0.1)  # noqa: B023
        assert shown(machine, "count", "MainPID") == before
    whole(machine)


def test_an_exit_while_nobody_is_there(machine: Machine) -> None:
    pid = shown(machine, "gap", "MainPID")
    machine.run("sh", "-c", "mkdir -p /run/systemd/system/unitd.service.d; printf '[Service]\\nRestartSec=2\\n' >/run/systemd/system/unitd.service.d/slow.conf")
    machine.run("systemctl", "daemon-reload")
    warden = said(machine, "MainPID")
    machine.run("sh", "-c", f"kill -KILL {warden}; kill -USR1 {pid}")
    poll(lambda: said(machine, "ActiveState") == "active" and said(machine, "MainPID") not in ("0", warden), "not restarted", BOOT, 0.1)
    machine.run("rm", "-r", "/run/systemd/system/unitd.service.d")
    machine.run("systemctl", "daemon-reload")
    poll(lambda: shown(machine, "gap", "ActiveState") == "failed", "its end is not seen", BOOT, 0.1)
    assert shown(machine, "gap", "ExecMainStatus") in ("7", "255")  # 255 where the kernel does not tell


def test_stop_stops_in_order_and_leaves_nothing(machine: Machine) -> None:
    pid = shown(machine, "count", "MainPID")
    machine.run("systemctl", "stop", "unitd")
    assert machine.run("sh", "-c", f"test -e /proc/{pid} || echo gone").strip() == "gone"
    assert said(machine, "ActiveState") == "inactive"
    assert "remains running after unit stopped" not in machine.run("journalctl", "-u", "unitd", "-n", "4", "-o", "cat")


def test_the_bus_is_opened_by_systemd(machine: Machine) -> None:
    machine.run("systemctl", "start", "unitd.socket")
    assert said(machine, "ActiveState") == "inactive"
    assert machine.run("unitctl", "ping").strip() == "pong"
    assert said(machine, "ActiveState") in ("active", "activating")
    machine.run("systemctl", "restart", "unitd")
    assert machine.run("unitctl", "ping").strip() == "pong"
    machine.run("systemctl", "stop", "unitd.socket", "unitd")


WEB = """
import os, socket
s = socket.socket(fileno=3)
while True:
    c, _ = s.accept()
    c.sendall(b"pid %d" % os.getpid())
    c.close()
"""


def asked(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        return sock.recv(100).decode()


def test_sockets_are_handed_over(machine: Machine) -> None:
    port = free_port()
    address = f"[Socket]\nListenStream=127.0.0.1:{port}\n"
    machine.write("/etc/systemd/system/web.socket", f"{address}Service=unitd.service\n")
    machine.write("/etc/systemd/system/nobodys.socket", "[Socket]\nListenStream=/run/nobodys\nService=unitd.service\n")
    machine.write("/etc/unitd/units/web.socket", address)
    machine.write("/opt/web.py", WEB)
    machine.write("/etc/unitd/units/web.service", f"[Service]\nExecStart={machine.python} /opt/web.py\n")
    machine.write("/etc/unitd/units/default.target", "[Unit]\nWants=web.socket\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "web.socket", "nobodys.socket")
    first = asked(port)  # starts unitd, and that the service
    assert first.startswith("pid ")
    assert shown(machine, "web.socket", "ActiveState") == "active"
    machine.run("systemctl", "restart", "unitd")
    assert asked(port) == first
    machine.run("unitctl", "restart", "web.service")
    assert asked(port) not in ("", first)
    poll(lambda: "called nobodys.socket, and no socket unit" in machine.run("journalctl", "-u", "unitd", "-o", "cat"), "it is not named", BOOT, 0.1)
    machine.run("systemctl", "stop", "web.socket", "nobodys.socket", "unitd")

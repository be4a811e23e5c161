"""Debian's PostgreSQL clusters, haproxy, rsyslog and logrotate from their own unmodified unit files: templates, PartOf=, notify, timers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.harness import Manager, absent, alive, need
from tests.harness.waiting import connected

UNITS = Path("/lib/systemd/system")


def copied(manager: Manager, *units: str) -> None:
    """Copy unit files of packages into unitd's directory and boot it."""
    if os.getuid() != 0:
        absent("needs root")
    manager.show_to_all()
    for name in units:
        if not (UNITS / name).exists():
            absent(f"needs the Debian package that has {name}")
        shutil.copy(UNITS / name, manager.units)
    manager.boot()


def asked(path: str, question: bytes, enough: bytes) -> bytes:
    """What a server on a Unix socket answers; it may still be opening it."""
    with connected(path) as connection:
        connection.sendall(question)
        got = b""
        while enough not in got and (more := connection.recv(65536)):
            got += more
        return got


def test_postgresql_clusters(manager: Manager) -> None:
    need("pg_lsclusters", "psql")
    clusters = [line.split() for line in subprocess.run(["pg_lsclusters", "-h"], capture_output=True, text=True, check=True).stdout.splitlines()]
    down = [row for row in clusters if row[3].startswith("down")]
    if not down:
        absent("needs a PostgreSQL cluster that is down (pg_createcluster)")
    version, cluster, port = down[0][:3]
    copied(manager, "postgresql.service", "postgresql@.service")
    instance = f"postgresql@{version}-{cluster}.service"
    (manager.units / "postgresql.service.wants").mkdir()
    (manager.units / "postgresql.service.wants" / instance).symlink_to("../postgresql@.service")  # as Debian's generator does
    manager.ok("daemon-reload")

    def query() -> str:
        line = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "psql", "-h", "/var/run/postgresql", "-p", port, "-Atc", "select 6 * 7"]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, cwd="/", check=True).stdout

    manager.ok("start", "postgresql")
    manager.wait_for(instance, ActiveState="active", SubState="running")
    main = manager.pid(instance)
    assert Path(f"/run/postgresql/{version}-{cluster}.pid").read_text(encoding="ascii").split()[0] == str(main)
    assert query() == "42\n"
    manager.ok("reload", "postgresql")  # goes on to the cluster by ReloadPropagatedFrom=
    assert manager.pid(instance) == main
    manager.ok("restart", "postgresql")  # and this by PartOf=
    manager.wait_for(instance, ActiveState="active", SubState="running")
    assert manager.pid(instance) != main
    assert not alive(main)
    assert query() == "42\n"
    last = manager.pid(instance)
    manager.ok("stop", "postgresql")
    manager.wait_for(instance, ActiveState="inactive", Result="success")
    assert not alive(last)


def test_a_cluster_that_does_not_exist_fails_its_assertion(manager: Manager) -> None:
    need("pg_lsclusters")
    copied(manager, "postgresql@.service")
    done = manager.ctl("start", "postgresql@1-none")
    assert done.returncode == 1
    assert manager.show("postgresql@1-none.service", "AssertResult") == "no"


def test_haproxy(manager: Manager) -> None:
    need("haproxy")
    copied(manager, "haproxy.service")
    Path("/run/haproxy").mkdir(exist_ok=True)  # Debian's package has it made at boot by tmpfiles.d
    manager.ok("start", "haproxy")
    main = manager.pid("haproxy")
    assert b"Name: HAProxy" in asked("/run/haproxy/admin.sock", b"show info\n", b"Pid:")
    manager.ok("reload", "haproxy")
    assert manager.pid("haproxy") == main
    manager.wait_for("haproxy.service", ActiveState="active")
    os.kill(main, signal.SIGKILL)
    manager.wait_for("haproxy.service", NRestarts="1", ActiveState="active")
    assert manager.pid("haproxy") != main
    assert b"Name: HAProxy" in asked("/run/haproxy/admin.sock", b"show info\n", b"Pid:")
    last = manager.pid("haproxy")
    manager.ok("stop", "haproxy")
    assert not alive(last)
    assert manager.show("haproxy.service", "Result") == "success"


def test_rsyslog_with_its_socket(manager: Manager) -> None:
    """rsyslog takes its socket over from syslog.socket, which Requires= brings up first."""
    need("rsyslogd")
    copied(manager, "rsyslog.service", "syslog.socket")
    manager.ok("enable", "rsyslog")  # which makes its alias syslog.service
    manager.ok("start", "rsyslog")
    assert manager.show("syslog.socket", "ActiveState") == "active"
    main = manager.pid("rsyslog")
    listened = [line for line in Path("/proc/net/unix").read_text(encoding="utf-8").splitlines() if line.endswith("/run/systemd/journal/syslog")]
    assert len(listened) == 1
    inode = listened[0].split()[6]
    assert f"socket:[{inode}]" in [os.readlink(fd) for fd in Path(f"/proc/{main}/fd").iterdir()]
    os.kill(main, signal.SIGKILL)
    manager.wait_for("rsyslog.service", NRestarts="1", ActiveState="active")
    last = manager.pid("rsyslog")
    manager.ok("stop", "rsyslog.service", "syslog.socket")
    Path("/run/systemd/journal/syslog").unlink(missing_ok=True)
    assert not alive(last)
    assert manager.show("rsyslog.service", "Result") == "success"


def test_the_timer_of_logrotate(manager: Manager) -> None:
    """Persistent=true: a stamp of long ago makes the timer start its service at once."""
    need("logrotate")
    copied(manager, "logrotate.service", "logrotate.timer")
    manager.ok("start", "logrotate.timer")
    assert "logrotate.service" in manager.ok("list-timers", "--all")
    manager.ok("stop", "logrotate.timer")
    stamps = list(manager.base.rglob("stamp-logrotate.timer"))
    assert len(stamps) == 1
    os.utime(stamps[0], (1, 1))
    manager.ok("start", "logrotate.timer")
    manager.wait_for("logrotate.service", ActiveState="inactive", ExecMainCode="1", ExecMainStatus="0")
    manager.ok("stop", "logrotate.timer")


def test_logrotate_runs_once(manager: Manager) -> None:
    need("logrotate")
    copied(manager, "logrotate.service")
    manager.ok("start", "logrotate.service")
    assert manager.show("logrotate.service", "ExecMainStatus") == "0"
    assert "ProtectSystem" in manager.ctl("status", "logrotate.service").stdout  # what is not applied is told

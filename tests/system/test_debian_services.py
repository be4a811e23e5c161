"""Debian's own services from their own unmodified unit files."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path

import pytest

from tests.harness import Manager, absent, alive
from tests.harness.waiting import connected

#: unit -> (port or 0, what to send, what comes back, may be reloaded, comes back after SIGKILL)
SERVICES = {
    "nginx": (80, b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.1", True, False),
    "redis-server": (6379, b"PING\r\n", b"+PONG", False, True),
    "memcached": (11211, b"version\r\n", b"VERSION", False, True),
    "mosquitto": (1883, b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04test", b"\x20\x02", True, True),
    "apache2": (80, b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.1", True, True),
    "cron": (0, b"", b"", False, True),
}


def answer(port: int, question: bytes) -> bytes:
    """Ask a server on loopback; it may still be opening its port."""
    with connected(("127.0.0.1", port)) as connection:
        connection.sendall(question)
        return connection.recv(100)


@pytest.mark.parametrize("name", SERVICES)
def test_a_debian_service_lives_under_unitd(name: str, manager: Manager) -> None:
    port, question, expected, reloads, returns = SERVICES[name]
    unit = Path(f"/lib/systemd/system/{name}.service")
    if not unit.exists():
        absent(f"needs the Debian package {name}")
    if os.getuid() != 0:
        absent("needs root")
    manager.show_to_all()
    shutil.copy(unit, manager.units)
    manager.boot()
    manager.ok("start", name)
    assert manager.ok("is-active", name) == "active\n"
    if port:
        assert answer(port, question).startswith(expected)
    main = manager.pid(name)
    assert alive(main)
    if reloads:
        manager.ok("reload", name)
        assert manager.pid(name) == main
        if port:
            assert answer(port, question).startswith(expected)
    os.kill(main, signal.SIGKILL)
    if returns:
        manager.wait_for(f"{name}.service", NRestarts="1", ActiveState="active")
    else:
        manager.wait_for(f"{name}.service", ActiveState="failed")
        manager.ok("start", name)
    assert manager.pid(name) != main
    if port:
        assert answer(port, question).startswith(expected)
    last = manager.pid(name)
    manager.ok("stop", name)
    assert not alive(last)
    assert manager.show(f"{name}.service", "ActiveState") == "inactive"
    if port:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0

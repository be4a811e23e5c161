"""Pre-fork pools: real servers share one socket, are scaled and restarted one by one, and nobody is refused."""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

import pytest

from tests.harness import Manager, free_port
from tests.system.test_sockets import PYTHON, server

APP = """
import os
def app(environ, start_response):
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
ASGI = """
import os
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""
WAITRESS = "import socket, waitress, app; waitress.serve(app.app, sockets=[socket.socket(fileno=3)], threads=2)\n"
COMMANDS = {
    "gunicorn": ("notify", f"{sys.executable} -m gunicorn --workers 1 --log-level warning app:app"),
    "uvicorn": ("exec", f"{sys.executable} -m uvicorn --log-level warning --fd $LISTEN_FD_web asgi:app"),
    "waitress": ("exec", f"{sys.executable} waitress_main.py"),
}


def get(port: int) -> str:
    """One request on a connection of its own; the pid that answered. Raises OSError, IndexError for an answer cut short."""
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = client.makefile("rb").read().decode()
    head, _, body = text.partition("\r\n\r\n")
    if " 200 " not in head.partition("\r\n")[0]:
        raise OSError(f"answered {head[:60]!r}")
    return "".join(c for c in body if c.isdigit()) if "chunked" not in head else body.split("\r\n")[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_servers_share_a_socket(manager: Manager, name: str) -> None:
    kind, command = COMMANDS[name]
    for file, text in (("app.py", APP), ("asgi.py", ASGI), ("waitress_main.py", WAITRESS)):
        (manager.base / file).write_text(text)
    port = free_port()
    manager.write(
        "web@.service",
        f"[Service]\nType={kind}\nWorkingDirectory={manager.base}\nExecStart={command}\n[Socket]\nListenStream=127.0.0.1:{port}\n[X-Unitd]\nInstances=2\n",
    )
    manager.boot()
    manager.ok("start", "web.socket")
    assert get(port)  # the first request starts both
    for i in (1, 2):
        manager.wait_for(f"web@{i}.service", ActiveState="active")
    before = {manager.pid(f"web@{i}.service") for i in (1, 2)}
    manager.ok("restart", "--rolling", "web@*")
    after = {manager.pid(f"web@{i}.service") for i in (1, 2)}
    assert not before & after
    assert get(port)
    assert manager.ok("is-active", "web.socket") == "active\n"


def pool(manager: Manager, instances: int = 3) -> int:
    port = free_port()
    text = f"[Service]\nExecStart={PYTHON} {server(manager)}\n[Socket]\nListenStream=127.0.0.1:{port}\n[X-Unitd]\nInstances={instances}\n"
    manager.write("web@.service", text)
    return port


def test_a_pool_starts_scales_and_stops_as_one(manager: Manager) -> None:
    pool(manager)
    manager.boot()
    manager.ok("start", "web@")
    assert [manager.show(f"web@{i}.service", "ActiveState") for i in (1, 2, 3, 4)] == ["active", "active", "active", "inactive"]
    assert manager.show("web-pool.target", "ActiveState") == "active"
    manager.ok("scale", "web@", "4")
    assert manager.show("web@4.service", "ActiveState") == "active"
    manager.ok("scale", "web@", "1")
    assert [manager.show(f"web@{i}.service", "ActiveState") for i in (1, 2, 3, 4)] == ["active", "inactive", "inactive", "inactive"]
    manager.ok("daemon-reload")
    manager.ok("stop", "web@")
    assert manager.show("web@1.service", "ActiveState") == "inactive"
    manager.ok("start", "web@")
    assert manager.show("web@2.service", "ActiveState") == "inactive"
    manager.ok("scale", "web@", "0")
    assert manager.show("web@1.service", "ActiveState") == "inactive"
    assert manager.ctl("scale", "web@", "many").returncode == 1


def test_nobody_is_refused_during_rolling_restarts(manager: Manager) -> None:
    port = pool(manager)
    manager.boot()
    manager.ok("start", "web@")
    failed: list[str] = []
    asked = [0]
    over = threading.Event()

    def client() -> None:
        while not over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", port), 30) as connection:
                    connection.sendall(b"hello")
                    if not connection.makefile().read():
                        failed.append("cut off")
            except OSError as error:
                failed.append(str(error))
            asked[0] += 1
            over.wait(0.005)

    # This server dies in the middle of a request, so answers may be cut off; bench/rolling.py counts with one that ends cleanly.
    threads = [threading.Thread(target=client) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            manager.ok("restart", "--rolling", "web@")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert asked[0] and not [f for f in failed if "refused" in f], failed
    assert manager.ok("is-active", "web.socket") == "active\n"


def test_a_rolling_restart_ends_with_the_first_that_does_not_come_up(manager: Manager) -> None:
    flag: Path = manager.base / "bad"
    manager.write("w@.service", f"[Service]\nType=exec\nExecStartPre=/bin/sh -c '! test -e {flag}'\nExecStart=/bin/sleep 1000\n[X-Unitd]\nInstances=3\n")
    manager.boot()
    manager.ok("start", "w@")
    before = [manager.pid(f"w@{i}.service") for i in (1, 2, 3)]
    flag.write_text("")
    done = manager.ctl("restart", "--rolling", "w@*")
    assert done.returncode == 1 and "The rolling restart ended with w@1.service; 0 units were restarted, 2 were left as they are." in done.stderr
    assert [manager.pid(f"w@{i}.service") for i in (2, 3)] == before[1:]

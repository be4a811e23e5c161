"""Sockets through the real unitd: activation, passing, the descriptor store, and what can be wrong."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from tests.harness import Manager, free_port

#: Answers every connection with its pid and what it was passed; with an argument it takes its descriptor from there.
SERVER = """
import os, socket, sys
fd = int(sys.argv[1]) if len(sys.argv) > 1 else 3
told = os.environ.get("LISTEN_FDNAMES", "") if os.environ.get("LISTEN_PID") == str(os.getpid()) else "nobody"
listener = socket.socket(fileno=fd)
while True:
    connection = listener.accept()[0]
    if connection.recv(100) == b"bye":
        os._exit(0)
    connection.sendall(f"{os.getpid()} {told}".encode())
    connection.close()
"""
PYTHON = f"{sys.executable} -S -I"


def ask(address: tuple[str, int] | str, text: bytes = b"hello") -> str:
    """What the service behind a socket answers."""
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as client:
        client.settimeout(30)
        client.connect(address)
        client.sendall(text)
        return client.makefile().read()


def server(manager: Manager) -> Path:
    path = manager.base / "server.py"
    path.write_text(SERVER)
    path.chmod(0o644)
    return path


def test_traffic_starts_the_service_and_nobody_is_refused_over_restarts_and_the_managers_death(manager: Manager) -> None:
    path = str(manager.base / "web.sock")
    manager.write("web.socket", f"[Socket]\nListenStream={path}\nFileDescriptorName=http\n")
    manager.write("web.service", f"[Service]\nExecStart={PYTHON} {server(manager)}\n")
    manager.boot()
    manager.ok("start", "web.socket")
    assert manager.show("web.service", "ActiveState") == "inactive"
    pid, _, told = ask(path).partition(" ")
    assert told == "http" and int(pid) == manager.pid("web.service")
    manager.wait_for("web.socket", SubState="running")
    manager.ok("restart", "web.service")
    assert ask(path).partition(" ")[0] != pid
    old = manager.manager_pid()
    pid = ask(path).partition(" ")[0]
    os.kill(old, signal.SIGKILL)
    assert ask(path).partition(" ")[0] == pid
    manager.wait_for("web.socket", SubState="running")
    manager.ok("stop", "web.service")
    manager.wait_for("web.socket", SubState="listening")
    os.kill(manager.manager_pid(), signal.SIGKILL)  # the socket outlives it, and is watched again
    assert ask(path).partition(" ")[0] != pid
    assert "● web.socket" in manager.ctl("status", "web.service").stdout
    manager.ok("stop", "web.socket")
    assert manager.show("web.service", "ActiveState") == "active"


def test_one_service_for_each_connection(manager: Manager) -> None:
    port = free_port()
    manager.write("echo.socket", f"[Socket]\nListenStream=127.0.0.1:{port}\nAccept=yes\nMaxConnections=1\n")
    manager.write("echo@.service", "[Service]\nStandardInput=socket\nExecStart=/bin/sh -c 'read line; echo $REMOTE_ADDR $line'\n")
    manager.boot()
    manager.ok("start", "echo.socket")
    with socket.create_connection(("127.0.0.1", port), 30) as first:
        first.sendall(b"one\n")
        assert first.makefile().read() == "127.0.0.1 one\n"
    manager.wait_for("echo.socket", NConnections="0", NAccepted="1")
    with socket.create_connection(("127.0.0.1", port), 30) as held:
        manager.wait_for("echo.socket", NConnections="1")
        with socket.create_connection(("127.0.0.1", port), 30) as refused:
            assert refused.recv(1) == b""
        held.sendall(b"two\n")
        assert held.makefile().read() == "127.0.0.1 two\n"
    manager.wait_for("echo.socket", NConnections="0", NRefused="1")
    assert "echo@" not in manager.ok("list-units", "--all", "--no-legend", "echo@*")


def test_a_section_in_the_service_file_and_a_program_that_knows_no_listen_fds(manager: Manager) -> None:
    path = str(manager.base / "one.sock")
    manager.write("one.service", f"[Service]\nExecStart={PYTHON} {server(manager)} $LISTEN_FD_one\n[Socket]\nListenStream={path}\nSocketMode=0600\n")
    manager.boot()
    manager.ok("start", "one")
    assert ask(path).endswith("one.socket")
    assert os.stat(path).st_mode & 0o777 == 0o600
    rows = manager.ok("list-sockets", "--show-types").splitlines()
    assert rows[0].split() == ["LISTEN", "TYPE", "UNIT", "ACTIVATES"] and rows[1].split() == [path, "Stream", "one.socket", "one.service"]
    assert f"Listen: {path} (Stream)" in manager.ok("status", "one.socket")


def test_what_a_service_stores_comes_back_even_when_the_manager_died(manager: Manager) -> None:
    program = manager.base / "store.py"
    program.write_text(
        "import array, os, socket, time\n"
        "n = int(os.environ.get('LISTEN_FDS', 0))\n"
        "got = [os.pread(fd, 100, 0).decode() for fd in range(3, 3 + n)]\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ['NOTIFY_SOCKET'])\n"
        "if not n:\n"
        "    for name in ('a', 'b'):\n"
        "        fd = os.memfd_create(name); os.write(fd, name.encode())\n"
        "        s.sendmsg([b'FDSTORE=1\\nFDNAME=' + name.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))])\n"
        "s.send(f\"STATUS={os.environ.get('LISTEN_FDNAMES')} {got}\\nREADY=1\".encode())\n"
        "time.sleep(1000)\n"
    )
    manager.write("keep.service", f"[Service]\nType=notify\nFileDescriptorStoreMax=2\nExecStart={PYTHON} {program}\n")
    manager.boot()
    manager.ok("start", "keep")
    assert manager.show("keep.service", "NFileDescriptorStore") == "2"
    os.kill(manager.manager_pid(), signal.SIGKILL)
    manager.ok("restart", "keep")
    assert manager.show("keep.service", "StatusText") == "b:a ['b', 'a']"
    manager.ok("stop", "keep")
    assert manager.show("keep.service", "NFileDescriptorStore") == "0"


def test_what_cannot_be_listened_on_fails_that_unit_alone_and_says_where(manager: Manager) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (manager.base / "file").write_text("")
        for name, line in (("port", f"ListenStream=127.0.0.1:{port}"), ("path", f"ListenStream={manager.base}/file/x"), ("none", f"ListenFIFO={manager.base}/fifo")):
            manager.write(f"{name}.socket", f"[Socket]\n{line}\n")
            if name != "none":
                manager.write(f"{name}.service", "[Service]\nExecStart=/bin/true\n")
        manager.boot()
        done = manager.ctl("start", "port.socket")
        assert done.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port}, because Address already in use, at " in done.stderr and "port.socket:2" in done.stderr
        assert (manager.show("port.socket", "Result"), manager.show("port.socket", "SubState")) == ("resources", "failed")
        done = manager.ctl("start", "path.socket")
        assert done.returncode == 1 and "Not a directory" in done.stderr
    done = manager.ctl("start", "none.socket")
    assert done.returncode == 1 and "there is no none.service" in done.stdout + done.stderr
    manager.write("twice.socket", f"[Socket]\nListenStream={manager.base}/t\nListenStream={manager.base}/t\n")
    manager.write("twice.service", "[Service]\nExecStart=/bin/true\n")
    manager.ok("daemon-reload")
    manager.ctl("start", "twice.socket")
    manager.ok("reset-failed", "port.socket")
    manager.ok("start", "port.socket")
    assert manager.ok("is-active", "port.socket") == "active\n"


def test_pending_connections_are_flushed_though_the_service_has_made_the_socket_a_blocking_one(manager: Manager) -> None:
    path = str(manager.base / "flush.sock")
    program = manager.base / "leave.py"
    program.write_text("import os\nos.set_blocking(3, True)\n")
    manager.write("flush.socket", f"[Socket]\nListenStream={path}\nFlushPending=yes\n")
    manager.write("flush.service", f"[Service]\nExecStart={PYTHON} {program}\n")
    manager.boot()
    manager.ok("start", "flush.socket")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(path)
        assert client.recv(1) == b""
    manager.wait_for("flush.socket", SubState="listening")
    assert manager.show("flush.service", "ExecMainStatus") == "0"


def test_one_connection_after_the_other_is_served_each_by_its_own_instance(manager: Manager) -> None:
    path = str(manager.base / "each.sock")
    program = manager.base / "each.py"
    program.write_text("import socket\nc = socket.socket(fileno=3)\nc.sendall(c.recv(100).upper())\nprint('served', flush=True)\n")
    manager.write("each.socket", f"[Socket]\nListenStream={path}\nAccept=yes\n")
    manager.write("each@.service", f"[Service]\nExecStart={PYTHON} {program}\n")
    manager.boot()
    manager.ok("start", "each.socket")
    for i in range(30):
        assert ask(path, f"hello {i}".encode()) == f"HELLO {i}"
    assert manager.show("each.socket", "NAccepted") == "30"


def test_a_connection_counts_no_longer_than_its_process(manager: Manager) -> None:
    path = str(manager.base / "stay.sock")
    program = manager.base / "stay.py"
    program.write_text("import socket\nc = socket.socket(fileno=3)\nc.sendall(c.recv(100).upper())\n")
    manager.write("stay.socket", f"[Socket]\nListenStream={path}\nAccept=yes\nMaxConnections=1\n")
    manager.write("stay@.service", f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={PYTHON} {program}\n")
    manager.boot()
    manager.ok("start", "stay.socket")
    for _ in range(2):  # the first instance stays, and yet there is room for the second
        assert ask(path, b"hello") == "HELLO"
        manager.wait_for("stay.socket", NConnections="0")
    assert manager.show("stay.socket", "NAccepted") == "2"

"""Towards systemd: what is said, what is kept there, what comes back."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from unitd.manager import procinfo, salvage
from unitd.manager.forwarder import Forwarder
from unitd.manager.states import Record
from unitd.manager.store import StateStore
from unitd.manager.systemd import store_limit, watchdog_interval


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(20)
        yield sock


def heard(sock: socket.socket) -> tuple[str, int]:
    """(message, number of descriptors)"""
    data, fds, _flags, _address = socket.recv_fds(sock, 4096, 253)
    for fd in fds:
        os.close(fd)
    return data.decode(), len(fds)


def test_forwarding(systemd: socket.socket, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.new_event_loop()
    forwarder = Forwarder(str(tmp_path / "notify"), loop, 4)
    reader, writer = os.pipe()
    forwarder.stored("log:a@1.service", [reader, writer])
    assert heard(systemd) == ("FDSTORE=1\nFDNAME=u.log%3Aa@1.service\nFDPOLL=0", 2)
    forwarder.stored("unitd:lock", [reader])
    forwarder.stored("given:web", [reader])
    forwarder.push(salvage.pidfd_name(17), [reader])
    assert heard(systemd) == ("FDSTORE=1\nFDNAME=u.pid.17\nFDPOLL=0", 1)
    forwarder.stored("log:b", [reader, writer])  # one more than is allowed
    forwarder.stored("log:c", [reader, writer])
    assert caplog.text.count("takes no more than 4") == 1
    forwarder.dropped("log:b")
    forwarder.dropped("log:a@1.service")
    assert heard(systemd) == ("FDSTOREREMOVE=1\nFDNAME=u.log%3Aa@1.service", 0)
    forwarder.forget("u.pid.9")
    assert heard(systemd) == ("FDSTOREREMOVE=1\nFDNAME=u.pid.9", 0)
    forwarder.close()
    os.close(reader)
    os.close(writer)
    loop.close()


def test_what_systemd_does_not_take_at_once_waits(systemd: socket.socket, tmp_path: Path) -> None:
    loop = asyncio.new_event_loop()
    forwarder = Forwarder(str(tmp_path / "notify"), loop, 100_000)
    null = os.open("/dev/null", os.O_RDONLY)
    for i in range(600):
        forwarder.stored(f"n{i}", [null])

    async def read_all() -> list[str]:
        systemd.setblocking(False)
        come = asyncio.Event()
        loop.add_reader(systemd, come.set)
        names: list[str] = []
        while len(names) < 600:
            try:
                names.append(heard(systemd)[0].split("\n")[1])
            except BlockingIOError:
                come.clear()
                await come.wait()
        loop.remove_reader(systemd)
        return names

    names = loop.run_until_complete(asyncio.wait_for(read_all(), 30))
    assert names == [f"FDNAME=u.n{i}" for i in range(600)]
    forwarder.close()
    os.close(null)
    loop.close()


def test_descriptors_that_systemd_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert salvage.handed_over({"LISTEN_FDS": "3", "LISTEN_PID": "1"}) == {}
    environ = {"LISTEN_FDS": "nonsense", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "a", "OTHER": "x"}
    assert salvage.handed_over(environ) == {}
    assert environ == {"OTHER": "x"}


def test_watchdog_and_limit() -> None:
    assert watchdog_interval({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}, 7) == 1.5
    assert watchdog_interval({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"}, 7) == 0
    assert watchdog_interval({"WATCHDOG_USEC": "x"}, 7) == watchdog_interval({}, 7) == 0
    assert store_limit({"UNITD_NOFILE": "1024"}) == 512
    assert store_limit({"UNITD_NOFILE": "1024", "FDSTORE": "100"}) == 100
    assert store_limit({"UNITD_NOFILE": "-1"}) == 16384


def test_processes_are_found_again_and_no_others(tmp_path: Path) -> None:
    child = subprocess.Popen(["sh", "-c", "read x; echo out; exec sleep 1000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    dead = subprocess.Popen(["true"])
    dead.wait()
    try:
        store = StateStore(str(tmp_path / "state.db"), "life")
        store.note("owner", "77")
        a = Record("a.service", sub="running", main_pid=child.pid, main_token="a.service|1|ExecStart|0")
        b = Record("b.service", sub="running", main_pid=dead.pid, main_token="b.service|1|ExecStart|0")
        store.save([a, b], {})
        store.close(over=False)
        found = salvage.look(str(tmp_path), {})
        assert [(pid, token) for pid, token, _ in found.bag.kids] == [(child.pid, a.main_token)]
        assert (found.life, found.owner) == ("life", "77")
        reader, writer = found.bag.store["log:a.service"]
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
        os.set_blocking(reader, True)
        assert os.read(reader, 10) == b"out\n"
        for fd in found.bag.fds():
            os.close(fd)
        store = StateStore(str(tmp_path / "state.db"), "life")
        store.db.execute("UPDATE process SET start = start + 1")  # another process has the pid now
        store.close(over=False)
        assert salvage.look(str(tmp_path), {}).bag.kids == []
        store = StateStore(str(tmp_path / "state.db"), "life")
        store.db.execute("UPDATE process SET start = ?", (procinfo.start_time(child.pid),))
        store.close()  # an orderly end
        assert salvage.look(str(tmp_path), {}).life == ""
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


def test_what_systemd_kept_is_sorted(tmp_path: Path) -> None:
    store = StateStore(str(tmp_path / "state.db"), "life")
    child = subprocess.Popen(["sleep", "1000"])
    store.save([Record("a.service", sub="running", main_pid=child.pid, main_token="t")], {})
    store.close(over=False)
    pidfd = os.pidfd_open(child.pid)
    other = os.pidfd_open(os.getpid())
    child.kill()
    child.wait()
    with socket.socket(socket.AF_UNIX) as bus, socket.socket() as web:
        bus.bind(str(tmp_path / "bus"))
        given = {salvage.pidfd_name(child.pid): [pidfd], salvage.pidfd_name(os.getpid()): [other], "unitd-bus": [bus.fileno()], "web": [web.fileno()], "u.log%3Ax": [9999]}
        found = salvage.look(str(tmp_path), given)
        assert found.bag.kids == [(child.pid, "t", pidfd)]  # dead, but how it ended can be told
        assert found.bag.store == {"unitd:bus": [bus.fileno()], "given:web": [web.fileno()], "log:x": [9999]}
        assert found.doors
        assert found.forget == [f"u.pid.{os.getpid()}"]
    os.close(pidfd)


def test_a_state_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"nonsense" * 1000)
    found = salvage.look(str(tmp_path), {})
    assert found.life == ""
    assert "cannot read" in found.messages[0]



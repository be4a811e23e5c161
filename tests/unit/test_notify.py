"""The sd_notify socket."""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from unitd.manager.notify import NotifySocket, parse

Got = tuple[int, int, int, dict[str, str], list[int]]


@pytest.mark.parametrize(
    ("datagram", "fields"),
    [
        (b"READY=1", {"READY": "1"}),
        (b"READY=1\nSTATUS=up = and running\n", {"READY": "1", "STATUS": "up = and running"}),
        (b"STATUS=", {"STATUS": ""}),
        (b"A=1\nA=2", {"A": "1"}),
        (b"READY=1\nRELOADING=1", {"RELOADING": "1"}),
        (b"STOPPING=1\nSTATUS=x\nREADY=1", {"STATUS": "x", "READY": "1"}),
        (b"READY=0\nREADY=1\nREADY=yes", {"READY": "1"}),
        (b"no assignment\n=x\nREADY=1", {"READY": "1"}),
        (b"STATUS=\xff\nREADY=1", {"READY": "1"}),
        ("STATUS=größer".encode(), {"STATUS": "größer"}),
        (b"\n", {}),
        (b"", None),
        (b"READY=1\0", None),
    ],
)
def test_parse(datagram: bytes, fields: dict[str, str] | None) -> None:
    assert parse(datagram) == fields


class Rig:
    def __init__(self, path: Path) -> None:
        self.path = str(path / "notify")
        self.loop = asyncio.new_event_loop()
        self.got: list[Got] = []
        self.socket = NotifySocket(self.path, self.loop, lambda *a: self.got.append(a))
        self.client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.client.connect(self.path)

    def send(self, data: bytes, fds: list[int] | None = None) -> None:
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.client.sendmsg([data], control)

    def turn(self) -> None:
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.client.close()
    made.socket.close()
    made.loop.close()


def test_a_message_comes_with_its_sender(rig: Rig) -> None:
    rig.send(b"READY=1\nMAINPID=7")
    rig.turn()
    assert rig.got == [(os.getpid(), os.getuid(), os.getgid(), {"READY": "1", "MAINPID": "7"}, [])]
    assert os.stat(rig.path).st_mode & 0o777 == 0o777


def test_descriptors_come_close_on_exec_and_are_the_callbacks(rig: Rig) -> None:
    reader, writer = os.pipe()
    rig.send(b"FDSTORE=1", [writer] * 253)
    os.close(writer)
    rig.turn()
    fds = rig.got[0][4]
    assert len(fds) == 253 and not any(os.get_inheritable(fd) for fd in fds)
    os.set_blocking(reader, False)
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    for fd in fds:
        os.close(fd)
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_descriptors_of_a_dropped_message_are_closed(rig: Rig) -> None:
    reader, writer = os.pipe()
    rig.send(b"READY=1\0", [writer])
    rig.send(b"", [writer])
    os.close(writer)
    rig.turn()
    assert rig.got == [] and os.read(reader, 1) == b""
    os.close(reader)


def test_all_that_waits_is_taken_in_turns(rig: Rig) -> None:
    limit = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
    rig.client.setblocking(False)
    sent = 0
    for _ in range(300):
        try:
            rig.send(b"WATCHDOG=1")
        except BlockingIOError:
            break
        sent += 1
    while len(rig.got) < sent:
        rig.turn()
    assert sent >= min(limit, 300)


def test_a_large_message_is_fine_and_a_larger_one_is_dropped_whole(rig: Rig) -> None:
    rig.send(b"STATUS=" + b"x" * 60000)
    rig.send(b"STATUS=" + b"x" * 70000)
    rig.send(b"READY=1")
    rig.turn()
    assert [len(g[3].get("STATUS", "")) for g in rig.got] == [60000, 0]


def test_a_stale_socket_is_replaced_and_a_handed_over_one_loses_nothing(rig: Rig) -> None:
    rig.send(b"A=1")
    other: list[Got] = []
    kept = NotifySocket(rig.path, rig.loop, lambda *a: other.append(a), fd=os.dup(rig.socket.fileno()))
    rig.loop.remove_reader(rig.socket.fileno())
    rig.turn()
    assert other[0][3] == {"A": "1"} and rig.got == []
    replaced = NotifySocket(rig.path, rig.loop, lambda *a: other.append(a))
    replaced.close()
    kept.close()

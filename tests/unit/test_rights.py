"""Descriptors that travel with a message."""

from __future__ import annotations

import os
import socket

import pytest

from unitd.manager import rights


def test_descriptors_arrive_with_their_message_and_close_on_exec() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    reader, writer = os.pipe()
    with ours, theirs:
        ours.sendmsg([b"both"], rights.attached([reader, writer]))
        ours.sendmsg([b"none"], rights.attached([]))
        data, fds = rights.receive(theirs, 100)
        assert (data, len(fds)) == (b"both", 2)
        assert not any(os.get_inheritable(fd) for fd in fds)
        os.write(fds[1], b"x")
        assert os.read(reader, 10) == b"x"
        assert rights.receive(theirs, 100) == (b"none", [])
        with pytest.raises(BlockingIOError):
            rights.receive(theirs, 100)
        rights.close_all([*fds, reader, writer])
        with pytest.raises(OSError):
            os.fstat(fds[0])


def test_other_kinds_and_half_descriptors_are_no_descriptors() -> None:
    assert rights.received([(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, b"\0" * 12), (socket.SOL_SOCKET, socket.SCM_RIGHTS, b"\x05\0\0\0\x06\0")]) == [5]

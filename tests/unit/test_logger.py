"""The logger process, its pipes and its socket: real pipes, a real process, and no waiting but for its answers."""

from __future__ import annotations

import asyncio
import marshal
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import ROOT, absent, poll
from unitd.bus import logread, logstore
from unitd.manager import logger, logpipe
from unitd.manager.backstage import Backstage
from unitd.manager.logfile import UnitLog
from unitd.manager.loglink import LogLink
from unitd.manager.rolling import Limits

RECORD = struct.Struct("<QQQ")


class Rig:
    """A LogLink with real logger processes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.loop = asyncio.new_event_loop()
        self.events: list[dict[str, Any]] = []
        self.link = LogLink(self.loop, self.events.append)
        self.process: subprocess.Popen[bytes] | None = None
        self.writers: dict[str, int] = {}

    def start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", logger.__file__, "--package-dir", str(ROOT)], pass_fds=[theirs.fileno()], env={"UNITD_LOGGER_FD": str(theirs.fileno())}
        )
        theirs.close()
        self.link.attach(ours)
        self.turn()

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def kill_often(self) -> None:
        """Kill one logger after the other, each when it has written something."""
        for _ in range(15):
            self.until(lambda: any("wrote" in e for e in self.events))
            self.events.clear()
            self.kill()
            self.start()

    def open(self, unit: str, **limits: Any) -> int:
        read_fd, write_fd = logpipe.make_pipe()
        self.link.open(unit, str(self.directory / unit), read_fd, limits=Limits(**limits))
        os.close(read_fd)
        self.writers[unit] = write_fd
        self.turn()
        return write_fd

    def turn(self) -> None:
        """One turn of the loop: what was said so far is sent."""
        self.loop.run_until_complete(asyncio.sleep(0))

    def flush(self) -> None:
        self.loop.run_until_complete(asyncio.wait_for(self.link.flush(), 20))

    def until(self, seen: Callable[[], bool]) -> None:
        """Run the loop until an event makes `seen` true."""
        done = self.loop.create_future()

        def look(event: dict[str, Any]) -> None:
            self.events.append(event)
            if seen() and not done.done():
                done.set_result(None)

        self.link.on_event = look
        if not seen():
            self.loop.run_until_complete(asyncio.wait_for(done, 20))
        self.link.on_event = self.events.append

    def current(self, unit: str) -> bytes:
        return (self.directory / unit / "current").read_bytes()

    def close(self) -> None:
        self.link.close_all()
        for fd in self.writers.values():
            os.close(fd)
        if self.process is not None:
            self.process.wait(20)
        self.loop.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    made.start()
    yield made
    made.close()


def everything(directory: Path) -> list[bytes]:
    return [line.text for line in logread.read(str(directory))]


def test_a_pipe_is_never_broken_and_only_its_reader_does_not_block() -> None:
    read_fd, write_fd = logpipe.make_pipe(1 << 16)
    assert not os.get_blocking(read_fd) and os.get_blocking(write_fd)
    assert not os.get_inheritable(read_fd) and not os.get_inheritable(write_fd)
    os.close(read_fd)
    assert os.write(write_fd, b"nobody reads\n") == 13
    os.close(write_fd)


def test_a_pipe_size_that_is_refused_is_let_go() -> None:
    for fd in logpipe.make_pipe(1 << 30):
        os.close(fd)


def test_output_is_written_with_time_and_order_and_reported(rig: Rig) -> None:
    fd = rig.open("a.service")
    os.write(fd, b"one\ntwo\n")
    rig.flush()
    os.write(fd, b"\xff\xfe\x00three\n")
    rig.flush()
    assert rig.current("a.service") == b"one\ntwo\n\xff\xfe\x00three\n"
    assert rig.events[-1] == {"wrote": {"a.service": 17}}
    idx = (rig.directory / "a.service/current.idx").read_bytes()
    records = list(RECORD.iter_unpack(idx))
    assert [(r[1], r[2]) for r in records if r[1] < 17][:1] == [(0, 0)] and records[0][0] <= records[1][0]
    lines = logread.tail(str(rig.directory / "a.service"), 10)
    assert [line.text for line in lines] == [b"one", b"two", b"\xff\xfe\x00three"]


def test_a_note_stands_behind_the_output_so_far(rig: Rig) -> None:
    fd = rig.open("a.service")
    os.write(fd, b"last words\n")
    rig.link.note("a.service", "Main process\nexited")
    rig.flush()
    lines = logread.tail(str(rig.directory / "a.service"), 10)
    assert [(line.stream, line.text) for line in lines] == [(0, b"last words"), (2, b"Main process exited")]


def test_output_wakes_the_logger_without_being_asked(rig: Rig) -> None:
    fd = rig.open("a.service")
    os.write(fd, b"hello\n")
    rig.until(lambda: any(e.get("wrote", {}).get("a.service") == 6 for e in rig.events))


def test_rotation_keeps_every_line_and_at_most_so_many_files(rig: Rig) -> None:
    fd = rig.open("a.service", max_size=8192, max_files=4)
    written = [f"line {number:06} {'x' * 80}".encode() for number in range(1000)]
    follower = logread.Follower(str(rig.directory / "a.service"))
    followed = []
    for at in range(0, 1000, 20):
        os.write(fd, b"\n".join(written[at : at + 20]) + b"\n")
        rig.flush()
        followed += follower.read_new()
    assert [line.text for line in followed] == written
    poll(lambda: len(list((rig.directory / "a.service").glob("@*.log"))) == 3 and len(list((rig.directory / "a.service").glob("*.idx"))) == 4, "its background work does not end")
    kept = everything(rig.directory / "a.service")
    assert kept == written[-len(kept) :] and len(kept) > 200
    assert [line.text for line in logread.tail(str(rig.directory / "a.service"), 200)] == written[-200:]
    follower.close()


def test_one_file_is_allowed(rig: Rig) -> None:
    fd = rig.open("a.service", max_size=4096, max_files=1)
    for _ in range(5):
        os.write(fd, b"y" * 4000 + b"\n")
        rig.flush()
    poll(lambda: sorted(os.listdir(rig.directory / "a.service")) == ["current", "current.idx"], "its background work does not end")


@pytest.mark.parametrize("how", ["unlink", "rename", "truncate", "rmtree", "index"])
def test_files_that_somebody_else_takes_away_come_back(rig: Rig, how: str) -> None:
    fd = rig.open("a.service")
    directory = rig.directory / "a.service"
    os.write(fd, b"before\n")
    rig.flush()
    if how == "unlink":
        (directory / "current").unlink()
    elif how == "rename":
        (directory / "current").rename(directory / "old")
    elif how == "truncate":
        os.truncate(directory / "current", 0)
    elif how == "index":
        (directory / "current.idx").unlink()
    else:
        shutil.rmtree(directory)
    os.write(fd, b"after\n")
    rig.flush()
    expected = [b"before", b"after"] if how == "index" else [b"after"]
    assert [line.text for line in logread.tail(str(directory), 10)] == expected
    assert (directory / "current.idx").stat().st_size >= RECORD.size
    assert rig.process is not None and rig.process.poll() is None


def test_kill_9_loses_no_line(rig: Rig) -> None:
    """One pipe, numbered lines by a writer that never pauses, loggers killed one after another."""
    fd = rig.open("a.service", max_size=1 << 20, max_files=10000)
    stop = threading.Event()
    count = 0

    def write() -> None:
        nonlocal count
        while not stop.is_set():
            block = b"".join(b"line %09d\n" % n for n in range(count, count + 40))
            os.write(fd, block)
            count += 40

    thread = threading.Thread(target=write)
    thread.start()
    try:
        rig.kill_often()
    finally:
        stop.set()
        thread.join()
    rig.flush()
    lines = everything(rig.directory / "a.service")
    assert len(lines) == count
    assert all(line == b"line %09d" % number for number, line in enumerate(lines))


def test_kill_9_loses_no_line_of_two_streams(rig: Rig) -> None:
    """In the file lines may be torn; by the index none is."""
    pipes = [logpipe.make_pipe(), logpipe.make_pipe()]
    rig.link.open("a.service", str(rig.directory / "a.service"), pipes[0][0], err_fd=pipes[1][0], limits=Limits(1 << 20, 10000))
    stop = threading.Event()
    counts = [0, 0]

    def write(stream: int) -> None:
        while not stop.is_set():
            os.write(pipes[stream][1], b"".join(b"%d line %09d\n" % (stream, n) for n in range(counts[stream], counts[stream] + 25)))
            counts[stream] += 25

    threads = [threading.Thread(target=write, args=(s,)) for s in (0, 1)]
    for thread in threads:
        thread.start()
    try:
        rig.kill_often()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    rig.flush()
    lines = list(logread.read(str(rig.directory / "a.service")))
    for stream in (0, 1):
        assert [x.text for x in lines if x.stream == stream] == [b"%d line %09d" % (stream, n) for n in range(counts[stream])]
    last = logread.tail(str(rig.directory / "a.service"), 50)
    assert last == lines[-50:]
    for fd in (fd for pair in pipes for fd in pair):
        os.close(fd)


def test_the_manager_gone_ends_the_logger_and_the_bytes_wait(rig: Rig) -> None:
    fd = rig.open("a.service")
    rig.flush()
    rig.link.detach()
    assert rig.process is not None and rig.process.wait(20) == 0
    os.write(fd, b"meanwhile\n")
    rig.start()
    rig.flush()
    assert rig.current("a.service") == b"meanwhile\n"


def test_a_second_logger_waits_for_the_first_to_be_gone(rig: Rig, tmp_path: Path) -> None:
    fd = rig.open("a.service")
    rig.flush()
    second = Rig(rig.directory)
    second.start()
    second.open("a.service")
    os.write(second.writers["a.service"], b"second\n")
    answer = second.link.flush()
    os.write(fd, b"first\n")
    rig.flush()
    assert not answer.done()
    rig.kill()
    second.loop.run_until_complete(asyncio.wait_for(answer, 20))
    assert rig.current("a.service") == b"first\nsecond\n"
    second.close()


def test_signals_of_the_group_are_not_for_the_logger(rig: Rig) -> None:
    fd = rig.open("a.service")
    rig.flush()
    assert rig.process is not None
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        rig.process.send_signal(number)
    os.write(fd, b"still here\n")
    rig.flush()
    assert rig.current("a.service") == b"still here\n"


def test_close_writes_what_is_left_and_the_last_writer_closing_ends_a_unit(rig: Rig) -> None:
    fd = rig.open("a.service")
    os.write(fd, b"rest\n")
    rig.link.close("a.service")
    rig.until(lambda: {"closed": "a.service"} in rig.events)
    assert rig.current("a.service") == b"rest\n"
    fd = rig.open("b.service")
    os.write(fd, b"rest")
    rig.flush()
    os.close(rig.writers.pop("b.service"))
    rig.until(lambda: {"closed": "b.service"} in rig.events)
    assert rig.current("b.service") == b"rest"


def test_garbage_commands_do_no_harm(rig: Rig) -> None:
    assert rig.link.sock is not None
    for packet in (b"{", b"\xff" * 9, *(marshal.dumps(v) for v in ([], 3, [[]], ["x"], [("x", 0)], [({"op": "open"}, 9), ({"op": "note", "unit": "none", "text": "x"}, 0)], [({"op": "open", "unit": "x", "dir": 3}, 0)]))):
        rig.link.sock.send(packet)
    fd = rig.open("a.service")
    os.write(fd, b"fine\n")
    rig.flush()
    assert rig.current("a.service") == b"fine\n"


def test_many_units_at_once(rig: Rig) -> None:
    fds = [rig.open(f"u{n}.service") for n in range(150)]
    for fd in fds:
        os.write(fd, b"x\n")
    rig.flush()
    rig.kill()
    for fd in fds:
        os.write(fd, b"y\n")
    rig.start()
    rig.flush()
    assert all(rig.current(f"u{n}.service") == b"x\ny\n" for n in range(150))


def test_an_unwritable_place_drops_output_counts_it_and_recovers(rig: Rig) -> None:
    directory = rig.directory / "a.service"
    directory.write_text("a file is in the way")
    fd = rig.open("a.service")
    os.write(fd, b"lost\n")
    rig.flush()
    lost = [e for e in rig.events if "lost" in e]
    assert lost == [{"lost": {"a.service": 5}, "why": {"a.service": "Not a directory"}}]
    directory.unlink()
    unit = UnitLog("a.service", str(directory), Backstage(press=False))
    unit.gap, unit.why = 5, "Not a directory"
    read_fd, write_fd = logpipe.make_pipe()
    unit.pipes[read_fd] = 0
    os.write(write_fd, b"kept\n")
    assert unit.drain(read_fd, 1 << 20) == 5
    assert (directory / "current").read_bytes() == b"unitd: 5 bytes of output were lost here: Not a directory\nkept\n"
    unit.close()
    for other in (read_fd, write_fd):
        os.close(other)


def test_a_full_disk_stops_no_service_and_ends_by_itself(rig: Rig) -> None:
    directory = rig.directory / "small"
    directory.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(directory)], capture_output=True, check=False)
    if done.returncode:
        absent("cannot mount a tmpfs here")
    try:
        read_fd, write_fd = logpipe.make_pipe()
        rig.link.open("a.service", str(directory / "a.service"), read_fd)
        rig.flush()
        for _ in range(100):
            os.write(write_fd, b"z" * 9999 + b"\n")
        rig.flush()
        lost = sum(e["lost"]["a.service"] for e in rig.events if "lost" in e)
        held = (directory / "a.service/current").stat().st_size
        notes = [x.text for x in logread.read(str(directory / "a.service")) if x.stream == 2]
        assert lost and lost + held - sum(len(n) + 1 for n in notes) == 1_000_000
        for name in ("current", "current.idx"):
            os.truncate(directory / "a.service" / name, 0)
        os.write(write_fd, b"again\n")
        rig.flush()
        lines = logread.tail(str(directory / "a.service"), 5)
        assert lines[-1].text == b"again" and b"bytes of output were lost here: No space left on device" in lines[-2].text
        os.close(read_fd)
        os.close(write_fd)
    finally:
        rig.kill()
        subprocess.run(["umount", str(directory)], check=True)


def test_a_rotation_cut_in_half_is_finished(tmp_path: Path) -> None:
    (tmp_path / "current").write_bytes(b"old\n")
    (tmp_path / "@5.idx").write_bytes(RECORD.pack(5, 0, 0))
    unit = UnitLog("a.service", str(tmp_path), Backstage(press=False))
    unit.open()
    unit.close()
    assert sorted(os.listdir(tmp_path)) == ["@5.idx", "@5.log", "current", "current.idx"]
    assert [(x.realtime, x.text) for x in logread.tail(str(tmp_path), 9)] == [(5e-6, b"old")]


def test_an_index_is_cut_to_whole_records_that_have_data(tmp_path: Path) -> None:
    (tmp_path / "current").write_bytes(b"0123456789")
    (tmp_path / "current.idx").write_bytes(RECORD.pack(1, 0, 0) + RECORD.pack(2, 5, 1) + RECORD.pack(3, 10, 0) + b"torn")
    unit = UnitLog("a.service", str(tmp_path), Backstage(press=False))
    unit.open()
    assert unit.idx_at == 48 and (tmp_path / "current.idx").stat().st_size == 48
    unit.close()


def test_an_idle_logger_sleeps(rig: Rig) -> None:
    """Its epoll has no timeout, and its thread waits in it."""
    rig.open("a.service")
    rig.flush()
    sock = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    idle = logger.Logger(sock[0], Backstage(press=False))
    assert idle._timeout() == -1 and idle.answers.events == select.EPOLLIN
    for end in sock:
        end.close()


def test_an_invocation_begins_behind_what_the_one_before_left(rig: Rig) -> None:
    """Whatever of both is in the pipe when the logger hears of the next one, and however late that is."""
    fd = rig.open("a.service")
    rig.link.begin("a.service", "1" * 32, time.time_ns() // 1000)
    rig.flush()
    assert rig.process is not None
    rig.process.send_signal(signal.SIGSTOP)
    os.write(fd, b"first\n")
    rig.link.begin("a.service", "2" * 32, time.time_ns() // 1000, 6)
    rig.turn()
    os.write(fd, b"second\n")
    rig.process.send_signal(signal.SIGCONT)
    rig.flush()
    directory = str(rig.directory / "a.service")
    assert [identity for _, identity in logstore.invocations(directory)] == ["1" * 32, "2" * 32]
    assert [line.text for line in logread.read(directory, *(logstore.find_invocation(directory, "0") or ()))] == [b"second"]
    assert [line.text for line in logread.read(directory, *(logstore.find_invocation(directory, "-1") or ()))] == [b"first"]

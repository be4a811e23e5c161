"""Captured output through the real unitd: kept, shown, followed, whoever dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness import Manager, absent, file_has, poll, wait_gone

ONESHOT = "[Service]\nType=oneshot\nRemainAfterExit=yes\n"


def test_a_silent_unit_has_no_files(manager: Manager) -> None:
    for n in range(30):
        manager.write(f"quiet{n}.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    manager.write("loud.service", ONESHOT + "ExecStart=/bin/echo hello\n")
    manager.boot(start="all")
    manager.wait_for("loud.service", ActiveState="active")
    assert manager.ok("logs", "-o", "cat") == "hello\n"
    assert [p.name for p in manager.log.iterdir() if p.is_dir()] == ["loud.service"]
    assert manager.ok("logs", "-o", "cat", "quiet1") == ""


def test_streams_apart_and_their_order_together(manager: Manager) -> None:
    script = "for i in 1 2 3; do echo out $i; echo err $i >&2; done"
    manager.write("apart.service", ONESHOT + f"ExecStart=/bin/sh -c '{script}'\n[X-Unitd]\nLogStreams=separate\n")
    manager.write("together.service", ONESHOT + f"ExecStart=/bin/sh -c '{script}'\n")
    manager.boot()
    manager.ok("start", "apart", "together")
    assert manager.ok("logs", "-o", "cat", "--stderr", "apart") == "err 1\nerr 2\nerr 3\n"
    assert manager.ok("logs", "-o", "cat", "--stdout", "apart") == "out 1\nout 2\nout 3\n"
    assert manager.ok("logs", "-o", "cat", "together") == "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n"


def test_files_and_their_modes(manager: Manager) -> None:
    for mode in ("file", "append", "truncate"):
        (manager.base / mode).write_text("old text\n")
        manager.write(f"{mode}.service", ONESHOT + f"ExecStart=/bin/sh -c 'echo new; echo err >&2'\nStandardOutput={mode}:{manager.base}/{mode}\n")
    manager.write("null.service", ONESHOT + "ExecStart=/bin/sh -c 'echo new; echo err >&2'\nStandardOutput=null\nStandardError=journal\n")
    manager.boot()
    manager.ok("start", "file", "append", "truncate", "null")
    assert (manager.base / "file").read_text() == "new\nerr\n\n"
    assert (manager.base / "append").read_text() == "old text\nnew\nerr\n"
    assert (manager.base / "truncate").read_text() == "new\nerr\n"
    assert manager.ok("logs", "-o", "cat", "null") == "err\n"


def test_a_terminal_and_one_that_is_not_there(manager: Manager) -> None:
    controller, terminal = os.openpty()
    manager.write("tty.service", ONESHOT + f"ExecStart=/bin/echo to the terminal\nStandardOutput=tty\nTTYPath={os.ttyname(terminal)}\n")
    manager.write("none.service", ONESHOT + f"ExecStart=/bin/echo x\nStandardOutput=tty\nTTYPath={manager.base}/tty\n")
    manager.boot()
    manager.ok("start", "tty")
    assert os.read(controller, 100) == b"to the terminal\r\n"  # the terminal is still open here: nothing of it is lost
    assert manager.ctl("start", "none").returncode == 1
    assert not (manager.base / "tty").exists()
    os.close(terminal)
    os.close(controller)


def test_the_journal_where_there_is_one(manager: Manager) -> None:
    path = manager.base / "journal"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    manager.configure(f"journal_socket = {path}\n")
    manager.write("j.service", ONESHOT + "ExecStart=/bin/sh -c 'echo $JOURNAL_STREAM; echo err >&2'\nStandardOutput=journal\n")
    manager.write("own.service", ONESHOT + "ExecStart=/bin/echo captured\n")
    manager.boot()
    manager.ok("start", "j", "own")
    with listener.accept()[0] as stream:
        stream.settimeout(30)
        data = b""
        while piece := stream.recv(4096):
            data += piece
    lines = data.decode().splitlines()
    assert lines[:7] == ["sh", "j.service", "6", "1", "0", "0", "0"]
    assert ":" in lines[7] and lines[8] == "err"
    assert manager.ok("logs", "-o", "cat", "own") == "captured\n"
    listener.close()
    path.unlink()
    manager.ok("restart", "j")  # nobody listens: it is captured
    assert manager.ok("logs", "-o", "cat", "j").endswith("err\n")


class OnConsole(Manager):
    """A unitd whose standard output is read."""

    def __init__(self, *options: str) -> None:
        super().__init__()
        self.extra = [*options]
        self.out, self.writer = os.pipe()
        self.wrap = ["/bin/sh", "-c", f'exec "$@" >/proc/{os.getpid()}/fd/{self.writer}', "sh"]
        self.seen = b""
        self.over = False

    def shown(self, text: bytes) -> bytes:
        """Read until `text` came."""
        while text not in self.seen:
            piece = os.read(self.out, 65536)
            assert piece, (text, self.seen)
            self.seen += piece
        return self.seen

    def rest(self) -> bytes:
        """Stop unitd; all that is left."""
        self.close()
        self.over = True
        os.close(self.writer)
        while piece := os.read(self.out, 65536):
            self.seen += piece
        os.close(self.out)
        return self.seen


@pytest.fixture
def console() -> Iterator[Callable[..., OnConsole]]:
    """Makes them, and stops those that a test has left."""
    made: list[OnConsole] = []

    def make(*options: str) -> OnConsole:
        made.append(OnConsole(*options))
        return made[-1]

    yield make
    for manager in made:
        if not manager.over:
            manager.close()


def test_the_console_has_prefixes_and_the_files_have_none(console: Callable[..., OnConsole]) -> None:
    manager = console("--log-format", "prefix")
    manager.write("web@.service", ONESHOT + "ExecStart=/bin/echo from %i\n")
    manager.write("db.service", ONESHOT + "ExecStart=/bin/sh -c 'echo one; echo two >&2; printf open'\n")
    manager.boot()
    manager.ok("start", "web@1")
    manager.shown(b"web.1 | from 1\n")
    manager.kill_manager()
    manager.ok("start", "db", "web@2")
    manager.shown(b"web.2 | from 2\n")
    assert manager.ok("logs", "-o", "cat", "db") == "one\ntwo\nopen"
    lines = manager.rest().splitlines()
    assert sorted(lines) == sorted([b"web.1 | from 1", b"web.2 | from 2", b"db    | one", b"db    | two", b"db    | open"])


def test_plain_and_json_and_one_unit_alone(console: Callable[..., OnConsole]) -> None:
    manager = console()
    manager.write("inherit.service", ONESHOT + "ExecStart=/bin/echo shown\nStandardOutput=inherit\nSyslogIdentifier=shop\n")
    manager.write("both.service", ONESHOT + "ExecStart=/bin/echo both\nStandardOutput=journal+console\n")
    manager.write("kept.service", ONESHOT + "ExecStart=/bin/echo kept\n")
    manager.configure("journal_socket =\n")
    manager.boot()
    manager.ok("start", "inherit")
    manager.shown(b"shop | shown\n")
    manager.ok("start", "both", "kept")
    assert manager.rest() == b"shop | shown\nboth | both\n"
    manager = console("--log-format", "json")
    manager.write("a.service", ONESHOT + "ExecStart=/bin/echo x\n")
    manager.boot()
    manager.ok("start", "a")
    row = json.loads(manager.rest())
    assert (row["unit"], row["stream"], row["text"]) == ("a.service", "stdout", "x")
    manager = console("--log-format", "plain")
    manager.write("a.service", ONESHOT + "ExecStart=/bin/echo x\n")
    manager.boot()
    manager.ok("start", "a")
    assert manager.rest() == b"x\n"


def test_a_console_that_nobody_reads_holds_nobody_up(console: Callable[..., OnConsole]) -> None:
    manager = console("--log-format", "prefix")
    line = "y" * 99
    manager.write("loud.service", ONESHOT + f"ExecStart=/bin/sh -c 'yes {line} 2>/dev/null | head -n 20000'\n")
    manager.boot()
    manager.ok("start", "loud")  # 2 MB, and a pipe that holds 64 KiB
    assert len(manager.ok("logs", "-o", "cat", "loud")) == 2_000_000
    text = b"loud | " + line.encode() + b"\n"
    while manager.seen.count(text) < 20000:
        manager.seen += os.read(manager.out, 65536)
    assert manager.rest() == text * 20000


def numbers(manager: Manager, unit: str, total: int) -> list[int]:
    """The lines of a unit that prints numbers, in order."""
    text = manager.ok("logs", "-o", "cat", unit)
    assert text.endswith("\n")
    return [int(line) for line in text.splitlines()]


def test_neither_manager_nor_logger_loses_a_line_when_they_are_killed(manager: Manager) -> None:
    """Numbered lines at full speed, the manager killed 4 times and the logger 12 times meanwhile."""
    count = 300_000
    program = f"import os\nfor n in range(0, {count}, 20):\n os.write(1, b''.join(b'%d\\n' % i for i in range(n, n + 20)))\n"
    (manager.base / "p.py").write_text(program)
    manager.write(
        "n.service", f"[Service]\nExecStart={sys.executable} -S {manager.base}/p.py\nRemainAfterExit=yes\n[X-Unitd]\nLogMaxSize=256K\nLogMaxFiles=1000\nLogCompress=yes\n"
    )
    manager.boot()
    manager.ok("start", "n")
    for turn in range(16):
        poll(lambda: manager.named("unitd: logger"), "no logger")
        loggers = manager.named("unitd: logger")
        if turn % 4 == 0:
            manager.kill_manager()  # its logger leaves
        else:
            os.kill(loggers[0], signal.SIGKILL)
        wait_gone(loggers)
    manager.wait_for("n.service", SubState="exited")
    assert numbers(manager, "n", count) == list(range(count))


def test_a_full_disk_is_seen_in_status(manager: Manager) -> None:
    small = manager.base / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], capture_output=True).returncode:
        absent("cannot mount a tmpfs here")
    try:
        manager.log = small
        manager.write("loud.service", f"[Service]\nExecStart=/bin/sh -c 'yes 0123456789abcde | head -c 1M; echo done > {manager.base}/done; exec sleep 1000'\n")
        manager.boot()
        manager.ok("start", "loud")
        file_has(manager.base / "done")
        poll(lambda: "bytes of output were lost" in manager.ok("status", "loud"), "status does not say it")
        assert manager.ok("is-active", "loud") == "active\n"
        assert "No space left on device" in manager.ok("status", "loud")
        pid = manager.pid("loud")
        for name in ("current", "current.idx"):
            os.truncate(small / "loud.service" / name, 0)
        Path(f"/proc/{pid}/fd/1").write_bytes(b"again\n")
        poll(lambda: "again" in manager.ok("logs", "-o", "cat", "loud"), "capture does not go on")
        assert "bytes of output were lost here" in manager.ok("logs", "-o", "cat", "loud")
        manager.ok("stop", "loud")
    finally:
        manager.stop()
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_following_from_python_across_a_rotation_and_a_new_manager(manager: Manager) -> None:
    fifo = manager.base / "fifo"
    os.mkfifo(fifo)
    manager.write("talk.service", f"[Service]\nExecStart=/bin/sh -c 'exec 3<>{fifo}; while read x <&3; do echo $x; done'\n")
    manager.boot()
    manager.ok("start", "talk")
    with manager.client() as client, open(fifo, "w", buffering=1) as pen:
        lines = client.logs("talk", follow=True)
        pen.write("one\n")
        assert next(lines).text == b"one"
        manager.ok("logs", "--rotate", "talk")
        pen.write("two\n")
        assert next(lines).text == b"two"
        os.kill(manager.manager_pid(), signal.SIGKILL)
        pen.write("three\n")
        assert next(lines).text == b"three"
        manager.expect("ready (bus")
        pen.write("four\n")
        assert next(lines).text == b"four"
        lines.close()  # type: ignore[attr-defined]
    assert [x.text for x in client.logs("talk", lines=2)] == [b"three", b"four"]
    assert len(list((manager.log / "talk.service").glob("@*.log"))) == 1


def test_invocations_and_limits(manager: Manager) -> None:
    manager.write("i.service", ONESHOT + "ExecStart=/bin/sh -c 'echo $INVOCATION_ID'\n")
    manager.write("r.service", ONESHOT + "ExecStart=/usr/bin/seq 1000\nLogRateLimitIntervalSec=1h\nLogRateLimitBurst=5\n[X-Unitd]\nLogMaxSize=lots\n")
    manager.boot()
    manager.ok("start", "i")
    manager.ok("restart", "i")
    first, second = manager.ok("logs", "-o", "cat", "i").split()
    assert manager.ok("logs", "-o", "cat", "-b", "i").split() == [second]
    assert manager.ok("logs", "-o", "cat", "--invocation", first, "i").split() == [first]
    manager.ok("start", "r")
    assert manager.ok("logs", "-o", "cat", "r") == "1\n2\n3\n4\n5\n"
    assert "LogMaxSize=: cannot read 'lots' as a size" in manager.ok("status", "r")

"""The warden as a real process; the tests are its manager: they hold a second pair of ears through a small relay manager."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import unitd
from unitd.manager import child
from unitd.manager.link import WardenLink
from unitd.manager.spec import SpawnSpec

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(unitd.__file__)))
WARDEN = os.path.join(PACKAGE, "unitd", "manager", "warden.py")

#: A manager that hands its end of the conversation to the test and dies or lives as it is told.
MANAGER = """
import array, os, signal, socket, sys
got = []
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, lambda n, f: out.send(b"signal %d" % n))
out = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
out.connect(sys.argv[1])
fd = int(os.environ["UNITD_WARDEN_FD"])
out.sendmsg([b"%d" % os.getpid()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
os.close(fd)
while True:
    order = out.recv(100)
    if not order:
        os._exit(9)
    os._exit(int(order))
"""


class Recorder:
    """Keeps what the warden said; `until` turns the loop until something holds."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.alive: list[tuple[int, str, int]] = []
        self.made: dict[str, tuple[int, int, int]] = {}
        self.ends: list[tuple[int, int, str, int]] = []
        self.errors: dict[str, tuple[int, int, str]] = {}
        self.order: list[tuple[str, str]] = []
        self.held: dict[str, list[int]] = {}
        self.gone = self.ready = False
        self._check: Callable[[], object] = lambda: False
        self._future: asyncio.Future[None] | None = None
        self.link = WardenLink(sock, loop, self)

    def _note(self) -> None:
        if self._future is not None and not self._future.done() and self._check():
            self._future.set_result(None)

    def kids(self, kids: list[tuple[int, str, int]]) -> None:
        self.alive += kids
        self._note()

    def spawned(self, spawned: list[tuple[str, int, int, int]]) -> None:
        for id, pid, errno, pidfd in spawned:
            self.made[id] = pid, errno, pidfd
            self.order.append(("spawned", id))
        self._note()

    def exited(self, exits: list[tuple[int, int, str, int]]) -> None:
        self.ends += exits
        self.order += [("exit", e[2]) for e in exits]
        self._note()

    def child_error(self, id: str, code: int, errno: int, step: str) -> None:
        self.errors[id] = code, errno, step
        self.order.append(("error", id))
        self._note()

    def stored(self, name: str, fds: list[int]) -> None:
        self.held.setdefault(name, []).extend(fds)
        self._note()

    def go(self) -> None:
        self.ready = True
        self._note()

    def lost(self) -> None:
        self.gone = True
        self._note()

    def until(self, check: Callable[[], object]) -> None:
        if check():
            return
        self._check, self._future = check, self.loop.create_future()
        self.loop.run_until_complete(asyncio.wait_for(self._future, 20))

    def status(self, id: str) -> int:
        self.until(lambda: any(e[2] == id for e in self.ends))
        return os.waitstatus_to_exitcode(next(e[3] for e in self.ends if e[2] == id))

    def run(self, id: str, *argv: str, fds: list[int] | None = None, **more: Any) -> int:
        spec: SpawnSpec = {"id": id, "path": argv[0], "argv": list(argv), "env": ["PATH=/usr/bin:/bin"], **more}  # type: ignore[typeddict-item]
        self.link.spawn([(spec, fds or [])])
        self.until(lambda: id in self.made)
        return self.made[id][0]

    def output(self, *argv: str, **more: Any) -> str:
        """What a command prints, run by the warden."""
        reader, writer = os.pipe()
        self.run("output", *argv, fds=[writer], stdout=0, **more)
        os.close(writer)
        with open(reader) as file:
            text = file.read()
        self.status("output")
        assert self.errors.pop("output", None) is None
        os.close(self.made.pop("output")[2])
        self.ends.clear()
        return text


class Stage:
    """A warden and the managers it starts."""

    def __init__(self, tmp_path: Path, environ: dict[str, str]) -> None:
        self.loop = asyncio.new_event_loop()
        path = str(tmp_path / "s")
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.server.bind(path)
        self.server.listen()
        self.server.settimeout(20)
        script = tmp_path / "manager.py"
        script.write_text(MANAGER)
        command = [sys.executable, "-I", "-S", WARDEN, "--package-dir", PACKAGE, "--", sys.executable, "-I", "-S", str(script), path]
        self.process = subprocess.Popen(command, env={**os.environ, **environ})
        self.managers: list[tuple[socket.socket, int]] = []
        self.talks: list[Recorder] = []

    def manager(self) -> tuple[Recorder, socket.socket, int]:
        """The next manager: (its conversation, its strings, its pid). Not greeted yet."""
        strings, _ = self.server.accept()
        strings.settimeout(20)
        data, fds, _flags, _address = socket.recv_fds(strings, 100, 1)
        self.managers.append((strings, int(data)))
        self.talks.append(Recorder(socket.socket(fileno=fds[0]), self.loop))
        return self.talks[-1], strings, int(data)

    def greeted(self) -> tuple[Recorder, socket.socket, int]:
        talk, strings, pid = self.manager()
        talk.link.hello()
        talk.until(lambda: talk.ready)
        return talk, strings, pid

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.server.close()
        for talk in self.talks:
            talk.link.close()
            talk.link.release()
            for fd in [k[2] for k in talk.alive] + [m[2] for m in talk.made.values()] + [fd for fds in talk.held.values() for fd in fds]:
                if fd >= 0:
                    os.close(fd)
        for strings, _pid in self.managers:
            strings.close()
        self.loop.close()


@pytest.fixture(params=["clone3", "fork"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    s = Stage(tmp_path, {"UNITD_CLONE3": "off"} if request.param == "fork" else {})
    yield s
    s.close()


def kill_manager(strings: socket.socket, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    strings.close()


def test_spawn_reports_pid_and_pidfd_before_the_exit(stage: Stage) -> None:
    talk, _, _ = stage.greeted()
    pid = talk.run("a", "/bin/sh", "-c", "exit 7")
    assert talk.status("a") == 7
    assert talk.order == [("spawned", "a"), ("exit", "a")]
    assert pid > 0
    assert select.select([talk.made["a"][2]], [], [], 20)[0]


def test_hundreds_at_once_and_shared_descriptors(stage: Stage) -> None:
    talk, _, _ = stage.greeted()
    reader, writer = os.pipe()
    spec: SpawnSpec = {"id": "", "path": "echo", "search_path": ["/nowhere", "/bin"], "argv": ["echo", "x"], "env": [], "stdout": 0}
    talk.link.spawn([({**spec, "id": f"n{i}"}, [writer]) for i in range(230)])
    os.close(writer)
    talk.until(lambda: len(talk.ends) == 230)
    with open(reader) as file:
        assert file.read() == "x\n" * 230
    assert {e[2] for e in talk.ends} == {f"n{i}" for i in range(230)}


def test_a_body_longer_than_a_message(stage: Stage) -> None:
    talk, _, _ = stage.greeted()
    big = "B=" + "x" * 120_000
    assert talk.output("/bin/sh", "-c", "echo ${#B} ${#C}", env=[big, "C=" + big]) == "120000 120002\n"


def test_what_a_child_finds(stage: Stage) -> None:
    talk, _, _ = stage.greeted()
    # No pipe in the shell: it would hold one end for a moment. The 3 is ls's own directory.
    assert talk.output("/bin/sh", "-c", "umask; pwd; exec ls /proc/self/fd", umask=0o77, cwd="/usr") == "0077\n/usr\n0\n1\n2\n3\n"
    text = talk.output("/bin/sh", "-c", "grep -E '^Sig(Blk|Ign)|^NoNew' /proc/self/status", ignore_sigpipe=True, no_new_privs=True)
    assert text.split() == ["SigBlk:", "0" * 16, "SigIgn:", "0000000000001000", "NoNewPrivs:", "1"]
    env = ["PATH=/usr/bin:/bin", "SYSTEMD_EXEC_PID="]
    a, b, c = talk.output("/bin/sh", "-c", "echo $$ $(cut -d' ' -f6 /proc/$$/stat) $SYSTEMD_EXEC_PID", env=env).split()
    assert a == b == c
    assert talk.output("/bin/grep", "SigIgn", "/proc/self/status").split()[1] == "0" * 16
    limits = {"NOFILE": [100, 200], "CORE": [0, 0]}
    assert talk.output("/bin/sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -c", limits=limits).split() == ["100", "200", "0"]
    assert talk.output("/bin/sh", "-c", "nice; cat /proc/self/oom_score_adj", nice=7, oom_score_adj=500).split() == ["7", "500"]
    assert talk.output("/bin/sh", "-c", "grep Cpus_allowed_list /proc/self/status", affinity=[0]).split()[1] == "0"


def test_default_file_limit_is_the_wardens_first(stage: Stage) -> None:
    talk, _, _ = stage.greeted()
    ours = subprocess.run(["/bin/sh", "-c", "ulimit -Sn; ulimit -Hn"], capture_output=True, text=True, check=True).stdout
    assert talk.output("/bin/sh", "-c", "ulimit -Sn; ulimit -Hn") == ours


def test_listening_sockets_and_exec_done(stage: Stage, request: pytest.FixtureRequest) -> None:
    talk, _, _ = stage.greeted()
    sockets = [socket.socketpair() for _ in range(5)]
    request.addfinalizer(lambda: [end.close() for pair in sockets for end in pair])  # type: ignore[func-returns-value]
    reader, writer = os.pipe2(os.O_CLOEXEC)
    out_r, out_w = os.pipe2(os.O_CLOEXEC)
    shell = 'echo $((LISTEN_PID == $$)); for i in 3 4 5 6 7; do eval "echo $i >&$i"; done; n=0; for f in /proc/$$/fd/*; do [ -e $f ] && n=$((n + 1)); done; echo $n; exec sleep 100'
    fds = [s[1].fileno() for s in sockets]
    env = ["LISTEN_PID=", "PATH=/usr/bin:/bin"]
    pid = talk.run("l", "/bin/sh", "-c", shell, fds=[writer, out_w, *fds], execfd=0, stdout=1, listen=[6, 5, 4, 3, 2], env=env)
    os.close(writer)
    os.close(out_w)
    assert os.read(reader, 1) == b""  # exec is done, though the process lives
    assert [s[0].recv(10) for s in sockets] == [b"7\n", b"6\n", b"5\n", b"4\n", b"3\n"]
    data = b""
    while data.count(b"\n") < 2:
        data += os.read(out_r, 100)
    assert data == b"1\n8\n"
    os.kill(pid, signal.SIGKILL)
    assert talk.status("l") == -9


def test_files_for_output(stage: Stage, tmp_path: Path) -> None:
    talk, _, _ = stage.greeted()
    log = tmp_path / "log"
    for mode, result in (("file", "hi\n3456789"), ("append", "0123456789hi\n"), ("truncate", "hi\n")):
        log.write_text("0123456789")
        talk.run(mode, "/bin/echo", "hi", stdout_path=str(log), stdout_mode=mode, umask=0o22)
        assert talk.status(mode) == 0
        assert log.read_text() == result
    (tmp_path / "in").write_text("abc")
    assert talk.output("/bin/cat", stdin_path=str(tmp_path / "in")) == "abc"
    talk.run("two", "/bin/sh", "-c", "echo o; echo e >&2", stdout_path=str(log), stdout_mode="truncate")
    assert talk.status("two") == 0
    assert log.read_text() == "o\ne\n"


@pytest.mark.parametrize(
    ("code", "errno", "step", "more"),
    [
        (200, 2, "CHDIR", {"cwd": "/nonexistent"}),
        (203, 2, "EXEC", {"path": "/nonexistent"}),
        (203, 13, "EXEC", {"path": "/etc"}),
        (203, 2, "EXEC", {"path": "no-such-command", "search_path": ["/bin"]}),
        (208, 2, "STDIN", {"stdin_path": "/nonexistent"}),
        (209, 2, "STDOUT", {"stdout_path": "/nonexistent/x"}),
        (222, 2, "STDERR", {"stderr_path": "/nonexistent/x"}),
        (226, 2, "NAMESPACE", {"chroot": "/nonexistent"}),
        (219, 2, "CGROUP", {"cgroup": "/nonexistent"}),
        (205, 22, "LIMITS", {"limits": {"NOSUCH": [1, 1]}}),
        (233, 17, "RUNTIME_DIRECTORY", {"directories": [["Runtime", "/dev/null", 0o755, 0, 0]]}),
        (238, 20, "STATE_DIRECTORY", {"directories": [["State", "/dev/null/x", 0o755, 0, 0]]}),
    ],
)
def test_failing_steps(stage: Stage, code: int, errno: int, step: str, more: dict[str, Any]) -> None:
    talk, _, _ = stage.greeted()
    if os.getuid() and step == "NAMESPACE":
        pytest.skip("only root may chroot")
    spec: dict[str, Any] = {"path": "/bin/true", **more}
    path = spec.pop("path")
    pair = socket.socketpair()
    full: SpawnSpec = {"id": "f", "path": path, "argv": [path], "env": [], "listen": [0], **spec}  # type: ignore[typeddict-item]
    talk.link.spawn([(full, [pair[0].fileno()])])
    assert talk.status("f") == code
    for end in pair:
        end.close()
    assert talk.errors == {"f": (code, errno, step)}
    assert talk.order == [("spawned", "f"), ("error", "f"), ("exit", "f")]


def test_no_shebang_and_optional_directory(stage: Stage, tmp_path: Path) -> None:
    talk, _, _ = stage.greeted()
    plain = tmp_path / "plain"
    plain.write_text("echo x\n")
    plain.chmod(0o755)
    talk.run("p", str(plain))
    assert talk.status("p") == 203
    assert talk.errors["p"] == (203, 8, "EXEC")
    assert talk.output("/bin/pwd", cwd="/nonexistent", cwd_optional=True) == "/\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may change user")
def test_user_capabilities_and_directories(stage: Stage, tmp_path: Path) -> None:
    talk, _, _ = stage.greeted()
    who: dict[str, Any] = {"uid": 65534, "gid": 1, "groups": [1, 4, 29]}
    assert talk.output("/bin/sh", "-c", "id -u; id -g; id -G", **who).split() == ["65534", "1", "1", "4", "29"]
    caps = talk.output("/bin/grep", "^Cap", "/proc/self/status", cap_ambient=[10], no_new_privs=True, **who).split()
    assert dict(zip(caps[::2], caps[1::2], strict=True))["CapEff:"] == f"{1 << 10:016x}"
    assert dict(zip(caps[::2], caps[1::2], strict=True))["CapAmb:"] == f"{1 << 10:016x}"
    caps = talk.output("/bin/grep", "^Cap", "/proc/self/status", cap_bound=[0, 10], secure_bits=1 << 2).split()
    assert dict(zip(caps[::2], caps[1::2], strict=True))["CapBnd:"] == f"{1 << 10 | 1:016x}"
    path = tmp_path / "a" / "b"
    directories = [["State", str(path), 0o710, 65534, 1]]
    talk.output("/bin/true", directories=directories, umask=0o77)
    info = path.stat()
    assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (65534, 1, 0o710)
    assert path.parent.stat().st_mode & 0o7777 == 0o755


def test_killed_manager_is_replaced_and_told_everything(stage: Stage) -> None:
    talk, strings, pid = stage.greeted()
    reader, writer = os.pipe()
    talk.link.store("log:x", [reader])
    talk.link.store("log:x", [writer])
    talk.link.store("gone", [reader])
    talk.link.drop("gone")
    lives = talk.run("lives", "/bin/sleep", "100")
    dies = talk.run("dies", "/bin/sh", "-c", "kill -ABRT $$")
    fails = talk.run("fails", "/nonexistent")
    talk.status("dies")
    talk.status("fails")
    acked = talk.run("acked", "/bin/true")
    talk.status("acked")
    assert acked
    kill_manager(strings, pid)
    talk.until(lambda: talk.ends)
    talk.link.close()
    again, _, second = stage.manager()
    assert second != pid
    os.kill(lives, 0)
    again.link.hello()
    again.until(lambda: again.ready)
    assert [(p, i) for p, i, _ in again.alive] == [(lives, "lives")]
    assert {(e[1], e[2]) for e in again.ends} == {(dies, "dies"), (fails, "fails"), (acked, "acked")}
    assert again.errors == {"fails": (203, 2, "EXEC")}
    assert list(again.held) == ["log:x"]
    os.write(again.held["log:x"][1], b"kept")
    assert os.read(again.held["log:x"][0], 10) == b"kept"
    signal.pidfd_send_signal(again.alive[0][2], signal.SIGTERM)
    assert again.status("lives") == -15
    again.link.ack(max(e[0] for e in again.ends))
    again.link.hello()
    again.until(lambda: again.ready)


def test_acknowledged_exits_are_not_repeated(stage: Stage) -> None:
    talk, strings, pid = stage.greeted()
    talk.run("a", "/bin/true")
    talk.status("a")
    talk.link.ack(talk.ends[0][0])
    talk.run("b", "/bin/true")
    talk.status("b")
    kill_manager(strings, pid)
    again, _, _ = stage.greeted()
    assert [e[2] for e in again.ends] == ["b"]


def test_orphans_come_to_the_warden(stage: Stage) -> None:
    talk, _, _ = stage.greeted()
    script = "import os\nif os.fork() == 0:\n os.setsid()\n os.read(0, 1)\n os._exit(5)\nprint()\n"
    reader, writer = os.pipe2(os.O_CLOEXEC)
    talk.run("d", sys.executable, "-c", script, fds=[reader], stdin=0)
    assert talk.status("d") == 0
    os.close(writer)
    talk.until(lambda: len(talk.ends) == 2)
    assert talk.ends[1][2] == ""
    assert os.waitstatus_to_exitcode(talk.ends[1][3]) == 5


def test_quit_code_is_the_wardens(stage: Stage) -> None:
    talk, strings, _ = stage.greeted()
    talk.link.quit(3)
    strings.send(b"0")
    assert stage.process.wait(20) == 3


def test_signals_reach_the_manager_even_if_it_is_not_ready(stage: Stage) -> None:
    talk, strings, pid = stage.manager()
    stage.process.send_signal(signal.SIGHUP)
    stage.process.send_signal(signal.SIGTERM)
    talk.link.hello()
    assert {strings.recv(100), strings.recv(100)} == {b"signal 1", b"signal 15"}
    stage.process.send_signal(signal.SIGUSR1)
    assert strings.recv(100) == b"signal 10"
    kill_manager(strings, pid)
    again, strings, _ = stage.manager()
    again.link.hello()
    assert strings.recv(100) == b"signal 15"  # the stop that was asked for goes on


def test_a_manager_that_cannot_begin(stage: Stage) -> None:
    _, strings, _ = stage.manager()
    strings.send(b"4")
    assert stage.process.wait(20) == 4


def test_garbage_is_survived(stage: Stage) -> None:
    talk, _, _ = stage.greeted()
    for message in (b"S[1]", b"S{", b"?", b"\xff", b"T[[1,9]]", b'A"x"', b"D[]", b"H*", b'S[{"id":"x","stdin":4}]'):
        talk.link._channel.sock.send(message)
    talk.run("a", "/bin/true")
    assert talk.status("a") == 0


def test_an_index_without_descriptor_is_an_error(stage: Stage) -> None:
    talk, _, _ = stage.greeted()
    talk.link._send("S", [{"id": "x", "path": "/bin/true", "argv": ["x"], "env": [], "stdout": 3}])
    talk.until(lambda: "x" in talk.made)
    assert talk.made["x"] == (0, 24, -1)


def test_a_silent_manager_does_not_stop_reaping(stage: Stage) -> None:
    """Thousands of unread reports wait in the warden, which still reaps."""
    talk, _, _ = stage.greeted()
    for round_ in range(20):
        spec: SpawnSpec = {"id": "", "path": "/nonexistent", "argv": ["x" * 100], "env": []}
        talk.link.spawn([({**spec, "id": f"{round_}.{i}." + "y" * 200}, []) for i in range(100)])
    talk.until(lambda: len(talk.ends) == 2000)
    assert len(talk.errors) == 2000


def test_idle_warden_does_not_wake(stage: Stage) -> None:
    talk, _, _ = stage.greeted()
    pid = talk.run("s", "/bin/sleep", "100")

    def switches() -> str:
        text = Path(f"/proc/{stage.process.pid}/status").read_text()
        return next(line for line in text.splitlines() if line.startswith("voluntary"))

    select.select([], [], [], 0.05)  # let it fall asleep
    before = switches()
    select.select([talk.made["s"][2]], [], [], 0.3)
    assert switches() == before
    os.kill(pid, signal.SIGKILL)


def test_record_is_atomic() -> None:
    assert child.RECORD.size <= select.PIPE_BUF


def test_a_terminal_becomes_the_controlling_one(stage: Stage, request: pytest.FixtureRequest) -> None:
    talk, _, _ = stage.greeted()
    ours, theirs = os.openpty()
    request.addfinalizer(lambda: [os.close(fd) for fd in (ours, theirs)])
    path = os.ttyname(theirs)
    talk.run("t", "/bin/sh", "-c", "tty </dev/tty >/dev/null && tty", tty=[path, "tty-fail", True, False], stdout_path=path, stdout_mode="tty")
    assert talk.status("t") == 0
    assert os.read(ours, 1000).split() == [path.encode()]


def test_a_terminal_that_is_none(stage: Stage) -> None:
    talk, _, _ = stage.greeted()
    talk.run("t", "/bin/true", tty=["/dev/null", "tty", False, False])
    assert talk.status("t") == 208


def test_symlinks_to_directories(stage: Stage, tmp_path: Path) -> None:
    talk, _, _ = stage.greeted()
    more = {"directories": [["State", f"{tmp_path}/a", 0o755, os.getuid(), os.getgid()]], "links": [[f"{tmp_path}/b/c", f"{tmp_path}/a"]]}
    for name in ("one", "two"):
        talk.run(name, "/bin/true", **more)
        assert talk.status(name) == 0
    assert os.readlink(tmp_path / "b/c") == "../a"
    (tmp_path / "b/c").unlink()
    (tmp_path / "b/c").mkdir()
    talk.run("three", "/bin/true", **more)
    assert talk.status("three") == 238

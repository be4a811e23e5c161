"""The warden: forks and reaps every process, holds file descriptors, and keeps a manager running. The only module that waits.

    python -I -S PACKAGE/manager/warden.py --package-dir DIR -- MANAGER ARGS...

`DIR` holds the package `unitd`. The manager finds its end of the SEQPACKET socketpair in $UNITD_WARDEN_FD. Single-threaded,
standard library only, prints nothing but its own failures, never wakes up without cause.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if __name__ == "__main__" and "--package-dir" in sys.argv[1:-1]:
    sys.path.insert(0, sys.argv[sys.argv.index("--package-dir") + 1])

from unitd.manager import child, spawner, wire
from unitd.manager.spawner import Spawner

if TYPE_CHECKING:
    from unitd.manager.spec import SpawnSpec

_PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 15, 36
_STOPS = (signal.SIGTERM, signal.SIGINT)
_FORWARDED = (*_STOPS, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_CRASH = 1.0  # a manager that lives shorter counts as crashed at start
_LONGEST_PAUSE = 5.0


class _Ended(NamedTuple):
    pid: int
    id: str
    status: int
    error: tuple[int, int, str] | None  # exit code, errno, step


class Warden:
    """One warden and its loop."""

    def __init__(self, command: Sequence[str]) -> None:
        """`command` starts the manager."""
        self.command = list(command)
        self.kids: dict[int, str] = {}
        self.ended: dict[int, _Ended] = {}  # by sequence number, until acknowledged
        self.failed: dict[int, tuple[int, int, str]] = {}  # by pid: failures read before the child was reaped
        self.sequence = 0
        self.store: dict[str, list[int]] = {}
        self.channel: wire.Channel | None = None
        self.manager = 0
        self.live = False  # the manager is told news as they come
        self.greeted = False  # it said HELLO at all
        self.ever_live = False
        self.quit_code: int | None = None
        self.waiting: list[int] = []  # signals for a manager that is not ready yet
        self.stop_signal = 0
        self.born = 0.0
        self.crashes = 0
        self.start_at: float | None = None
        self._writable = False
        self._prepare()

    def _prepare(self) -> None:
        _keep_standard_fds()
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2:
                _cloexec(int(name))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, *_FORWARDED):
            signal.signal(number, _noted)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        child.libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
        child.libc.prctl(_PR_SET_NAME, ctypes.c_char_p(b"unitd"), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
        self.errors, error_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.spawner = Spawner(child.Surroundings(error_fd, (soft, hard)), clone3=os.environ.get("UNITD_CLONE3") != "off")
        self.epoll = select.epoll()
        self.epoll.register(self.wake, select.EPOLLIN)

    # -- the loop

    def run(self) -> int:
        """Serve until the manager has quit; the exit code."""
        gc.freeze()
        self._start_manager()
        while True:
            pause = None if self.start_at is None else max(0.0, self.start_at - time.monotonic())
            ready = self.epoll.poll(pause)
            for fd, events in ready:
                if fd == self.wake:
                    self._signals()
                elif self.channel is not None and fd == self.channel.sock.fileno():
                    if events & select.EPOLLOUT:
                        self.channel.flush()
                    if events & ~select.EPOLLOUT:
                        self._read()
            code = self._reap()
            if code is not None:
                return code
            if self.start_at is not None and time.monotonic() >= self.start_at:
                self._start_manager()
            self._watch_writable()

    def _watch_writable(self) -> None:
        if self.channel is not None and self.channel.pending != self._writable:
            self._writable = self.channel.pending
            self.epoll.modify(self.channel.sock.fileno(), select.EPOLLIN | (select.EPOLLOUT if self._writable else 0))

    def _signals(self) -> None:
        try:
            numbers = os.read(self.wake, 4096)
        except BlockingIOError:
            return
        for number in numbers:
            if number in _FORWARDED:
                if number in _STOPS:
                    self.stop_signal = number
                self._forward(number)

    def _forward(self, number: int) -> None:
        if self.greeted and self.manager:
            os.kill(self.manager, number)  # not reaped yet, so it is still ours
        elif number not in self.waiting:
            self.waiting.append(number)

    # -- the manager

    def _start_manager(self) -> None:
        self.start_at = None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        wire.Channel(theirs)  # for its buffer sizes
        theirs.setblocking(True)
        program = self.command[0]
        spec: SpawnSpec = {
            "id": "",
            "path": program,
            "search_path": os.environ.get("PATH", "/usr/bin:/bin").split(":"),
            "argv": self.command,
            "env": [f"{k}={v}" for k, v in os.environ.items()] + ["UNITD_WARDEN_FD=3"],
            "stdin": 1,
            "stdout": 2,
            "stderr": 3,
            "listen": [0],
        }
        pid, problem, pidfd = self.spawner.spawn(spec, [theirs.fileno(), 0, 1, 2])
        theirs.close()
        self.born = time.monotonic()
        if pidfd >= 0:
            os.close(pidfd)
        if not pid:
            ours.close()
            _say(f"cannot start the manager, because {os.strerror(problem)}; trying again")
            self.start_at = self.born + _LONGEST_PAUSE
            return
        self.manager, self.live, self.greeted = pid, False, False
        self.channel, self._writable = wire.Channel(ours), False
        self.epoll.register(ours.fileno(), select.EPOLLIN)

    def _drop_channel(self) -> None:
        if self.channel is not None:
            self.epoll.unregister(self.channel.sock.fileno())
            self.channel.close()
            self.channel, self.live = None, False

    def _manager_ended(self, status: int, error: tuple[int, int, str] | None) -> int | None:
        """Plan the next one, or say with which code to leave."""
        if self.greeted:
            self._read()  # its last words may be QUIT
        self._drop_channel()
        self.manager = 0
        code = os.waitstatus_to_exitcode(status)
        if self.quit_code is not None:
            return self.quit_code
        if error is not None:
            _say(f"cannot run the manager {self.command[0]}, because {error[2]}: {os.strerror(error[1])}")
        if not self.greeted and self.stop_signal:
            for pid in self.kids:
                os.kill(pid, signal.SIGTERM)
            return code if code > 0 else 1
        if code > 0 and not self.ever_live and not self.kids:
            return code  # it cannot even begin: whoever started us should see that
        now = time.monotonic()
        self.crashes = 0 if now - self.born >= _CRASH else self.crashes + 1
        pause = 0.0 if self.crashes < 2 else min(_LONGEST_PAUSE, 0.1 * 2.0 ** min(self.crashes - 2, 10))
        self.start_at = now + pause
        return None

    # -- messages

    def _read(self) -> None:
        while self.channel is not None:
            try:
                message = self.channel.receive()
            except EOFError:
                self._drop_channel()
                return
            if message is None:
                return
            kind, body, fds = message
            try:
                self._handle(kind, body, fds)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError, OSError) as problem:
                _say(f"cannot act on the manager's message {kind!r}: {problem!r}")
            finally:
                for fd in fds:
                    os.close(fd)

    def _handle(self, kind: str, body: Any, fds: list[int]) -> None:
        """Act on one message. `fds` left in the list are closed by the caller."""
        if kind == wire.SPAWN:
            self._spawn(cast("list[SpawnSpec]", body), fds)
        elif kind == wire.ACK:
            for seq in [s for s in self.ended if s <= int(body)]:
                del self.ended[seq]
        elif kind == wire.STORE:
            for name, count in body:
                for _ in range(int(count)):
                    self.store.setdefault(str(name), []).append(fds.pop(0))
        elif kind == wire.DROP:
            for fd in self.store.pop(str(body), ()):
                os.close(fd)
        elif kind == wire.QUIT:
            self.quit_code = int(body)
        elif kind == wire.HELLO:
            self._snapshot()
        else:
            _say(f"cannot understand the manager's message {kind!r}")

    def _send(self, kind: str, body: object, fds: Sequence[int] = (), *, consume: bool = False) -> None:
        if self.channel is not None:
            self.channel.send(kind, body, fds, consume=consume)
        elif consume:
            for fd in fds:
                os.close(fd)

    def _spawn(self, specs: list[SpawnSpec], fds: list[int]) -> None:
        answers: list[list[object]] = []
        pidfds: list[int] = []
        for spec in specs:
            pid, problem, pidfd = self.spawner.spawn(spec, fds)
            if pid:
                self.kids[pid] = spec["id"]
            if pidfd >= 0:
                pidfds.append(pidfd)
            answers.append([spec["id"], pid, problem, pidfd >= 0])
        self._send(wire.SPAWNED, answers, pidfds, consume=True)
        self._read_errors()  # the pipe holds 2000 and there may be more requests to read

    def _snapshot(self) -> None:
        """All a new manager has to know. The children are not reaped, so their numbers are theirs and pidfds can be had."""
        kids = list(self.kids.items())
        for i in range(0, len(kids), wire.MAX_FDS):
            part = kids[i : i + wire.MAX_FDS]
            self._send(wire.KIDS, part, _pidfds([pid for pid, _ in part]), consume=True)
        self._report(list(self.ended))
        names: list[list[object]] = []
        fds: list[int] = []
        for name, held in self.store.items():
            for i in range(0, len(held), wire.MAX_FDS):
                part_fds = held[i : i + wire.MAX_FDS]
                if len(fds) + len(part_fds) > wire.MAX_FDS:
                    self._send(wire.STORE, names, fds)
                    names, fds = [], []
                names.append([name, len(part_fds)])
                fds += part_fds
        if names:
            self._send(wire.STORE, names, fds)
        self._send(wire.GO, None)
        self.live = self.greeted = self.ever_live = True
        waiting, self.waiting = self.waiting, []
        if self.stop_signal and self.stop_signal not in waiting:
            waiting.append(self.stop_signal)  # an earlier manager died while stopping
        for number in waiting:
            self._forward(number)

    # -- the dead

    def _reap(self) -> int | None:
        """Collect whoever ended; the exit code when it is time to leave."""
        dead: list[tuple[int, int]] = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            dead.append((pid, status))
        if not dead:
            return None
        self._read_errors()
        fresh: list[int] = []
        manager: tuple[int, tuple[int, int, str] | None] | None = None
        for pid, status in dead:
            error = self.failed.pop(pid, None)
            if pid == self.manager:
                manager = status, error
                continue
            self.sequence += 1
            self.ended[self.sequence] = _Ended(pid, self.kids.pop(pid, ""), status, error)
            fresh.append(self.sequence)
        if self.live:
            self._report(fresh)
        return self._manager_ended(*manager) if manager else None

    def _read_errors(self) -> None:
        """What failed children wrote before they ended, or are about to end."""
        size = child.RECORD.size
        while True:
            try:
                data = os.read(self.errors, size * 1024)
            except BlockingIOError:
                return
            for i in range(0, len(data) - size + 1, size):
                pid, code, error, step = child.RECORD.unpack_from(data, i)
                self.failed[pid] = code, error, step.rstrip(b"\0").decode()

    def _report(self, numbers: list[int]) -> None:
        for seq in numbers:
            end = self.ended[seq]
            if end.error is not None:
                code, error, step = end.error
                self._send(wire.CHILDERR, [end.id, code, error, step])
        for i in range(0, len(numbers), 1000):
            part = numbers[i : i + 1000]
            self._send(wire.EXIT, [[seq, e.pid, e.id, e.status] for seq, e in ((s, self.ended[s]) for s in part)])


def _pidfds(pids: Sequence[int]) -> list[int]:
    """As many as there are descriptors left."""
    fds: list[int] = []
    for pid in pids:
        try:
            fds.append(os.pidfd_open(pid))
        except OSError:
            break
    return fds


def _noted(_number: int, _frame: object) -> None:
    """The wake-up pipe says it all."""


def _say(message: str) -> None:
    try:
        os.write(2, f"unitd: warden: {message}\n".encode("utf-8", "replace"))
    except OSError:
        return


def _cloexec(fd: int) -> None:
    try:
        os.set_inheritable(fd, False)
    except OSError as error:
        if error.errno != errno.EBADF:  # the listing's own
            raise


def _keep_standard_fds() -> None:
    """Sockets must not land on 0 to 2."""
    while (fd := os.open("/dev/null", os.O_RDWR)) <= 2:
        continue
    os.close(fd)


def main(argv: Sequence[str]) -> int:
    """`argv`: options, then "--" and the manager's command line. Returns the exit code."""
    arguments = list(argv)
    if "--" not in arguments or not arguments[arguments.index("--") + 1 :]:
        _say("cannot start without a manager's command line after --")
        return 2
    spawner.default_libc_signals()
    return Warden(arguments[arguments.index("--") + 1 :]).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The warden: forks and reaps every process, holds file descriptors, and keeps a manager running. The only module that waits.

    python -I -S PACKAGE/manager/warden.py --package-dir DIR -- MANAGER ARGS...

`DIR` holds the package `unitd`. The manager finds its end of the SEQPACKET socketpair in $UNITD_WARDEN_FD; $UNITD_BAG is what there is
to begin with (`bag`). Single-threaded, standard library only, prints nothing but its own failures, never wakes up without cause.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import resource
import select
import signal
import sys
import time

if __name__ == "__main__" and "--package-dir" in sys.argv[1:-1]:
    sys.path.insert(0, sys.argv[sys.argv.index("--package-dir") + 1])

from unitd.manager import bag, child, pidfd, spawner, wire
from unitd.manager.bag import Bag, Ended
from unitd.manager.keeper import STOPS, Keeper, say
from unitd.manager.spawner import Spawner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from unitd.manager.spec import SpawnSpec

_PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 15, 36
_FORWARDED = (*STOPS, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_OWN = "unitd:"  # ids of processes that are unitd's own
_CHECK = _OWN + "check"
_NOFILE = "UNITD_NOFILE"


class Warden:
    """One warden and its loop."""

    def __init__(self, command: Sequence[str], contents: Bag) -> None:
        """`command` starts the manager; `contents` is what an earlier warden, or manager, left."""
        self.kids: dict[int, str] = {}
        self.adopted: dict[int, int] = {}  # pid -> pidfd: somebody else is the parent
        self.ended = contents.ended  # by sequence number, until acknowledged
        self.failed: dict[int, tuple[int, int, str]] = {}  # by pid: failures read before the child was reaped
        self.sequence = contents.sequence
        self.store = contents.store
        self.reexec = False
        self._prepare()
        self.keeper = Keeper(command, self.spawner, self.epoll, contents)
        tells = bool(contents.kids) and pidfd.tells_status()
        for pid, id, fd in contents.kids:
            self.kids[pid] = id
            if fd >= 0:
                self.adopted[pid] = fd
                self.epoll.register(fd, pidfd.watch_mask(tells))

    def _prepare(self) -> None:
        _keep_standard_fds()
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2:
                _cloexec(int(name))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        soft = int(os.environ.setdefault(_NOFILE, str(soft)))  # of the first warden: services get it
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
        keeper = self.keeper
        keeper.start()
        self._reap()  # before the exec that made us somebody may have ended
        while True:
            pause = max(0.0, min(keeper.due.values()) - time.monotonic()) if keeper.due else None
            for fd, events in self.epoll.poll(pause):
                if fd == self.wake:
                    self._signals()
                elif keeper.channel is not None and fd == keeper.channel.sock.fileno():
                    if events & select.EPOLLOUT:
                        keeper.channel.flush()
                    if events & ~select.EPOLLOUT:
                        self._read()
                elif fd == keeper.timer:
                    keeper.timer_fired()
                else:
                    self._adopted_ended(fd)
            self._reap()
            now = time.monotonic()
            for what in [w for w, at in keeper.due.items() if at <= now]:
                del keeper.due[what]
                if what == "leave":
                    for pid in self._own():
                        self._kill(pid, signal.SIGKILL)
                else:
                    keeper.look(what)
            if keeper.quit_code is not None and not keeper.pid and not self._own():
                return keeper.quit_code
            keeper.watch_writable()

    def _own(self) -> list[int]:
        """Processes that are unitd's own: the logger."""
        return [pid for pid, id in self.kids.items() if id.startswith(_OWN)]

    def _kill(self, pid: int, number: int) -> None:
        try:
            if pid in self.adopted:
                signal.pidfd_send_signal(self.adopted[pid], number)
            else:
                os.kill(pid, number)
        except ProcessLookupError:
            return

    def _signals(self) -> None:
        try:
            numbers = os.read(self.wake, 4096)
        except BlockingIOError:
            return
        for number in numbers:
            if number in _FORWARDED:
                self.keeper.forward(number)

    def _exec_again(self) -> None:
        """Become the warden that is on disk now. Returns only where that fails."""
        kids = [(pid, id, self.adopted.get(pid, -1)) for pid, id in self.kids.items()]
        contents = Bag(kids, self.ended, self.sequence, self.store, self.keeper.waiting, self.keeper.stop_signal)
        self.reexec = False
        try:
            memfd = bag.pack(contents)
            os.execve(sys.executable, sys.orig_argv, {**os.environ, bag.VARIABLE: str(memfd)})  # noqa: S606 - itself
        except OSError as problem:
            say(f"cannot become the new warden, because of {problem}; going on with the old one")
        for fd in contents.fds():
            os.set_inheritable(fd, False)

    # -- messages

    def _read(self) -> None:
        while self.keeper.channel is not None:
            try:
                message = self.keeper.channel.receive()
            except EOFError:
                self.keeper.drop_channel()
                return
            if message is None:
                return
            kind, body, fds = message
            try:
                self._handle(kind, body, fds)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError, OSError) as problem:
                say(f"cannot act on the manager's message {kind!r}: {problem!r}")
            finally:
                for fd in fds:
                    os.close(fd)

    def _handle(self, kind: str, body: Any, fds: list[int]) -> None:
        """Act on one message. `fds` left in the list are closed by the caller."""
        if kind == wire.SPAWN:
            self._spawn(body, fds)
        elif kind == wire.ACK:
            for seq in [s for s in self.ended if s <= int(body)]:
                del self.ended[seq]
            if self.ended:
                self.keeper.expect_answer(again=True)
            else:
                self.keeper.due.pop("answer", None)
        elif kind == wire.PING:
            self.keeper.send(wire.PONG, body)
        elif kind == wire.WATCH:
            self.keeper.watch(None if body is None else float(body), fds)
        elif kind == wire.REEXEC:
            self._check_program()
        elif kind == wire.STORE:
            for name, count in body:
                for _ in range(int(count)):
                    self.store.setdefault(str(name), []).append(fds.pop(0))
        elif kind == wire.DROP:
            for fd in self.store.pop(str(body), ()):
                os.close(fd)
        elif kind == wire.QUIT:
            self.keeper.quit_code = int(body)
        elif kind == wire.HELLO:
            self._snapshot()
        else:
            say(f"cannot understand the manager's message {kind!r}")

    def _check_program(self) -> None:
        """Does the warden that is on disk run? Its answer ends the manager, see `_reap`."""
        words = sys.orig_argv
        argv = [*words[: words.index("--")], "--check", "--", *self.keeper.command]
        spec: SpawnSpec = {"id": _CHECK, "path": sys.executable, "argv": argv, "env": [f"{k}={v}" for k, v in os.environ.items()], "stdout": 0}
        self._spawn([spec], [2], quiet=True)

    def _checked(self, status: int) -> None:
        self.reexec = status == 0
        self.keeper.drop_reserve()
        if status:
            say("the warden on disk does not run; only the manager is replaced")
        if self.keeper.pid:
            os.kill(self.keeper.pid, signal.SIGKILL)

    def _spawn(self, specs: list[SpawnSpec], fds: list[int], quiet: bool = False) -> None:
        answers: list[list[object]] = []
        pidfds: list[int] = []
        for spec, (pid, problem, fd) in zip(specs, self.spawner.spawn(specs, fds), strict=True):
            if pid:
                self.kids[pid] = spec["id"]
            if fd >= 0:
                pidfds.append(fd)
            answers.append([spec["id"], pid, problem, fd >= 0])
        if quiet:
            for fd in pidfds:
                os.close(fd)
        else:
            self.keeper.send(wire.SPAWNED, answers, pidfds, consume=True)
        self._read_errors()  # the pipe holds 2000 and there may be more requests to read

    def _snapshot(self) -> None:
        """All a new manager has to know. The children are not reaped, so their numbers are theirs and pidfds can be had."""
        kids = [(pid, id) for pid, id in self.kids.items() if id != _CHECK]
        for i in range(0, len(kids), wire.MAX_FDS):
            part = kids[i : i + wire.MAX_FDS]
            self.keeper.send(wire.KIDS, part, self._pidfds([pid for pid, _ in part]), consume=True)
        self._report(list(self.ended))
        names: list[list[object]] = []
        fds: list[int] = []
        for name, held in self.store.items():
            for i in range(0, len(held), wire.MAX_FDS):
                part_fds = held[i : i + wire.MAX_FDS]
                if len(fds) + len(part_fds) > wire.MAX_FDS:
                    self.keeper.send(wire.STORE, names, fds)
                    names, fds = [], []
                names.append([name, len(part_fds)])
                fds += part_fds
        if names:
            self.keeper.send(wire.STORE, names, fds)
        self.keeper.send(wire.GO, None)
        self.keeper.greet()

    def _pidfds(self, pids: Sequence[int]) -> list[int]:
        """As many as there are descriptors left."""
        fds: list[int] = []
        for pid in pids:
            try:
                fds.append(os.dup(self.adopted[pid]) if pid in self.adopted else os.pidfd_open(pid))
            except OSError:
                break
        return fds

    # -- the dead

    def _reap(self) -> None:
        """Collect whoever ended."""
        dead: list[tuple[int, int]] = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if not os.WIFSTOPPED(status):
                dead.append((pid, status))
            elif pid == self.keeper.pid:
                self.keeper.stopped()
        if dead:
            self._read_errors()
            self._buried(dead)

    def _adopted_ended(self, fd: int) -> None:
        """Somebody else's child that is in our care ended."""
        pid = next((p for p, f in self.adopted.items() if f == fd), 0)
        if not pid:
            return
        status = pidfd.exit_status(fd)
        self.epoll.unregister(fd)
        os.close(self.adopted.pop(pid))
        self._buried([(pid, bag.UNKNOWN if status is None else status)])

    def _buried(self, dead: list[tuple[int, int]]) -> None:
        fresh: list[int] = []
        manager: tuple[int, tuple[int, int, str] | None] | None = None
        for pid, status in dead:
            error = self.failed.pop(pid, None)
            if pid == self.keeper.pid:
                manager = status, error
            elif self.keeper.is_reserve(pid):
                continue
            elif self.kids.get(pid) == _CHECK:
                del self.kids[pid]
                self._checked(status)
            else:
                self.sequence += 1
                self.ended[self.sequence] = Ended(pid, self.kids.pop(pid, ""), status, error)
                fresh.append(self.sequence)
        if self.keeper.live and fresh:
            self._report(fresh)
        if manager:
            if self.keeper.greeted:
                self._read()  # its last words may be QUIT
            self.keeper.drop_channel()
            if self.reexec and self.keeper.quit_code is None:
                self._exec_again()
            self.keeper.ended(*manager, alone=not self.kids)

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
        if numbers:
            self.keeper.expect_answer()
        for seq in numbers:
            end = self.ended[seq]
            if end.error is not None:
                code, error, step = end.error
                self.keeper.send(wire.CHILDERR, [end.id, code, error, step])
        for i in range(0, len(numbers), 1000):
            part = numbers[i : i + 1000]
            self.keeper.send(wire.EXIT, [[seq, e.pid, e.id, e.status] for seq, e in ((s, self.ended[s]) for s in part)])


def _noted(_number: int, _frame: object) -> None:
    """The wake-up pipe says it all."""


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
        say("cannot start without a manager's command line after --")
        return 2
    if "--check" in arguments[: arguments.index("--")]:
        return 0
    spawner.default_libc_signals()
    contents = Bag()
    try:
        contents = bag.unpack(int(os.environ.pop(bag.VARIABLE))) if bag.VARIABLE in os.environ else contents
    except (OSError, ValueError, KeyError, TypeError) as problem:
        say(f"cannot take over what the last warden left, because of {problem!r}")
    return Warden(arguments[arguments.index("--") + 1 :], contents).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

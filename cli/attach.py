"""The client's side of `run`: on this terminal, with this standard input and output, or without."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from unitd.bus.client import BusError, Unreachable

if TYPE_CHECKING:
    from unitd.bus.messages import Reply
    from unitd.cli.context import Context

#: Three of these within a second leave the service alone (^]).
LEAVE = b"\x1d"
_HOW = {1: "exited", 2: "killed", 3: "dumped"}


def plain(context: Context, request: dict[str, Any]) -> int:
    """Start it; with `wait`, see its end."""
    return report(context, request, ask(context, request))


def ask(context: Context, request: dict[str, Any]) -> Reply:
    """`run`; when the manager is replaced meanwhile its successor is asked for the end. Raises BusError."""
    if not request["unit"]:
        import uuid

        request["unit"] = f"run-r{uuid.uuid4().hex}"
    try:
        return context.client.call("run", **request)
    except Unreachable:
        if not request["wait"]:
            raise
    return context.client.call("await-end", [with_suffix(request["unit"])], wait=True)


def with_suffix(name: str) -> str:
    """The service's full name."""
    return name if name.endswith(".service") else name + ".service"


def report(context: Context, request: dict[str, Any], reply: Reply) -> int:
    """Say what became of it; the exit code: the command's, if it was waited for (as systemd-run's)."""
    if context.json:
        return context.dump(reply) or (status(reply.data) if reply.ok and request["wait"] else reply.exit_code)
    data = reply.data or {}
    if reply.err:
        sys.stderr.write(reply.err)
    if not reply.ok:
        return reply.exit_code or 1
    if not context.quiet:
        if data.get("trigger"):
            kind = data["trigger"].rpartition(".")[2]
            print(f"Running {kind} as unit: {data['trigger']}\nWill run service as unit: {data['unit']}", file=sys.stderr)
        else:
            print(f"Running as unit: {data['unit']}", file=sys.stderr)
    if not request["wait"]:
        return 0
    if not context.quiet:
        from unitd.cli.render import duration
        from unitd.units.values import signal_name

        how = f"status={data['status']}" if data["code"] == 1 else f"signal={signal_name(data['status'])}"
        lines = [f"Finished with result: {data['result']}"]
        if data["code"]:
            lines.append(f"Main processes terminated with: code={_HOW.get(data['code'], data['code'])}/{how}")
        lines.append(f"Service runtime: {duration(data['runtime'])}")
        print("\n".join(lines), file=sys.stderr)
    return status(data)


def status(data: dict[str, Any]) -> int:
    """The exit code for a service that ended."""
    if data["result"] == "success":
        return 0
    if data["result"] == "exit-code" and data["status"] > 0:
        return int(data["status"])
    return 255 if data["result"] in ("signal", "core-dump") else 1


# -- with our own standard input and output


def with_stdio(context: Context, request: dict[str, Any]) -> int:
    """The command reads our input, and writes our output and our errors itself."""
    import socket
    import uuid

    from unitd.bus.endpoint import path_of

    token = uuid.uuid4().hex
    path = os.path.join(os.path.dirname(path_of(context.client.endpoint)), "fds")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
        try:
            channel.connect(path)
            socket.send_fds(channel, [token.encode()], [0, 1, 2])
            answer = channel.recv(16)
        except OSError as error:
            raise BusError(f"cannot hand over standard input and output at {path}: {error.strerror}", "--pipe needs unitd on the same machine") from None
        if answer != b"ok":
            raise BusError("unitd did not take standard input and output", "only root and the user of unitd may use --pipe")
        context.quiet = True
        return report(context, request, ask(context, {**request, "fds": token}))


# -- on a terminal


def on_terminal(context: Context, request: dict[str, Any]) -> int:
    """The command gets a terminal of its own, which is shown on ours."""
    import signal
    import tty

    master, slave = os.openpty()
    copy_size(slave)
    own = ["StandardInput=tty", "StandardOutput=tty", "StandardError=tty", f"TTYPath={os.ttyname(slave)}"]
    if os.environ.get("TERM") and not any(p.startswith(('Environment="TERM=', "Environment=TERM=")) for p in request["properties"]):
        from unitd.units.transient import quote

        own.append("Environment=" + quote(f"TERM={os.environ['TERM']}"))
    request["properties"] = own + request["properties"]
    answers: list[Reply | BusError] = []
    wake, waker = os.pipe()

    def call() -> None:
        try:
            answers.append(ask(context, request))
        except BusError as error:
            answers.append(error)
        finally:
            os.close(waker)

    saved = None
    if sys.stdin.isatty():
        import termios

        saved = termios.tcgetattr(0)
        if not context.quiet:
            print("Press ^] three times within 1s to disconnect TTY.", file=sys.stderr)
        tty.setraw(0)
    before = signal.signal(signal.SIGWINCH, lambda *_: copy_size(slave))
    threading.Thread(target=call, daemon=True).start()
    try:
        left = not pump(master, wake)
    finally:
        signal.signal(signal.SIGWINCH, before)
        if saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)
    if left:
        print("\nDisconnected; the service goes on.", file=sys.stderr)
        return 0
    os.close(slave)
    drain(master)
    [answer] = answers
    if isinstance(answer, BusError):
        raise answer
    return report(context, request, answer)


def copy_size(slave: int) -> None:
    """Give the command's terminal the size of ours; the kernel tells the command."""
    import fcntl
    import termios

    for fd in (1, 0, 2):
        try:
            size = fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8)
        except OSError:
            continue
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        return


def pump(master: int, wake: int) -> bool:
    """Carry bytes both ways until the answer has come. False when the user has left."""
    import select

    inputs = [master, wake, 0]
    pressed: list[float] = []
    pending = b""
    while True:
        ready, writable, _ = select.select(inputs, [master] if pending else [], [])
        if writable:
            pending = pending[os.write(master, pending[:1024]) :]
        if master in ready:
            try:
                write_all(1, os.read(master, 65536))
            except OSError:  # the other end is closed
                inputs.remove(master)
        if 0 in ready and not pending:
            data = os.read(0, 65536)
            if not data:  # the end of our input is the end of the command's
                inputs.remove(0)
                pending = b"\x04"
                continue
            if data == LEAVE:
                now = time.monotonic()
                pressed = [at for at in pressed if now - at < 1.0] + [now]
                if len(pressed) == 3:
                    return False
            pending = data
        if wake in ready:
            return True


def drain(master: int) -> None:
    """Show what the command wrote last."""
    import select

    while select.select([master], [], [], 0)[0]:
        try:
            data = os.read(master, 65536)
        except OSError:
            return
        if not data:
            return
        write_all(1, data)


def write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]

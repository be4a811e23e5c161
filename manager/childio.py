"""Standard input, output and error of a new process, terminals included. Runs between fork and exec: see `child`."""

from __future__ import annotations

import fcntl
import os
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from unitd.manager.spec import SpawnSpec

_TIOCVHANGUP = 0x5437
# Looked up before the fork: see `child`.
_dup2, _open_file = os.dup2, os.open
_READ, _WRITE, _ALWAYS = os.O_RDONLY, os.O_WRONLY, os.O_CLOEXEC | os.O_NOCTTY


class SetupError(Exception):
    """A step failed: (exit code, step name, errno)."""

    def __init__(self, code: int, step: str, error: int) -> None:
        super().__init__(code, step, error)
        self.code, self.step, self.error = code, step, error


def _open(path: str | bytes, flags: int, code: int, step: str) -> int:
    try:
        return _open_file(path, flags | _ALWAYS, 0o666)
    except OSError as e:
        raise SetupError(code, step, e.errno or 0) from e


def _output_flags(mode: str) -> int:
    if mode == "tty":
        return os.O_WRONLY
    extra = {"append": os.O_APPEND, "truncate": os.O_TRUNC}.get(mode, 0)
    return os.O_WRONLY | os.O_CREAT | extra


def stdio(spec: SpawnSpec, fds: Sequence[int]) -> None:
    """Make 0, 1 and 2 what `spec` says. Raises SetupError."""
    tty = spec["tty"] if "tty" in spec else None
    if tty and tty[1]:
        source = _terminal(*tty)
    elif "stdin" in spec:
        source = fds[spec["stdin"]]
    else:
        shared = spec.get("stdout_mode") == "stdin" or spec.get("stderr_mode") == "stdin"
        source = _open(spec["stdin_path"] if "stdin_path" in spec else b"/dev/null", os.O_RDWR | os.O_CREAT if shared else _READ, 208, "STDIN")
    _place(source, 0, 208, "STDIN")
    if tty and not tty[1] and (tty[2] or tty[3]):
        os.close(_terminal(*tty))
    # stderr is found out first: its fd may be the warden's own 1 or 2, which the next dup2 replaces.
    error = -1
    if "stderr" in spec:
        error = fcntl.fcntl(fds[spec["stderr"]], fcntl.F_DUPFD_CLOEXEC, 3)
    if spec.get("stdout_mode") == "stdin":
        source = 0
    elif "stdout" in spec:
        source = fds[spec["stdout"]]
    elif "stdout_path" in spec:
        source = _open(spec["stdout_path"], _output_flags(spec.get("stdout_mode", "file")), 209, "STDOUT")
    else:
        source = _open(b"/dev/null", _WRITE, 209, "STDOUT")
    _place(source, 1, 209, "STDOUT")
    if spec.get("stderr_mode") == "stdin":
        error = 0
    elif error < 0 and "stderr_path" in spec:
        error = _open(spec["stderr_path"], _output_flags(spec.get("stderr_mode", "file")), 222, "STDERR")
    _place(error if error >= 0 else 1, 2, 222, "STDERR")


def _place(source: int, target: int, code: int, step: str) -> None:
    try:
        if source == target:
            os.set_inheritable(target, True)
        else:
            _dup2(source, target)
    except OSError as e:
        raise SetupError(code, step, e.errno or 0) from e


def _terminal(path: object, how: object, reset: object, vhangup: object) -> int:
    """Open the terminal and make it the controlling one as `how` says (StandardInput=tty, tty-force, tty-fail in systemd.exec(5)).

    With `tty` systemd waits until the terminal is free; here that is a failure, as with `tty-fail`.
    """
    try:
        if vhangup:
            fd = os.open(str(path), os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            fcntl.ioctl(fd, _TIOCVHANGUP)
            os.close(fd)
        fd = os.open(str(path), os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        if reset:
            _reset(fd)
        if how:
            fcntl.ioctl(fd, termios.TIOCSCTTY, 1 if how == "tty-force" else 0)
    except (OSError, termios.error) as e:
        raise SetupError(208, "STDIN", getattr(e, "errno", None) or e.args[0]) from e
    return fd


def _reset(fd: int) -> None:
    """Sane settings for a terminal that its last user may have left in any state."""
    fcntl.ioctl(fd, termios.TIOCNXCL)
    mode = termios.tcgetattr(fd)
    mode[0] = (mode[0] & ~(termios.IGNBRK | termios.BRKINT | termios.ISTRIP | termios.INLCR | termios.IGNCR)) | termios.ICRNL
    mode[1] |= termios.ONLCR | termios.OPOST
    mode[2] |= termios.CREAD
    mode[3] = termios.ISIG | termios.ICANON | termios.IEXTEN | termios.ECHO | termios.ECHOE | termios.ECHOK | termios.ECHOCTL | termios.ECHOKE
    termios.tcsetattr(fd, termios.TCSANOW, mode)

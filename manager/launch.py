"""`unitd`: reads the command line, refuses a second manager, and becomes the warden."""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import sys
import time
import uuid
from collections.abc import Mapping

import msgspec

import unitd
from unitd.bus.endpoint import runtime_dir
from unitd.manager import patience, salvage, takeover, unitcache
from unitd.manager.config import Config, ConfigError, default_path, load
from unitd.units.suffix import with_suffix


def parser() -> argparse.ArgumentParser:
    """The command line of `unitd`."""
    p = argparse.ArgumentParser(prog="unitd", description="A systemd-style unit manager: keeps the services of a directory of unit files running.")
    p.add_argument("--unit-path", metavar="DIR[:DIR...]", help="where unit files are, most important first")
    p.add_argument("--runtime-dir", metavar="DIR", help="where the bus and the state are")
    p.add_argument("--log-dir", metavar="DIR", help="where captured output goes")
    p.add_argument("--state-dir", metavar="DIR", help="where stamps of timers are kept")
    p.add_argument("--config", metavar="FILE", help="unitd.conf to read")
    p.add_argument("--start", metavar="default|all|none|UNIT,...", help="what to start at first")
    p.add_argument("--exit-on", metavar="UNIT", help="start this unit as well, and end with its exit code when it has ended")
    p.add_argument("--daemon", action="store_true", help="go to the background")
    p.add_argument("--pidfile", metavar="FILE", help="with --daemon: where to write the process ID")
    p.add_argument("--log-level", metavar="LEVEL", choices=["debug", "info", "warning", "error"], help="of unitd's own messages")
    p.add_argument("--log-format", choices=["plain", "prefix", "json"], help="show all services' output on standard output as well, in this form")
    p.add_argument("--version", action="version", version=f"unitd {unitd.__version__}")
    return p


def settings(arguments: argparse.Namespace, environ: dict[str, str], uid: int) -> Config:
    """Command line over unitd.conf over defaults. Raises ConfigError."""
    path = arguments.config or default_path(uid, environ)
    config = load(path, required=bool(arguments.config))
    changes: dict[str, object] = {}
    if arguments.unit_path:
        changes["unit_path"] = tuple(os.path.abspath(d) for d in arguments.unit_path.split(":") if d)
    if arguments.runtime_dir:
        changes["runtime_dir"] = os.path.abspath(arguments.runtime_dir)
    if arguments.log_dir:
        changes["log_dir"] = os.path.abspath(arguments.log_dir)
    if arguments.state_dir:
        changes["state_dir"] = os.path.abspath(arguments.state_dir)
    if arguments.start:
        changes["start"] = arguments.start
    if arguments.log_format:
        changes.update(log_format=arguments.log_format, log_console=True)
    if arguments.exit_on:
        changes["exit_on"] = arguments.exit_on
    if arguments.log_level:
        changes["log_level"] = arguments.log_level
    config = msgspec.structs.replace(config, **changes)
    if config.exit_on:
        config = msgspec.structs.replace(config, exit_on=with_suffix(config.exit_on))
    if not config.runtime_dir:
        config = msgspec.structs.replace(config, runtime_dir=runtime_dir(uid, environ))
    home = environ.get("XDG_STATE_HOME") or os.path.join(environ.get("HOME", "/"), ".local/state")
    if not config.state_dir:
        config = msgspec.structs.replace(config, state_dir="/var/lib/unitd" if uid == 0 else os.path.join(home, "unitd"))
    if not config.log_dir:
        config = msgspec.structs.replace(config, log_dir="/var/log/unitd" if uid == 0 else os.path.join(home, "unitd/log"))
    return config


def fail(message: str, code: int = 1) -> int:
    print(f"unitd: {message}", file=sys.stderr)
    return code


def take_runtime_dir(path: str, patience: float = 0.0) -> int:
    """Make the runtime directory and lock it; the lock's descriptor. Raises OSError (EWOULDBLOCK: another unitd has it).

    A manager that is about to die with its warden may hold the lock for `patience` seconds more.
    """
    os.makedirs(path, mode=0o751, exist_ok=True)
    if os.stat(path).st_uid != os.getuid():
        raise PermissionError(errno.EPERM, f"{path} belongs to somebody else")
    os.chmod(path, 0o751)  # services of other users reach the notify socket through it; they can list nothing
    lock = os.open(os.path.join(path, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.02)
        else:
            return lock


def main(argv: list[str] | None = None) -> int:
    """Entry point of the `unitd` command. Returns only on an error."""
    arguments = parser().parse_args(argv)
    given = salvage.handed_over(os.environ)
    try:
        config = settings(arguments, dict(os.environ), os.getuid())
    except ConfigError as error:
        for problem in error.problems:
            print(f"unitd: {problem}", file=sys.stderr)
        return 2
    if len(os.path.join(config.runtime_dir, "events")) > 100:
        return fail(f"cannot use {config.runtime_dir} as runtime directory, because socket paths end at 107 characters; try a shorter --runtime-dir", 2)
    if arguments.pidfile and not arguments.daemon:
        return fail("--pidfile goes with --daemon", 2)
    try:
        lock = take_runtime_dir(config.runtime_dir, 5.0 if supervised(os.environ) else 0.0)
        os.makedirs(config.log_dir, mode=0o755, exist_ok=True)
    except BlockingIOError:
        return fail(f"cannot start, because another unitd runs on {config.runtime_dir}; talk to it with unitctl, or choose another --runtime-dir")
    except OSError as error:
        return fail(f"cannot start, because {error.filename or config.runtime_dir}: {error.strerror}; choose --runtime-dir and --log-dir that you may write")
    if arguments.daemon:
        daemonize(arguments.pidfile, lock, config.log_dir)
    begin(config, lock, given)
    return 1


def daemonize(pid_path: str | None, lock: int, log_dir: str) -> None:
    """Go to the background (python-daemon); unitd's own messages go to LOG_DIR/unitd.log."""
    import daemon

    path = os.path.abspath(pid_path) if pid_path else None
    messages = open(os.path.join(log_dir, "unitd.log"), "a", encoding="utf-8")  # noqa: SIM115 - lives on as stderr
    context = daemon.DaemonContext(
        working_directory="/", umask=0o022, files_preserve=[lock, messages], stdout=messages, stderr=messages, pidfile=None, detach_process=True
    )
    context.open()
    if path:
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
        os.environ["UNITD_PIDFILE"] = path  # the manager removes it at the end


def begin(config: Config, lock: int, given: dict[str, list[int]]) -> None:
    """Become the warden of a new life, or of one that was cut off and of which something still runs. `given` are systemd's descriptors."""
    environ = dict(os.environ)
    environ[takeover.CONFIG] = msgspec.json.encode(config).decode()
    unitcache.forget(os.path.join(config.runtime_dir, "units.cache"))
    found = salvage.look(config.runtime_dir, given)
    for message in found.messages:
        print(f"unitd: {message}", file=sys.stderr, flush=True)
    environ[takeover.LIFE] = found.life or uuid.uuid4().hex
    environ[takeover.OWNER] = found.owner or str(os.getpid())
    for name in (takeover.SYSTEMD, takeover.DOORS):
        environ.pop(name, None)
    if found.doors:
        environ[takeover.DOORS] = "systemd"
    if supervised(environ):
        environ[takeover.SYSTEMD] = "1"
        environ[takeover.FORGET] = " ".join(found.forget)
    environ[patience.STANDBY] = str(int(config.standby))
    environ[patience.HANG] = "inf" if config.hang_timeout is None else str(config.hang_timeout)
    found.bag.store[takeover.LOCK] = [lock]
    takeover.become_warden(found.bag, environ)


def supervised(environ: Mapping[str, str]) -> bool:
    """Were we started by a systemd that restarts us, and keeps descriptors for us?"""
    return bool(environ.get("NOTIFY_SOCKET")) and bool(environ.get("INVOCATION_ID"))


if __name__ == "__main__":
    sys.exit(main())

"""The manager's side of captured output: a pipe for each unit (or one for each stream), held in the warden's store so that neither end is lost."""

from __future__ import annotations

import fcntl
import grp
import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from unitd.bus import logstore
from unitd.manager import journal, logpipe, users
from unitd.manager.rolling import Limits
from unitd.units.model import Unit

if TYPE_CHECKING:
    from unitd.manager.config import Config
    from unitd.manager.consolelink import ConsoleLink
    from unitd.manager.link import WardenLink
    from unitd.manager.loglink import LogLink

log = logging.getLogger("unitd")
#: What StandardOutput= may say and still mean: unitd captures it.
CAPTURED = ("journal", "inherit", "syslog", "kmsg", "journal+console", "kmsg+console", "syslog+console")
#: Names in the warden's store: the pipe of a unit, and the one of its stderr where it has its own.
STORES = ("log", "err")
#: Begins the name of what is left of such a pipe once its unit is forgotten: the end to read from.
ENDING = "ending-"


class Ends(NamedTuple):
    """Descriptors for a service. None: not ours to give, or for `err` the same as `out`. `temporary` ones are to be closed after the spawn."""

    out: int | None
    err: int | None
    temporary: list[int]
    journal_stream: str = ""


class Pipe(NamedTuple):
    """Both ends of a pipe."""

    reader: int
    writer: int


def limits_of(unit: Unit | None, config: Config) -> Limits:
    """What a unit's log may take: its own settings over those of unitd.conf."""
    found = Limits(
        config.log_max_size, config.log_max_files, config.log_max_age, config.log_compress, config.log_rate_limit_interval, config.log_rate_limit_burst
    )
    if unit is not None:
        own, e = unit.log, unit.exec
        found.max_size = found.max_size if own.max_size is None else own.max_size
        found.max_files = found.max_files if own.max_files is None else own.max_files
        found.max_age = found.max_age if own.max_age is None else own.max_age
        found.compress = own.compress or found.compress
        found.rate_interval = found.rate_interval if e.log_rate_limit_interval is None else e.log_rate_limit_interval
        found.rate_burst = found.rate_burst if e.log_rate_limit_burst is None else e.log_rate_limit_burst
    return found


def readers_gid(config: Config) -> int:
    """The group that may read logs, -1 for our own."""
    for name in [config.log_group] if config.log_group else ["adm"] if os.geteuid() == 0 else []:
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            continue
    return -1


class Output:
    """Pipes by unit name; the logger reads them, services write them."""

    def __init__(
        self, log: LogLink, link: WardenLink, console: ConsoleLink, log_dir: str, config: Config, find: Callable[[str], Unit | None]
    ) -> None:
        """`find` gives a loaded unit by its name."""
        self.log, self.link, self.console, self.log_dir, self.config, self.find = log, link, console, log_dir, config, find
        self.pipes: dict[str, dict[str, Pipe]] = {}  # unit -> store -> pipe
        self.ending: dict[str, dict[str, int]] = {}  # forgotten unit -> store -> end to read from
        log.on_closed = self.closed
        self.groups: dict[str, int] = {}
        self.invocations: dict[str, str] = {}
        self.readers = readers_gid(config)
        try:
            logstore.link_log_dir(config.runtime_dir, log_dir)
        except OSError as error:
            logging.getLogger("unitd").warning("unitctl logs will not find %s without a manager: %s", log_dir, error)
        log.sync(config.log_sync != "never", 0.0 if config.log_sync in ("never", "rotate") else float(config.log_sync))

    def directory(self, unit: str) -> str:
        """Where the unit's output is kept."""
        return os.path.join(self.log_dir, unit)

    def descriptors(self, unit: Unit, invocation: str = "") -> Ends:
        """Where the unit's stdout and stderr go, as far as that is unitd's pipe or the real journal."""
        first = self._kind(unit, "StandardOutput", unit.exec.standard_output)
        second = first if unit.exec.standard_error == "inherit" else self._kind(unit, "StandardError", unit.exec.standard_error)
        stream = self._journal(unit) if "journal" in (first, second) else -1
        if stream < 0:
            first, second = first and "pipe", second and "pipe"
        pipes = self._pipes(unit, invocation) if "pipe" in (first, second) else {}
        out, err = (stream if kind == "journal" else pipes[store].writer if kind else None for kind, store in ((first, "log"), (second, "err")))
        return Ends(out, None if err == out else err, [stream] if stream >= 0 else [], journal.stream_name(stream) if stream >= 0 else "")

    @staticmethod
    def _kind(unit: Unit, directive: str, setting: str) -> str:
        """"journal" for who asks for it by name, "pipe" for what is captured, "" for the rest."""
        if setting not in CAPTURED:
            return ""
        return "journal" if setting.startswith("journal") and unit.settings.get(("Service", directive)) else "pipe"

    def _journal(self, unit: Unit) -> int:
        """-1 where there is none: then unitd captures."""
        path = self.config.journal_socket
        if not path or not os.path.exists(path):
            return -1
        command = next((c for c in unit.service.exec_start), None)
        identifier = unit.exec.syslog_identifier or (os.path.basename(command.path) if command else unit.name)
        try:
            return journal.open_stream(unit.name, identifier, path)
        except OSError as error:
            log.warning("%s: its output is captured, because the journal at %s cannot be reached: %s", unit.name, path, error.strerror)
            return -1

    def _pipes(self, unit: Unit, invocation: str) -> dict[str, Pipe]:
        """Both pipes by name, the same one twice where the streams share it; made if need be."""
        name, have = unit.name, self.pipes.setdefault(unit.name, {})
        for store, reader in self.ending.pop(name, {}).items():
            have[store] = Pipe(reader, logpipe.writer_of(reader))
            self.link.store(f"{store}:{name}", list(have[store]))
            self.link.drop(f"{ENDING}{store}:{name}")
        wanted = STORES if unit.log.streams == "separate" else STORES[:1]
        new = [store for store in wanted if store not in have]
        if self.console.wanted(unit):
            self.console.show(unit, self.directory(name))
        for store in new:
            have[store] = Pipe(*logpipe.make_pipe())
            self.link.store(f"{store}:{name}", list(have[store]))
        begins = bool(invocation) and self.invocations.get(name) != invocation
        if begins:
            self.invocations[name] = invocation
        if new:
            self._open(name, unit, (time.time_ns() // 1000, invocation) if begins else None)
        else:
            self.refresh(name)
            if begins:
                left = sum(logpipe.pending_bytes(pipe.reader) for pipe in have.values())
                self.log.begin(name, invocation, time.time_ns() // 1000, left)
        return {"log": have["log"], "err": have["err" if "err" in wanted else "log"]}

    def forget(self, name: str) -> None:
        """The unit is gone. Its pipes go when nobody can write to them any more and all that was written is in the file."""
        for store, pipe in self.pipes.pop(name, {}).items():
            self.link.store(f"{ENDING}{store}:{name}", [pipe.reader])
            self.link.drop(f"{store}:{name}")
            os.close(pipe.writer)
            self.ending.setdefault(name, {})[store] = pipe.reader
        self.invocations.pop(name, None)

    def closed(self, name: str) -> None:
        """The logger has come to the end of a unit's pipes: of one that is gone, or that was gone and is here again."""
        if name in self.pipes:
            self._open(name, self.find(name))
            return
        self.log.close(name)
        for store, reader in self.ending.pop(name, {}).items():
            self.link.drop(f"{ENDING}{store}:{name}")
            os.close(reader)
        self.groups.pop(name, None)
        self.console.shown.discard(name)

    def restore(self, store: str, name: str, fds: list[int]) -> None:
        """Take back a pipe that an earlier manager had made, or what is left of one."""
        if store.startswith(ENDING) and len(fds) == 1:
            self.ending.setdefault(name, {})[store.removeprefix(ENDING)] = fds[0]
            return
        if len(fds) != 2:
            for fd in fds:
                os.close(fd)
            return
        # The store keeps no order: the read end is the one that cannot be written.
        self.pipes.setdefault(name, {})[store] = Pipe(*sorted(fds, key=_is_writable))
        if "log" in self.pipes[name]:
            self._open(name, self.find(name))

    def show_restored(self) -> None:
        """Have the console go on; a process that lived through it knows already. What forgotten units wrote last is on its way still."""
        for name in list(self.ending):
            if name in self.pipes or "log" not in self.ending[name]:  # the last manager died over it
                for store, reader in self.ending.pop(name).items():
                    self.link.drop(f"{ENDING}{store}:{name}")
                    os.close(reader)
            else:
                self._open(name, None)
        for name in self.pipes:
            unit = self.find(name)
            if unit is not None and self.console.wanted(unit):
                self.console.show(unit, self.directory(name))

    def refresh(self, name: str) -> None:
        """Tell the logger settings that may have changed."""
        unit = self.find(name)
        if name in self.pipes and unit is not None:
            self.log.change(name, limits_of(unit, self.config), 0o640, self.groups[name], unit.exec.syslog_identifier)

    def refresh_all(self) -> None:
        """After a reload."""
        for name in self.pipes:
            self.refresh(name)

    def _group(self, unit: Unit | None) -> int:
        """A service that runs as somebody else may read its own log, through its group."""
        if unit is not None and os.geteuid() == 0 and (unit.exec.user or unit.exec.group):
            try:
                gid = users.resolve_user(unit.exec).gid
            except users.UserError:
                gid = None
            return self.readers if gid is None else gid
        return self.readers

    def _open(self, name: str, unit: Unit | None, begin: tuple[int, str] | None = None) -> None:
        self.groups[name] = self._group(unit)
        readers = self.ending.get(name) or {store: pipe.reader for store, pipe in self.pipes[name].items()}
        self.log.open(
            name,
            self.directory(name),
            readers["log"],
            err_fd=readers.get("err"),
            limits=limits_of(unit, self.config),
            gid=self.groups[name],
            identifier=unit.exec.syslog_identifier if unit is not None else "",
            begin=begin,
        )


def _is_writable(fd: int) -> bool:
    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE)

"""The manager's memory over its own death: every unit's record in SQLite under the runtime directory."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable

import msgspec

from unitd.bus.messages import scrub
from unitd.manager import procinfo
from unitd.manager.states import Record

log = logging.getLogger("unitd")

#: Raised with every change that an older unitd could not read. Fields that are added to `Record` with a default are none.
VERSION = 2


class Unreadable(Exception):
    """The state cannot be used; the text says why."""


class StateStore:
    """Records by unit name, for one life: from the first start of a warden over all its successors to an orderly end."""

    def __init__(self, path: str, life: str, distrust: bool = False) -> None:
        """`path` of the database, `life` names the life that its content has to belong to; that of another is dropped.

        A file that cannot be read (damaged, or of a newer version; or which is not to be trusted) is set aside and an empty one is made:
        services run on and the manager makes their records anew. `problem` says so then.
        """
        self.path, self.life, self.problem = path, life, ""
        self._processes: dict[tuple[str, str], tuple[int, str]] = {}
        self._broken = self._beside = False
        self._owed: dict[str, Record | None] = {}  # what could not be written: records, None for one to delete
        self._owed_notes: dict[str, str] = {}
        self._loaded: list[tuple[str, bytes]] = []
        self._jobs: list[tuple[str, str]] = []
        self._written_jobs: dict[str, str] = {}  # as the table has them
        try:
            if distrust:
                raise Unreadable("managers crash with it")
            self.db = self._open()
        except (sqlite3.DatabaseError, Unreadable, OSError) as error:
            if not _is_circumstance(error):
                self.problem = f"cannot use {path}, because {error}; it is moved to {set_aside(path)}, and services run on"
            self.db = self._open_anywhere()

    def _open_anywhere(self) -> sqlite3.Connection:
        """The file, or memory while there can be none: on a full disk services run as well."""
        try:
            return self._open()
        except (sqlite3.Error, OSError) as error:
            self.problem += "; " if self.problem else ""
            self.problem += f"cannot write {self.path}, because {error}; until it can be written, a new manager will not know what happened"
            self._beside = self._broken = True
            return self._open(":memory:")

    def _open(self, path: str = "") -> sqlite3.Connection:
        if not path:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # the files beside it take their mode from it
        db = sqlite3.connect(path or self.path, isolation_level=None)
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        # The file lives in the runtime directory: it has to outlive this process, not the machine.
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=OFF")
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise Unreadable(f"it is from a newer unitd (format {version}, this one knows {VERSION})")
        self.continued = False
        if version == VERSION:
            row = db.execute("SELECT value FROM meta WHERE key = 'life'").fetchone()
            self.continued = row is not None and row[0] == self.life
        if self.continued:  # read all of it now: a file that is cut off shows it here
            self._loaded = list(db.execute("SELECT name, data FROM record"))
            self._jobs = list(db.execute("SELECT unit, type FROM job"))
            self._written_jobs = dict(self._jobs)
            self._processes = {(unit, role): (pid, token) for unit, role, pid, token in db.execute("SELECT unit, role, pid, token FROM process")}
            return
        db.execute("BEGIN")
        for table in ("meta", "record", "job", "process"):
            db.execute(f"DROP TABLE IF EXISTS {table}")
        db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)")
        db.execute("CREATE TABLE record (name TEXT PRIMARY KEY, data BLOB)")
        db.execute("CREATE TABLE job (unit TEXT PRIMARY KEY, type TEXT)")
        db.execute("CREATE TABLE process (unit TEXT, role TEXT, pid INTEGER, token TEXT, start INTEGER, PRIMARY KEY (unit, role))")
        db.executemany("INSERT INTO meta VALUES (?, ?)", [("life", self.life), ("boot", procinfo.boot_id())])
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")

    def note(self, key: str, value: str) -> None:
        """Keep a word for whoever salvages this life. Like `save` it does not fail."""
        if self.recall(key) != value:
            self._owed_notes[key] = value
            self.save((), None)

    def recall(self, key: str) -> str:
        """What was noted in this life; empty if nothing was."""
        if key in self._owed_notes:
            return self._owed_notes[key]
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def load(self) -> tuple[list[Record], list[str]]:
        """All records, and a sentence for each that cannot be read."""
        records, problems = [], []
        for name, data in self._loaded:
            try:
                records.append(msgspec.json.decode(data, type=Record))
            except msgspec.MsgspecError as error:
                problems.append(f"cannot read the record of {name}: {error}")
        self._loaded = []
        return records, problems

    def load_jobs(self) -> list[tuple[str, str]]:
        """(unit, job type) of the jobs that were under way."""
        return self._jobs

    def save(self, records: Iterable[Record], jobs: dict[str, str] | None, forgotten: Iterable[str] = ()) -> bool:
        """Write these records and the present jobs (None: as they were), delete the records of forgotten units, in one transaction.

        A failure is logged, once; services come before their memory. False: what was to be written is still to be written, by the next call.
        """
        self._owed.update(dict.fromkeys(forgotten))
        self._owed.update((r.name, r) for r in records)
        try:
            self._leave_memory()
            processes = self._new_processes([r for r in self._owed.values() if r is not None])
            self.db.execute("BEGIN")
            self.db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", self._owed_notes.items())
            self.db.executemany("DELETE FROM record WHERE name = ?", [(name,) for name, r in self._owed.items() if r is None])
            self.db.executemany("INSERT OR REPLACE INTO record VALUES (?, ?)", [(r.name, _encode(r)) for r in self._owed.values() if r is not None])
            self.db.executemany("INSERT OR REPLACE INTO process VALUES (?, ?, ?, ?, ?)", processes)
            if jobs is not None:
                self.db.executemany("DELETE FROM job WHERE unit = ?", [(unit,) for unit in self._written_jobs.keys() - jobs.keys()])
                self.db.executemany("INSERT OR REPLACE INTO job VALUES (?, ?)", [job for job in jobs.items() if self._written_jobs.get(job[0]) != job[1]])
            self.db.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            if not self._broken:
                log.error("cannot write %s, because %s; should the manager be replaced now, it will not know what happened since", self.path, error)
            self._broken = True
            return False
        if jobs is not None:
            self._written_jobs = dict(jobs)
        self._processes.update(((unit, role), (pid, token)) for unit, role, pid, token, _ in processes)
        self._owed.clear()
        self._owed_notes.clear()
        if self._broken and not self._beside:
            self._broken = False
            log.info("%s can be written again", self.path)
        return not self._beside

    def _leave_memory(self) -> None:
        """Take what had to be kept in memory to the file, if that can be written now."""
        if not self._beside:
            return
        ours = self._processes, self._written_jobs, self.continued
        try:
            found = self._open()
        except (sqlite3.Error, OSError, Unreadable):
            return
        finally:
            self._processes, self._written_jobs, self.continued = ours
            self._loaded = []
        try:
            self.db.backup(found)
        except sqlite3.Error:
            found.close()
            return
        self.db.close()
        self.db, self._beside = found, False

    def _new_processes(self, records: list[Record]) -> list[tuple[str, str, int, str, int]]:
        """Rows of processes that were not known yet: with the start time a pid names one process for good."""
        rows = []
        for r in records:
            for role, pid, token in (("main", r.main_pid, r.main_token), ("control", r.control_pid, r.control_token)):
                if pid > 0 and self._processes.get((r.name, role)) != (pid, token):
                    rows.append((r.name, role, pid, token, procinfo.start_time(pid)))
        return rows

    def close(self, over: bool = True) -> None:
        """Close the file. `over`: this life has ended in order, nothing of it runs."""
        if over:
            try:
                self.db.execute("DELETE FROM meta WHERE key = 'life'")
            except sqlite3.Error as error:
                log.error("cannot write %s, because %s", self.path, error)
        self.db.close()


def _encode(record: Record) -> bytes:
    """As JSON. Text that is not UTF-8 (names of files, in failures) is written with backslashes."""
    try:
        return msgspec.json.encode(record)
    except UnicodeEncodeError:
        return msgspec.json.encode(scrub(msgspec.to_builtins(record)))


def _is_circumstance(error: Exception) -> bool:
    """Is it the disk, and not what is written there?"""
    if isinstance(error, OSError):
        return True
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM)


def set_aside(path: str) -> str:
    """Move a database with the files beside it out of the way; its new path."""
    for suffix in ("", "-wal", "-shm"):
        try:
            os.replace(path + suffix, path + ".bad" + suffix)
        except FileNotFoundError:
            continue
    return path + ".bad"

"""The manager's memory over its own death: every unit's record in SQLite under the runtime directory."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable

import msgspec

from unitd.manager.states import Record

VERSION = 1


class StateStore:
    """Records by unit name, for one life of one warden: with another warden the old content is dropped."""

    def __init__(self, path: str, warden: str) -> None:
        """`path` of the database, `warden` names the warden that the content belongs to (its pid and start time).

        A file that cannot be read (damaged, or of another version) is set aside and an empty one made: services run on.
        """
        self.path, self.problem = path, ""
        try:
            self.db = self._open(warden)
        except sqlite3.DatabaseError as error:
            os.replace(path, path + ".bad")
            self.problem = f"cannot read {path}: {error}; moved to {path}.bad and begun anew"
            self.db = self._open(warden)

    def _open(self, warden: str) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # the files beside it take their mode from it
        db = sqlite3.connect(self.path, isolation_level=None)
        # The file lives in the runtime directory: it has to outlive this process, not the machine.
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=OFF")
        db.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT)")
        db.execute("CREATE TABLE IF NOT EXISTS record (name TEXT PRIMARY KEY, data BLOB)")
        db.execute("CREATE TABLE IF NOT EXISTS job (unit TEXT PRIMARY KEY, type TEXT)")
        owner = f"{VERSION}:{warden}"
        row = db.execute("SELECT value FROM meta WHERE key = 'owner'").fetchone()
        self.continued = row is not None and row[0] == owner
        if not self.continued:
            db.execute("DELETE FROM record")
            db.execute("DELETE FROM job")
            db.execute("INSERT OR REPLACE INTO meta VALUES ('owner', ?)", (owner,))
        return db

    def load(self) -> tuple[list[Record], list[str]]:
        """All records, and a sentence for each that cannot be read."""
        records, problems = [], []
        for name, data in self.db.execute("SELECT name, data FROM record"):
            try:
                records.append(msgspec.json.decode(data, type=Record))
            except msgspec.MsgspecError as error:
                problems.append(f"cannot read the record of {name}: {error}")
        return records, problems

    def load_jobs(self) -> list[tuple[str, str]]:
        """(unit, job type) of the jobs that were under way."""
        return list(self.db.execute("SELECT unit, type FROM job"))

    def save(self, records: Iterable[Record], jobs: dict[str, str]) -> None:
        """Write these records and the present jobs in one transaction."""
        self.db.execute("BEGIN")
        self.db.executemany("INSERT OR REPLACE INTO record VALUES (?, ?)", [(r.name, msgspec.json.encode(r)) for r in records])
        self.db.execute("DELETE FROM job")
        self.db.executemany("INSERT INTO job VALUES (?, ?)", list(jobs.items()))
        self.db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self.db.close()

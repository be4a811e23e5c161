"""A service's credentials: a directory of files that only its user may read (systemd.exec(5), CREDENTIALS; systemd.io/CREDENTIALS)."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator

from unitd.units.model import ExecContext

#: Where LoadCredential= looks for what is not an absolute path.
STORES = ("/etc/credstore", "/run/credstore", "/usr/local/lib/credstore", "/usr/lib/credstore")
MAX_TOTAL = 1024 * 1024


class CredentialError(Exception):
    """A credential cannot be given to the service; the process would have ended with 243."""


def prepare(context: ExecContext, directory: str, uid: int, gid: int, stores: tuple[str, ...] = STORES) -> None:
    """Make `directory` anew with the credentials that the unit asks for, readable for `uid` alone. LoadCredential= wins over SetCredential=.

    Raises CredentialError.
    """
    found: dict[str, bytes] = {}
    wanted = dict(context.set_credentials)
    for name, source in context.load_credentials:
        for part, data in _load(name, source, name in wanted, stores):
            found.setdefault(part, data)
    for name, data in wanted.items():
        found.setdefault(name, data)
    total = sum(len(name) + len(data) for name, data in found.items())
    if total > MAX_TOTAL:
        raise CredentialError(f"its credentials have {total} bytes, and {MAX_TOTAL} is the limit")
    try:
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(os.path.dirname(directory), 0o755, exist_ok=True)
        os.mkdir(directory, 0o700)
        for name, data in found.items():
            fd = os.open(os.path.join(directory, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o400)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                os.fchown(file.fileno(), uid, gid)
        os.chown(directory, uid, gid)
        os.chmod(directory, 0o500)
    except OSError as error:
        raise CredentialError(f"cannot write {error.filename or directory}: {error.strerror}") from None


def _load(name: str, source: str, fallback: bool, stores: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """(name, data) of one LoadCredential=; a directory gives one for each of its files. One that is in no store may be missing."""
    paths = [source] if source.startswith("/") else [os.path.join(store, source or name) for store in stores]
    for path in paths:
        try:
            mode = os.stat(path).st_mode
            if stat.S_ISDIR(mode):
                for entry in sorted(os.listdir(path)):
                    inner = os.path.join(path, entry)
                    if stat.S_ISREG(os.stat(inner).st_mode):
                        yield f"{name}_{entry}", _read(inner)
            elif stat.S_ISREG(mode):
                yield name, _read(path)
            else:
                raise CredentialError(f"cannot load the credential {name} from {path}, because it is neither a file nor a directory")
            return
        except FileNotFoundError:
            continue
        except OSError as error:
            raise CredentialError(f"cannot load the credential {name} from {path}: {error.strerror}") from None
    if source.startswith("/") and not fallback:
        raise CredentialError(f"cannot load the credential {name}, because there is no {source}")


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MAX_TOTAL + 1)


def remove(directory: str) -> None:
    """The service is down: its credentials go."""
    shutil.rmtree(directory, ignore_errors=True)

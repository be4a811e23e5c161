"""Where the bus is. Imports next to nothing: unitctl starts in milliseconds."""

import sys
from posix import environ as environment
from posix import getuid, stat

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    from collections.abc import Mapping


class BadEndpoint(ValueError):
    """An endpoint that cannot be used; the text says why."""


def runtime_dir(uid: int, environ: "Mapping[str, str]") -> str:
    """The manager's runtime directory: /run/unitd for root, else below $XDG_RUNTIME_DIR, else /tmp/unitd-UID."""
    if uid == 0:
        return "/run/unitd"
    base = environ.get("XDG_RUNTIME_DIR", "")
    return f"{base}/unitd" if base.startswith("/") else f"/tmp/unitd-{uid}"


def find(bus: str | None, environ: "Mapping[str, str]", uid: int) -> str:
    """The endpoint of the bus: `bus` (from --bus), else $UNITD_BUS, else the runtime directory's. Raises BadEndpoint.

    Taken are `ipc://PATH`, a socket's path, and a runtime directory.
    """
    wanted = bus or environ.get("UNITD_BUS") or f"{runtime_dir(uid, environ)}/bus"
    path = wanted.removeprefix("ipc://")
    if "://" in path:
        raise BadEndpoint(f"cannot use the bus {wanted!r}, because only ipc:// is supported")
    if not path:
        raise BadEndpoint("cannot use an empty path as the bus")
    if not path.startswith("/") or path.endswith(("/", "/.", "/..")) or "//" in path or "/./" in path or "/../" in path:
        from os.path import abspath  # a millisecond that absolute paths need not spend

        path = abspath(path)
    return f"ipc://{path}/bus" if _is_directory(path) else f"ipc://{path}"


def here(bus: str | None) -> str:
    """`find` for this process, by the environment it was started with. Raises BadEndpoint."""
    encoding = sys.getfilesystemencoding()
    wanted = (b"UNITD_BUS", b"XDG_RUNTIME_DIR")
    return find(bus, {name.decode(): environment[name].decode(encoding, "surrogateescape") for name in wanted if name in environment}, getuid())


def _is_directory(path: str) -> bool:
    try:
        return stat(path).st_mode & 0o170000 == 0o040000
    except (OSError, ValueError):
        return False


def path_of(endpoint: str) -> str:
    """The socket's path in an ipc:// endpoint. Raises BadEndpoint for others."""
    if not endpoint.startswith("ipc:///"):
        raise BadEndpoint(f"cannot use the bus {endpoint!r}, because it is not ipc:// with an absolute path")
    return endpoint.removeprefix("ipc://")


def events_path(endpoint: str) -> str:
    """The socket's path of the events that belong to a bus."""
    return path_of(endpoint).rpartition("/")[0] + "/events"

"""Where the bus is."""

from __future__ import annotations

import os
from collections.abc import Mapping


class BadEndpoint(ValueError):
    """An endpoint that cannot be used; the text says why."""


def runtime_dir(uid: int, environ: Mapping[str, str]) -> str:
    """The manager's runtime directory: /run/unitd for root, else below $XDG_RUNTIME_DIR, else /tmp/unitd-UID."""
    if uid == 0:
        return "/run/unitd"
    base = environ.get("XDG_RUNTIME_DIR", "")
    return os.path.join(base, "unitd") if base.startswith("/") else f"/tmp/unitd-{uid}"


def find(bus: str | None, environ: Mapping[str, str], uid: int) -> str:
    """The endpoint of the bus: `bus` (from --bus), else $UNITD_BUS, else the runtime directory's. Raises BadEndpoint.

    Taken are `ipc://PATH`, a socket's path, and a runtime directory.
    """
    wanted = bus or environ.get("UNITD_BUS") or os.path.join(runtime_dir(uid, environ), "bus")
    path = wanted.removeprefix("ipc://")
    if "://" in path:
        raise BadEndpoint(f"cannot use the bus {wanted!r}, because only ipc:// is supported")
    if not path:
        raise BadEndpoint("cannot use an empty path as the bus")
    path = os.path.abspath(path)
    if os.path.isdir(path):
        path = os.path.join(path, "bus")
    return "ipc://" + path


def path_of(endpoint: str) -> str:
    """The socket's path in an ipc:// endpoint. Raises BadEndpoint for others."""
    if not endpoint.startswith("ipc:///"):
        raise BadEndpoint(f"cannot use the bus {endpoint!r}, because it is not ipc:// with an absolute path")
    return endpoint.removeprefix("ipc://")


def events_path(endpoint: str) -> str:
    """The socket's path of the events that belong to a bus."""
    return os.path.join(os.path.dirname(path_of(endpoint)), "events")

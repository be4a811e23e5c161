"""RuntimeDirectory= and its siblings, made by a new process for itself. Runs between fork and exec: see `child`."""

from __future__ import annotations

import os
import stat

from unitd.manager.childio import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from unitd.manager.spec import SpawnSpec

_CODES = {"Runtime": 233, "State": 238, "Cache": 239, "Logs": 240, "Configuration": 241}
_STEPS = {
    "Runtime": "RUNTIME_DIRECTORY",
    "State": "STATE_DIRECTORY",
    "Cache": "CACHE_DIRECTORY",
    "Logs": "LOGS_DIRECTORY",
    "Configuration": "CONFIGURATION_DIRECTO",
}


def directories(spec: SpawnSpec) -> None:
    """Make what spec["directories"] lists, and the links to them. Raises SetupError."""
    wanted = spec["directories"]
    mask = os.umask(0)
    for kind, path, mode, uid, gid in wanted:
        try:
            _make(str(kind), str(path), int(str(mode)), int(str(uid)), int(str(gid)))
        except OSError as e:
            raise SetupError(_CODES[str(kind)], _STEPS[str(kind)], e.errno or 0) from e
    for link, target in spec.get("links", ()):
        try:
            _link(link, target)
        except OSError as e:
            raise SetupError(_CODES["State"], _STEPS["State"], e.errno or 0) from e
    os.umask(mask)


def _link(link: str, target: str) -> None:
    """A symlink that leads to the directory, relative as systemd makes it; one that is there already is kept if it leads there."""
    os.makedirs(os.path.dirname(link), 0o755, exist_ok=True)
    to = os.path.relpath(target, os.path.dirname(link))
    try:
        os.symlink(to, link)
    except FileExistsError:
        if not os.path.islink(link) or os.readlink(link) not in (to, target):
            raise


def _make(kind: str, path: str, mode: int, uid: int, gid: int) -> None:
    """One of RuntimeDirectory= and siblings: parents root's with 0755, itself with owner and mode. Raises OSError.

    An existing one is given to the owner with all that is in it, but what is there for a configuration directory stays as it is.
    """
    current = ""
    parts = [p for p in path.split("/") if p]
    for part in parts[:-1]:
        current += "/" + part
        try:
            os.mkdir(current, 0o755)
        except FileExistsError:
            continue
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if kind == "Configuration":
            os.stat(path)
            return
        if not stat.S_ISDIR(os.lstat(path).st_mode):  # nor a symlink: who gives a tree away does not follow them
            raise
    info = os.stat(path)
    if stat.S_IMODE(info.st_mode) != mode:
        os.chmod(path, mode)
    if (info.st_uid, info.st_gid) != (uid, gid):
        for root, folders, files in os.walk(path):
            for name in folders + files:
                os.chown(os.path.join(root, name), uid, gid, follow_symlinks=False)
        os.chown(path, uid, gid)

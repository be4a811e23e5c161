"""What a warden is made of, handed over an exec: its children, exits nobody has taken yet, and named file descriptors.

There is one way for a warden to begin: with a bag. An empty one at the first start, its own when it re-executes itself, a manager's
when that has lost its warden and becomes one, or what was found running on the runtime directory. Standard library only.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION = 1
VARIABLE = "UNITD_BAG"
#: The status of an exit of which nobody can tell how it was. No wait status is negative.
UNKNOWN = -1


# Plain classes: dataclasses and typing are two megabytes that every fork of the warden would copy.
class Ended:
    """A child that ended, until the manager has acknowledged it."""

    __slots__ = ("pid", "id", "status", "error")

    def __init__(self, pid: int, id: str, status: int, error: tuple[int, int, str] | None) -> None:
        """`status` is a wait status, `error` (exit code, errno, step) of what failed before exec."""
        self.pid, self.id, self.status, self.error = pid, id, status, error


class Bag:
    """`kids` are (pid, id, pidfd): a pidfd where somebody else is the parent, -1 for children of the process that execs."""

    def __init__(
        self,
        kids: Sequence[tuple[int, str, int]] = (),
        ended: Mapping[int, Ended] | None = None,
        sequence: int = 0,
        store: Mapping[str, list[int]] | None = None,
        signals: Sequence[int] = (),
        stop_signal: int = 0,
    ) -> None:
        """`ended` are exits by sequence number, `store` descriptors by name, `signals` those that a manager has yet to be told of."""
        self.kids, self.ended, self.sequence = list(kids), dict(ended or {}), sequence
        self.store, self.signals, self.stop_signal = dict(store or {}), list(signals), stop_signal

    def fds(self) -> list[int]:
        """Every descriptor in it."""
        return [fd for _, _, fd in self.kids if fd >= 0] + [fd for held in self.store.values() for fd in held]


def pack(bag: Bag) -> int:
    """Make everything inheritable and write the list into a memfd, whose number goes into $UNITD_BAG of the process to be. Raises OSError."""
    body = {
        "version": VERSION,
        "kids": bag.kids,
        "ended": [[seq, end.pid, end.id, end.status, end.error] for seq, end in bag.ended.items()],
        "sequence": bag.sequence,
        "store": list(bag.store.items()),
        "signals": bag.signals,
        "stop_signal": bag.stop_signal,
    }
    for fd in bag.fds():
        os.set_inheritable(fd, True)
    memfd = os.memfd_create("unitd-bag", 0)
    with os.fdopen(os.dup(memfd), "wb") as file:
        file.write(json.dumps(body).encode())
    return memfd


def unpack(memfd: int) -> Bag:
    """The bag that `pack` wrote; its descriptors are close-on-exec again and the memfd is closed. Raises ValueError for another version."""
    with os.fdopen(memfd, "rb") as file:
        file.seek(0)
        body = json.load(file)
    if body.get("version") != VERSION:
        raise ValueError(f"the bag has version {body.get('version')}, not {VERSION}")
    bag = Bag(
        [(int(pid), str(id), int(fd)) for pid, id, fd in body["kids"]],
        {int(seq): Ended(pid, id, status, tuple(error) if error else None) for seq, pid, id, status, error in body["ended"]},
        int(body["sequence"]),
        {str(name): list(fds) for name, fds in body["store"]},
        list(body["signals"]),
        int(body["stop_signal"]),
    )
    for fd in bag.fds():
        os.set_inheritable(fd, False)
    return bag

"""Vocabulary of .socket units: the events that reach their machine and the effects it asks for. Joined into the unions of `states`."""

from __future__ import annotations

import msgspec

# ---- events -----------------------------------------------------------------------------------------------


class SocketChecked(msgspec.Struct, frozen=True):
    """Whether the service behind the socket allows a start: `problem` is empty, or a sentence that says why not."""

    invocation: str
    problem: str = ""


class SocketsOpened(msgspec.Struct, frozen=True):
    """The sockets were made, or could not be: then `problem` says which one and why."""

    problem: str = ""


class SocketsChowned(msgspec.Struct, frozen=True):
    """SocketUser= and SocketGroup= were applied, or could not be."""

    problem: str = ""


class Incoming(msgspec.Struct, frozen=True):
    """Traffic on a socket with Accept=no. `busy`: a service it triggers is up or on its way; `stopping`: a stop job waits for the socket."""

    busy: bool
    stopping: bool = False


class Connection(msgspec.Struct, frozen=True):
    """A connection was accepted for `instance`; so many are open in all, and from its source (with this one left out)."""

    instance: str
    open: int
    from_source: int
    stopping: bool = False


class TriggerFailed(msgspec.Struct, frozen=True):
    """The start of the service was refused."""

    reason: str


class ServiceState(msgspec.Struct, frozen=True):
    """What became of a service that the socket triggers. `pending`: it has a job; `others`: another one on the socket is up or on its way."""

    sub: str
    limit_hit: bool
    pending: bool
    others: bool = False


# ---- effects ----------------------------------------------------------------------------------------------


class CheckService(msgspec.Struct, frozen=True):
    """Deliver `SocketChecked`: a socket is of no use without its service, and cannot be opened below one that runs."""

    invocation: str


class OpenSockets(msgspec.Struct, frozen=True):
    """Make the sockets, or take those that are kept; deliver `SocketsOpened`."""


class ChownSockets(msgspec.Struct, frozen=True):
    """Give the nodes to SocketUser= and SocketGroup=; deliver `SocketsChowned`."""


class WatchSockets(msgspec.Struct, frozen=True):
    """Deliver `Incoming` (once), or a `Connection` for each with Accept=yes."""

    flush: bool = False  # throw away first what waits


class UnwatchSockets(msgspec.Struct, frozen=True):
    """No more of that."""


class DropPending(msgspec.Struct, frozen=True):
    """Throw away the connections that wait."""


class CloseSockets(msgspec.Struct, frozen=True):
    """Close them, with RemoveOnStop= remove nodes and symlinks."""


class Trigger(msgspec.Struct, frozen=True):
    """Start the service; deliver `TriggerFailed` if that is refused."""


class StartInstance(msgspec.Struct, frozen=True):
    """Start the service instance of an accepted connection; deliver `TriggerFailed` if that is refused."""

    instance: str


class RefuseConnection(msgspec.Struct, frozen=True):
    """Close an accepted connection."""

    instance: str


SocketEvent = SocketChecked | SocketsOpened | SocketsChowned | Incoming | Connection | TriggerFailed | ServiceState
SocketEffect = CheckService | OpenSockets | ChownSockets | WatchSockets | UnwatchSockets | DropPending | CloseSockets | Trigger | StartInstance | RefuseConnection

"""Vocabulary of .socket units: the events that reach their machine and the effects it asks for. Joined into the unions of `states`."""

from __future__ import annotations

from dataclasses import dataclass

# ---- events -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SocketChecked:
    """Whether the service behind the socket allows a start: `problem` is empty, or a sentence that says why not."""

    invocation: str
    problem: str = ""


@dataclass(frozen=True)
class SocketsOpened:
    """The sockets were made, or could not be: then `problem` says which one and why."""

    problem: str = ""


@dataclass(frozen=True)
class SocketsChowned:
    """SocketUser= and SocketGroup= were applied, or could not be."""

    problem: str = ""


@dataclass(frozen=True)
class Incoming:
    """Traffic on a socket with Accept=no. `busy`: a service it triggers is up or on its way; `stopping`: a stop job waits for the socket."""

    busy: bool
    stopping: bool = False


@dataclass(frozen=True)
class Connection:
    """A connection was accepted for `instance`; so many are open in all, and from its source (with this one left out)."""

    instance: str
    open: int
    from_source: int
    stopping: bool = False


@dataclass(frozen=True)
class TriggerFailed:
    """The start of the service was refused."""

    reason: str


@dataclass(frozen=True)
class ServiceState:
    """What became of a service that the socket triggers. `pending`: it has a job; `others`: another one on the socket is up or on its way."""

    sub: str
    limit_hit: bool
    pending: bool
    others: bool = False


# ---- effects ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CheckService:
    """Deliver `SocketChecked`: a socket is of no use without its service, and cannot be opened below one that runs."""

    invocation: str


@dataclass(frozen=True)
class OpenSockets:
    """Make the sockets, or take those that are kept; deliver `SocketsOpened`."""


@dataclass(frozen=True)
class ChownSockets:
    """Give the nodes to SocketUser= and SocketGroup=; deliver `SocketsChowned`."""


@dataclass(frozen=True)
class WatchSockets:
    """Deliver `Incoming` (once), or a `Connection` for each with Accept=yes."""

    flush: bool = False  # throw away first what waits


@dataclass(frozen=True)
class UnwatchSockets:
    """No more of that."""


@dataclass(frozen=True)
class DropPending:
    """Throw away the connections that wait."""


@dataclass(frozen=True)
class CloseSockets:
    """Close them, with RemoveOnStop= remove nodes and symlinks."""


@dataclass(frozen=True)
class Trigger:
    """Start the service; deliver `TriggerFailed` if that is refused."""


@dataclass(frozen=True)
class StartInstance:
    """Start the service instance of an accepted connection; deliver `TriggerFailed` if that is refused."""

    instance: str


@dataclass(frozen=True)
class RefuseConnection:
    """Close an accepted connection."""

    instance: str


SocketEvent = SocketChecked | SocketsOpened | SocketsChowned | Incoming | Connection | TriggerFailed | ServiceState
SocketEffect = CheckService | OpenSockets | ChownSockets | WatchSockets | UnwatchSockets | DropPending | CloseSockets | Trigger | StartInstance | RefuseConnection

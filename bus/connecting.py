"""Finding the manager, and what goes wrong on the way in words for people."""

from __future__ import annotations

import time

from unitd.bus.messages import Reply
from unitd.bus.zmtp import Connection

#: How long a socket that refuses is waited for: at first, and when a manager was there before.
GRACE = 1.0
PATIENCE = 15.0


class BusError(Exception):
    """The bus does not work; `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Unreachable(BusError):
    """No manager answers at the endpoint."""


class CallFailed(BusError):
    """The manager answered with an error; `reply` is its answer."""

    def __init__(self, reply: Reply) -> None:
        error = reply.error
        super().__init__(error.message if error else reply.err.strip() or f"it ended with {reply.exit_code}", error.hint if error else "")
        self.reply = reply


def misunderstood(endpoint: str, error: Exception) -> BusError:
    """The manager sent something that is no message."""
    return BusError(f"cannot understand unitd at {endpoint}: {error}", "are unitd and unitctl of the same version?")


def connect(path: str, kind: str, endpoint: str, patience: float) -> Connection:
    """A connection to the socket at `path`. One that refuses may be between two managers: it is waited for. Raises Unreachable."""
    end = time.monotonic() + patience
    reason: OSError
    while True:
        try:
            return Connection(path, kind)
        except FileNotFoundError as error:
            # a manager that died leaves its socket; without one none has run, unless it ran just now
            final, reason = patience <= GRACE, error
        except ConnectionError as error:
            final, reason = False, error
        except OSError as error:
            final, reason = True, error
        if final or time.monotonic() > end:
            raise Unreachable(f"cannot reach unitd at {endpoint}: {why(reason)}", hint(reason)) from None
        time.sleep(0.02)


def why(error: OSError) -> str:
    """The reason in a few words."""
    return error.strerror or str(error) or type(error).__name__


def hint(error: OSError) -> str:
    """What to do about it."""
    if isinstance(error, PermissionError):
        return "only root and unitd's own user may use the bus"
    if isinstance(error, TimeoutError):
        return "is unitd stopped, or overloaded?"
    return "is unitd running? start it with 'unitd', or name its bus with --bus or $UNITD_BUS"

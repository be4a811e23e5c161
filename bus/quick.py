"""One plain request on the Unix socket for a program that lives for milliseconds: the standard library alone, and little of that.

`call` does what `client.Client.call` does when nothing goes wrong. When something does (no manager yet, one that is being replaced, one that is silent) it
returns None, and the caller asks `Client`, which is slower to import, waits, sends again and knows what to say.
"""

import time
from posix import getpid

from unitd.bus import plainjson
from unitd.bus.zmtp import Connection

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from unitd.bus.messages import Reply

#: Seconds without an answer after which a sign of life is asked for, and after which `Client` is to find out.
HEARTBEAT, SILENCE = 2.0, 30.0
#: Seconds for a call that does not wait for jobs.
LIMIT = 60.0
#: As `client` has them; a test holds that they are the same.
JOB_VERBS = frozenset(("start", "stop", "restart", "try-restart", "reload", "reload-or-restart", "try-reload-or-restart", "isolate", "scale", "run"))
ONCE_VERBS = frozenset(("run", "kill", "exit", "daemon-reexec", "cancel"))
MAX_REQUEST = 256 * 1024


class Answer:
    """A reply as `messages.Reply` has it, without msgspec."""

    def __init__(self, fields: "Mapping[str, Any]") -> None:
        self.id: str = fields.get("id", "")
        self.ok: bool = fields["ok"]
        self.exit_code: int = fields.get("exit_code", 0)
        self.out: str = fields.get("out", "")
        self.err: str = fields.get("err", "")
        self.data: Any = fields.get("data")
        self.error: Mapping[str, str] | None = fields.get("error")


def fields(reply: "Answer | Reply") -> "dict[str, Any]":
    """A reply as an object for --json, without its id and what is empty."""
    found: dict[str, Any] = {name: getattr(reply, name) for name in ("ok", "exit_code", "out", "err", "error")}
    error = found["error"]
    if error is not None and not isinstance(error, dict):
        found["error"] = {"code": error.code, "message": error.message, "hint": error.hint}
    return {name: value for name, value in found.items() if name == "ok" or value}


def call(endpoint: str, verb: str, units: "Sequence[str]", options: "Mapping[str, Any]") -> Answer | None:
    """The manager's answer, or None when the caller has to ask by `Client`. Raises OSError when a verb that must not reach a manager twice was
    sent, and what became of it is unknown."""
    options = {key: value for key, value in options.items() if value is not None and value is not False}
    limit = None if verb in JOB_VERBS or options.get("wait") else LIMIT
    path = endpoint.removeprefix("ipc://")
    try:
        raw = plainjson.encode({"verb": verb, "units": list(units), "options": options, "id": str(getpid())}).encode()
        if not path.startswith("/") or len(raw) > MAX_REQUEST:
            return None
        connection = Connection(path, "DEALER")
    except (OSError, UnicodeEncodeError):
        return None
    try:
        connection.send(raw)
        return _await(connection, limit)
    except OSError:
        if verb in ONCE_VERBS or "by" in options:
            raise
        return None
    finally:
        connection.close()


def _await(connection: Connection, limit: float | None) -> Answer | None:
    heard = start = time.monotonic()
    mine = str(getpid())
    while True:
        message = connection.receive(HEARTBEAT)
        now = time.monotonic()
        if message is not None:
            heard = now
            try:
                fields = plainjson.decode(message[-1])
                if fields["id"] in (mine, ""):
                    return Answer(fields)
            except (ValueError, KeyError, TypeError):
                return None
        elif now - heard > SILENCE or (limit is not None and now - start > limit):
            raise TimeoutError(f"no answer for {now - heard:.0f} s")
        else:
            connection.send(b'{"verb": "ping", "id": "heartbeat"}')

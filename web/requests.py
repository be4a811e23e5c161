"""Reads what a request brings, and says what is wrong with it."""

from __future__ import annotations

from typing import TypeVar

import bottle
import msgspec

from unitd.bus.connecting import BusError, CallFailed
from unitd.units import names
from unitd.web.types import ACTIONS, Failure, Fault

T = TypeVar("T")
MAX_BODY = 64 * 1024
#: Codes of the bus, and what they are in HTTP; any other is a conflict with how things are.
STATUS = {
    "no-such-unit": 404, "not-found": 404, "bad-name": 400, "bad-argument": 400, "bad-request": 400, "unknown-verb": 501, "permission": 403, "busy": 503,
    "shutting-down": 503,
}  # fmt: skip


class Refused(Exception):
    """The request is not served."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.hint = status, code, hint


def unit_name(text: str) -> str:
    """A valid name with its suffix. Raises Refused."""
    full = names.with_suffix(text)
    if not names.is_valid_name(full):
        raise Refused(400, "bad-name", "cannot use this as a unit's name", "a unit name looks like web.service or web@1.service")
    return full


def action_name(text: str) -> str:
    """One of ACTIONS. Raises Refused."""
    if text not in ACTIONS:
        raise Refused(404, "no-such-action", "there is no such action", "there are " + ", ".join(ACTIONS))
    return text


def text(name: str, most: int = 256) -> str:
    """A parameter of the query, empty if it is missing. Raises Refused."""
    try:
        value = bottle.request.query.getunicode(name) or ""
    except UnicodeError:
        value = "\0"
    if len(value) > most or "\0" in value:
        raise Refused(400, "bad-argument", f"cannot use this {name}, because it is too long or no text")
    return value


def number(name: str, default: int, least: int, most: int) -> int:
    """A whole number in the query. Raises Refused."""
    value = text(name, 32)
    if not value:
        return default
    if not (value.isascii() and value.isdigit()) or not least <= int(value) <= most:
        raise Refused(400, "bad-argument", f"cannot use this {name}, because it is no number from {least} to {most}")
    return int(value)


def seconds(name: str) -> float:
    """A point in time in the query, 0 if it is missing. Raises Refused."""
    value = text(name, 40)
    try:
        found = float(value or 0)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1e11:
        raise Refused(400, "bad-argument", f"cannot use this {name}, because it is no time in seconds")
    return found


def choice(name: str, allowed: tuple[str, ...]) -> str:
    """A word in the query, empty if it is missing. Raises Refused."""
    value = text(name, 64)
    if value and value not in allowed:
        raise Refused(400, "bad-argument", f"cannot use this {name}, because it is none of {', '.join(allowed)}")
    return value


def raw_body() -> bytes:
    """The body, of bounded size. Raises Refused."""
    environ = bottle.request.environ
    length = environ.get("CONTENT_LENGTH") or ""
    if length and not (length.isascii() and length.isdigit()):
        raise Refused(400, "bad-request", "cannot read the request, because its Content-Length is no number")
    if length and int(length) > MAX_BODY:
        raise Refused(413, "too-large", f"cannot take a request of more than {MAX_BODY} bytes")
    try:
        found = environ["wsgi.input"].read(int(length)) if length else b""
    except (OSError, ValueError):
        raise Refused(400, "bad-request", "cannot read the request's body") from None
    return bytes(found)


def json_body(kind: type[T]) -> T:
    """The body as a struct; none is like {}. Raises Refused."""
    raw = raw_body()
    if raw and bottle.request.content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "bad-type", "cannot take this type of body", "send JSON, as application/json")
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, "bad-request", f"cannot read the request: {error}") from None


def of_bus(error: BusError) -> Refused:
    """What a failure at the bus is to a visitor."""
    if not isinstance(error, CallFailed):
        return Refused(503, "unreachable", str(error), error.hint)
    info = error.reply.error
    code = info.code if info else "failed"
    message = str(error) if info else error.reply.err.strip() or str(error)
    # systemctl's exit codes: 5 for a unit that is not there
    return Refused(404 if error.reply.exit_code == 5 else STATUS.get(code, 409), code, message, error.hint)


def failure(refused: Refused) -> bytes:
    """The body of a refusal."""
    return msgspec.json.encode(Failure(Fault(refused.code, str(refused), refused.hint)))

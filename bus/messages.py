"""What crosses the bus, as JSON: requests and replies on `bus`, events on `events`.

Reply data by verb (a verb not listed has none); rows are JSON objects:

- start stop restart ... isolate: {"jobs": [{unit, result, message?, log_tail: [str]}]}
- status: rows {unit, found, description, load, load_error, fragment, drop_ins, active, sub, result, since, now, unit_file_state, main_pid,
  main_comm, exec_main_pid, exec_main_code, exec_main_status, control_pid, control_role, status_text, status_errno,
  processes: [{role, pid, command, code, status}], memory, cpu, tasks, tree: [{pid, cmdline, depth}],
  restart: {in_seconds, attempt, burst, delay} or null, last_failure, warnings, docs, triggered_by, triggers, log, need_daemon_reload,
  active_enter, active_exit}; times in seconds of CLOCK_REALTIME
- show: one object {property: value} for each unit; values with several lines are several `Property=` lines
- list-units: rows {unit, load, active, sub, description, job}; list-unit-files: rows {unit_file, state, preset, path}
- list-jobs: rows {job, unit, type, state}; list-dependencies: rows {unit, depth, active}
- cat: rows {path, text}; edit: rows {unit, path, fragment}; logs: rows {unit, dir}; enable disable mask unmask: rows {kind, path, target}
- ping: {instance, pid}; version: {version}
- scale (options count or by, no_block): {template, before, count, started: [str], stopped: [str], jobs}
- snapshot: {instance, position, time, units: rows {unit, load, active, sub, description, job, result, since, active_enter, main_pid,
  restarts, restart: {at, delay, attempt, reason} or null, status_text, last_failure, targets: [str], template, stats: a StatsSample or null}}
- stats (options measure, history: seconds; pss, sockets: bool): rows of a StatsSample with active, sub; also sockets: [{proto, address,
  queue or null, pids}], history: [[time, cpu, memory, restarts]] with ten-second averages where it is older than two minutes;
  as in all events, what is zero or empty is left out; metrics: OpenMetrics text in `out`

Events: two frames, topic and {seq, position, previous, data}; `unitd.bus.events` has the topics and what `data` is. `seq` counts per topic
from 1; `position` counts all events of a manager and `previous` is the position of the topic's event before: a subscriber that has not
had that one, and subscribed before it, lost it. A subscription to `sync.ANYTHING` is answered by one event on that topic with
{instance} and the position: everything that the same connection subscribed to before is in force then.
"""

from __future__ import annotations

from typing import Any

import msgspec

VERSION = 1


class Request(msgspec.Struct, omit_defaults=True):
    """What a client asks for. `id` comes back in the reply; `options` are the verb's own."""

    verb: str
    units: list[str] = []
    options: dict[str, Any] = {}
    version: int = VERSION
    id: str = ""


class ErrorInfo(msgspec.Struct):
    """Why a request could not be served: a stable code, a sentence, and what to do about it."""

    code: str
    message: str
    hint: str = ""


class Reply(msgspec.Struct, omit_defaults=True):
    """The answer. `exit_code`, `out` and `err` are what a terminal gets; `data` is for programs (see the module's text)."""

    id: str
    ok: bool
    exit_code: int = 0
    out: str = ""
    err: str = ""
    data: Any = None
    error: ErrorInfo | None = None


class EventBody(msgspec.Struct):
    """Second frame of an event."""

    seq: int
    data: dict[str, Any] = {}
    position: int = 0
    previous: int = 0


class OutgoingEvent(msgspec.Struct):
    """The same on the manager's side, where data may be a struct as well."""

    seq: int
    data: Any
    position: int = 0
    previous: int = 0


class BadMessage(ValueError):
    """Bytes that are no message of this protocol."""


_request = msgspec.json.Decoder(Request)
_reply = msgspec.json.Decoder(Reply)
_event = msgspec.json.Decoder(EventBody)


def decode_request(raw: bytes) -> Request:
    """Raises BadMessage, also for a protocol version that is too new."""
    try:
        request = _request.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"cannot read the request: {error}") from None
    if request.version > VERSION:
        raise BadMessage(f"cannot serve protocol version {request.version}, only up to {VERSION}")
    return request


def decode_reply(raw: bytes) -> Reply:
    """Raises BadMessage."""
    try:
        return _reply.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessage(f"cannot read the reply: {error}") from None


def decode_event(raw: bytes) -> EventBody:
    """Raises BadMessage."""
    try:
        return _event.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessage(f"cannot read the event: {error}") from None


def encode(message: Request | Reply | EventBody | OutgoingEvent) -> bytes:
    """JSON bytes. Text that is not UTF-8 (surrogates from file names, say) is written with backslashes."""
    try:
        return msgspec.json.encode(message)
    except UnicodeEncodeError:
        return msgspec.json.encode(scrub(msgspec.to_builtins(message)))


def scrub(value: Any) -> Any:
    """A value of which every text can be encoded as UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {scrub(k): scrub(v) for k, v in value.items()}
    if isinstance(value, list):
        return [scrub(v) for v in value]
    return value


def failed(request_id: str, code: str, message: str, hint: str = "", exit_code: int = 1) -> Reply:
    """An error reply; `err` is what a terminal shows."""
    text = message + (f" ({hint})" if hint else "")
    return Reply(request_id, False, exit_code, err=text + "\n", error=ErrorInfo(code, message, hint))

"""What the manager tells its subscribers, typed. Topics: `unit.NAME`, `job.NAME`, `stats.NAME`, `log.NAME`, `manager.WHAT`.

On the wire an event is two frames: the topic, and {"seq", "position", "previous", "data"} (`messages.EventBody`) with `data` as one of the
structs here, its `kind` as the tag. A client meets them with `seq`, `position` and `topic` filled in.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any, Union

import msgspec

from unitd.bus.messages import BadMessage


class Event(msgspec.Struct, kw_only=True, tag_field="kind", omit_defaults=True):
    """What all events have. `time` is CLOCK_REALTIME seconds.

    `seq` counts per topic from 1; `position` counts all events of one manager, so that an event with a position above that of a snapshot is newer.
    """

    unit: str = ""
    time: float = 0.0
    topic: str = ""
    seq: int = 0
    position: int = 0

    @property
    def kind(self) -> str:
        """The tag on the wire, such as "unit-changed"."""
        return str(self.__struct_config__.tag)


class UnitChanged(Event, tag="unit-changed"):
    """`unit.NAME`: a unit is in another state. Words are systemd's ActiveState, SubState, Result."""

    active: str
    sub: str
    old_active: str = ""
    old_sub: str = ""
    result: str = ""
    main_pid: int = 0
    restarts: int = 0


class JobChanged(Event, tag="job-changed"):
    """`job.NAME`: a job waits, or is over with a result."""

    id: int
    type: str
    state: str  # "waiting" "finished"
    result: str = ""  # of a finished job: done failed canceled timeout dependency skipped ...


class RestartPlanned(Event, tag="restart-planned"):
    """`unit.NAME`: Restart= will start the unit again in `delay` seconds (at `at`, CLOCK_REALTIME)."""

    reason: str
    delay: float
    attempt: int
    at: float = 0.0


class ProcessExited(Event, tag="process-exited"):
    """`unit.NAME`: a process that the manager started ended."""

    pid: int
    role: str  # "ExecStart", "ExecStop", ...
    code: str  # "exited" "killed" "dumped"
    status: int  # exit status, or the number of the signal


class StatusText(Event, tag="status-text"):
    """`unit.NAME`: the service said STATUS= or ERRNO= (sd_notify)."""

    text: str = ""
    errno: int = 0


class Reloaded(Event, tag="reloaded"):
    """`unit.NAME`: a service has reloaded, or failed to. `manager.reload` (no unit): unit files were read again; `problems` are told as lines."""

    result: str = "done"
    problems: list[str] = []


class SocketActivity(Event, tag="socket-activity"):
    """`unit.NAME` of a socket unit: what happened ("listening", "traffic", "accepted", "refused", ...), and its counters."""

    what: str
    peer: str = ""
    accepted: int = 0
    connections: int = 0


class ProcessSample(msgspec.Struct, omit_defaults=True, gc=False):
    """One process in a StatsSample."""

    pid: int
    ppid: int = 0
    name: str = ""
    cpu: float = 0.0
    memory: int = 0
    threads: int = 0
    fds: int = 0


class StatsSample(Event, tag="stats"):
    """`stats.NAME`: what a unit's processes use now.

    `cpu` is per cent of one core since the last sample, `cpu_seconds` the sum so far; memory and IO are in bytes; `age` is seconds since the
    unit became active. `pss` is there only where it was asked for (it is dear). IO that cannot be seen is -1.
    """

    cpu: float = 0.0
    cpu_seconds: float = 0.0
    memory: int = 0
    pss: int = 0
    tasks: int = 0  # threads
    fds: int = 0
    read: int = 0
    written: int = 0
    read_rate: float = 0.0  # bytes per second
    write_rate: float = 0.0
    restarts: int = 0
    age: float = 0.0
    processes: list[ProcessSample] = []


class LogWritten(Event, tag="log"):
    """`log.NAME`: output of the unit is in its file, which has `size` bytes now."""

    size: int = 0


class ManagerEvent(Event, tag="manager"):
    """`manager.WHAT`: "started" (also when a client meets another manager than before), "ready", "stopping", ..."""

    what: str
    instance: str = ""
    detail: str = ""


class Other(Event, tag="other"):
    """An event that this version does not know, as it came."""

    data: dict[str, Any] = {}


class Gap(Event, tag="gap"):
    """Events were lost: of `topic` ("lost": this subscriber was too slow), or of all topics ("reconnected"). Time to ask for a snapshot.

    `missed` is how many, 0 when that is unknown.
    """

    reason: str = "lost"
    missed: int = 0


Known = Union[  # noqa: UP007 - msgspec wants a union at run time
    UnitChanged, JobChanged, RestartPlanned, ProcessExited, StatusText, Reloaded, SocketActivity, StatsSample, LogWritten, ManagerEvent
]


class _Body(msgspec.Struct):
    seq: int
    data: msgspec.Raw = msgspec.Raw(b"{}")
    position: int = 0
    previous: int = 0


_body = msgspec.json.Decoder(_Body)
_known: msgspec.json.Decoder[Known] = msgspec.json.Decoder(Known)
#: Events of these topics are sent without a tag.
_BY_TOPIC: dict[str, type[Event]] = {"log": LogWritten}


def decode(topic: str, raw: bytes) -> tuple[Event, int]:
    """(the typed event, position of the event before it in this topic). Raises BadMessage when it is no event at all."""
    try:
        body = _body.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessage(f"cannot read the event: {error}") from None
    event = _typed(topic, bytes(body.data))
    event.topic, event.seq, event.position = topic, body.seq, body.position
    return event, body.previous


def _typed(topic: str, data: bytes) -> Event:
    try:
        return _known.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    head, _, name = topic.partition(".")
    try:
        plain = msgspec.json.decode(data)
        if not isinstance(plain, dict):
            plain = {"data": plain}
        if head in _BY_TOPIC and "kind" not in plain:
            # a struct by itself takes data without its tag as well
            untagged: Event = msgspec.convert({"unit": name, **plain}, _BY_TOPIC[head])
            return untagged
        return Other(unit=name if head != "manager" else "", data=plain)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise BadMessage(f"cannot read the event: {error}") from None


def payload(event: Event) -> dict[str, Any]:
    """The event as `data` on the wire: `topic`, `seq` and `position` travel outside."""
    found: dict[str, Any] = msgspec.to_builtins(event)
    return found


def prefix(pattern: str) -> str:
    """The part of a pattern before its first wildcard: what is subscribed to."""
    for i, letter in enumerate(pattern):
        if letter in "*?[":
            return pattern[:i]
    return pattern


def matches(topic: str, patterns: Sequence[str]) -> bool:
    """Is `topic` wanted? A pattern with wildcards has to match all of it, one without has to be its beginning."""
    return any(fnmatch.fnmatchcase(topic, p) if prefix(p) != p else topic.startswith(p) for p in patterns)

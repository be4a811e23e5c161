"""What the page and its API tell, as typed data: the same structs are encoded to JSON and described in the OpenAPI document."""

from __future__ import annotations

from typing import Any

import msgspec


class Unit(msgspec.Struct):
    """One row of the overview. Times are seconds of CLOCK_REALTIME, 0 for never; `next_restart` is when a pending restart is due. `built_in`: a slice or
    a well-known target, there to hold others together."""

    unit: str
    description: str = ""
    type: str = ""
    built_in: bool = False
    load: str = "loaded"
    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    since: float = 0.0
    restarts: int = 0
    next_restart: float = 0.0
    job: str = ""
    template: str = ""
    targets: list[str] = []
    main_pid: int = 0
    status_text: str = ""
    cpu: float | None = None
    memory: int | None = None


class Snapshot(msgspec.Struct):
    """All units, and the place in the stream of events from which on changes are to be applied."""

    cursor: str
    now: float
    state: str
    units: list[Unit]


class Process(msgspec.Struct):
    """A process of a unit; `depth` below the unit's first processes."""

    pid: int
    cmdline: str
    depth: int = 0


class Detail(msgspec.Struct):
    """One unit with all its properties."""

    unit: Unit
    now: float
    fragment: str
    drop_ins: list[str]
    unit_file_state: str
    last_failure: str
    warnings: list[str]
    documentation: list[str]
    processes: list[Process]
    properties: dict[str, str]


class File(msgspec.Struct):
    """A unit file or drop-in."""

    path: str
    text: str


class Files(msgspec.Struct):
    """The files that a unit was read from."""

    files: list[File]


class Line(msgspec.Struct):
    """A line of output; `stream` is out, err, or manager for unitd's own notes."""

    realtime: float
    stream: str
    text: str


class Lines(msgspec.Struct):
    """Output of a unit."""

    unit: str
    lines: list[Line]


class Planned(msgspec.Struct):
    """A job that an action would lead to."""

    unit: str
    type: str


class Preview(msgspec.Struct):
    """What an action would do."""

    action: str
    unit: str
    jobs: list[Planned]
    notes: list[str] = []


class Action(msgspec.Struct, forbid_unknown_fields=True):
    """How an action is done: `signal` for kill, `instances` for scale; with `wait` the answer comes when the jobs are over."""

    signal: str = ""
    instances: int | None = None
    wait: bool = False


class Done(msgspec.Struct):
    """What became of an action."""

    ok: bool
    action: str
    unit: str
    message: str = ""
    jobs: list[dict[str, Any]] = []


class Job(msgspec.Struct):
    """A job that waits or runs."""

    job: int
    unit: str
    type: str
    state: str


class Jobs(msgspec.Struct):
    """Jobs that wait or run."""

    jobs: list[Job]


class Sample(msgspec.Struct):
    """What a unit used at a time: CPU in cores, memory in bytes."""

    at: float
    cpu: float
    memory: int


class Stats(msgspec.Struct):
    """Samples of units, oldest first; only for as long as somebody looks."""

    units: dict[str, list[Sample]]


class Login(msgspec.Struct, forbid_unknown_fields=True):
    """The token of unitctl web, or the password."""

    token: str


class Fault(msgspec.Struct):
    """Why a request could not be served: a stable code, a sentence, and what to do about it."""

    code: str
    message: str
    hint: str = ""


class Failure(msgspec.Struct):
    """The answer to a request that could not be served."""

    error: Fault


ACTIONS = ("start", "stop", "restart", "reload", "kill", "scale", "reset-failed")

"""The API's endpoints in one table, and the OpenAPI document made from it. Pure. The routes in `api` are registered from the same table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

import unitd
from unitd.web import types

BASE = "/api/v1"
TEXT = "text/plain"
STREAM = "text/event-stream"


@dataclass(frozen=True)
class Parameter:
    """A parameter in the query."""

    name: str
    about: str
    schema: dict[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """One operation. `answer` is a struct, or a media type."""

    method: str
    path: str
    name: str
    about: str
    answer: Any
    parameters: tuple[Parameter, ...] = ()
    body: Any = None
    errors: tuple[int, ...] = ()
    open: bool = False


STREAMS = {"type": "string", "enum": ["out", "err", "manager"]}
MOST_LINES = 10_000
_Q = Parameter("q", "words that name, description, state or target must have", {"type": "string", "maxLength": 200})
_LINES = Parameter("lines", "how many lines at most", {"type": "integer", "minimum": 0, "maximum": MOST_LINES, "default": 100})
_SIGNAL = Parameter("signal", "for kill: the signal", {"type": "string", "maxLength": 32})
_INSTANCES = Parameter("instances", "for scale: how many", {"type": "integer", "minimum": 0, "maximum": 1000})

ENDPOINTS = (
    Endpoint("GET", "/openapi.json", "openapi", "This description", "application/json", open=True),
    Endpoint("GET", "/snapshot", "snapshot", "All units, and the place in the events that this belongs to", types.Snapshot, errors=(503,)),
    Endpoint("GET", "/units", "units", "Units that fit a filter", types.Snapshot, (_Q,), errors=(503,)),
    Endpoint("GET", "/units/{unit}", "unit", "One unit with its processes and properties", types.Detail, errors=(404, 503)),
    Endpoint("GET", "/units/{unit}/files", "files", "The unit file and its drop-ins", types.Files, errors=(404, 503)),
    Endpoint(
        "GET", "/units/{unit}/logs", "logs", "The last lines that a unit printed", types.Lines,
        (
            _LINES, Parameter("stream", "only this stream", STREAMS), Parameter("q", "only lines with this text", {"type": "string", "maxLength": 200}),
            Parameter("since", "only from this time on, in seconds of CLOCK_REALTIME", {"type": "number", "minimum": 0, "maximum": 1e11}),
        ), errors=(404, 503),
    ),
    Endpoint("GET", "/units/{unit}/stats", "unit_stats", "What a unit used lately; empty when nobody looked", types.Stats, errors=(404, 503)),
    Endpoint("GET", "/stats", "stats", "What all units used lately; empty when nobody looked", types.Stats),
    Endpoint("GET", "/jobs", "jobs", "Jobs that wait or run", types.Jobs, errors=(503,)),
    Endpoint(
        "GET", "/events", "events",
        "Changes as they come: messages connection, reset (take a new snapshot), unit, gone, event, stats, log. Resumes by Last-Event-ID", STREAM,
        (
            Parameter("units", "only of units that match this glob", {"type": "string", "maxLength": 256}),
            Parameter("stats", "1: also CPU and memory, each second", {"type": "string", "enum": ["0", "1"]}),
            Parameter("logs", "with one unit: also its output, beginning with so many lines", {"type": "integer", "minimum": 0, "maximum": 1000}),
            Parameter("since", "begin after this place, the cursor of a snapshot", {"type": "string", "maxLength": 64}),
            Parameter("seconds", "end after so many seconds", {"type": "integer", "minimum": 1, "maximum": 86400}),
        ), errors=(404, 503),
    ),
    Endpoint("GET", "/units/{unit}/preview/{action}", "preview", "What an action would do", types.Preview, (_SIGNAL, _INSTANCES), errors=(404, 409, 503)),
    Endpoint("POST", "/units/{unit}/{action}", "act", "Do it", types.Done, body=types.Action, errors=(403, 404, 409, 413, 415, 503)),
    Endpoint("GET", "/metrics", "metrics", "OpenMetrics text", TEXT, errors=(501, 503)),
)  # fmt: skip


def document(version: str = unitd.__version__) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    structs = [e.answer for e in ENDPOINTS if not isinstance(e.answer, str)] + [e.body for e in ENDPOINTS if e.body] + [types.Failure]
    _, components = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    paths: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(BASE + endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "unitd", "version": version, "description": "Units of one unitd: how they are, what they print, and what is done to them."},
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "what unitctl web --token prints"},
                "session": {"type": "apiKey", "in": "cookie", "name": "unitd", "description": "the cookie of the log-in page"},
            },
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = []
    if "{unit}" in endpoint.path:
        parameters.append(
            {"name": "unit", "in": "path", "required": True, "description": "its name, with or without .service", "schema": {"type": "string", "minLength": 1}}
        )
    if "{action}" in endpoint.path:
        parameters.append({"name": "action", "in": "path", "required": True, "schema": {"type": "string", "enum": list(types.ACTIONS)}})
    parameters += [{"name": p.name, "in": "query", "description": p.about, "schema": p.schema} for p in endpoint.parameters]
    responses = {"200": {"description": "as asked", "content": _content(endpoint.answer)}}
    for code in sorted({400, *(() if endpoint.open else (401, 403)), *endpoint.errors}):
        responses[str(code)] = {"description": "refused", "content": _content(types.Failure)}
    found: dict[str, Any] = {"operationId": endpoint.name, "summary": endpoint.about, "parameters": parameters, "responses": responses}
    if endpoint.body is not None:
        found["requestBody"] = {"required": False, "content": _content(endpoint.body)}
    if endpoint.open:
        found["security"] = []
    return found


def _content(answer: Any) -> dict[str, Any]:
    if isinstance(answer, str):
        return {answer: {"schema": {"type": "object"} if answer.endswith("json") else {"type": "string"}}}
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{answer.__name__}"}}}

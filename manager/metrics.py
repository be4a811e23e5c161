"""Counters of the manager, and all its figures as OpenMetrics text (the OpenMetrics specification 1.0). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: Upper bounds of the buckets of request times, in seconds.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MAX_VERBS = 100


class Tally:
    """What is counted as it happens, since this manager began."""

    def __init__(self) -> None:
        self.exits: Counter[tuple[str, str, int]] = Counter()
        self.log_bytes: Counter[str] = Counter()
        self.requests: Counter[tuple[str, bool]] = Counter()
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0
        self._log_size: dict[str, int] = {}

    def event(self, data: Mapping[str, Any]) -> None:
        """An event that is published: exits are counted by unit, code and status, output by what is written."""
        if data.get("kind") == "log":
            self.wrote(str(data["unit"]), int(data.get("size", 0)))
        elif data.get("kind") == "process-exited":
            self.exits[str(data["unit"]), str(data["code"]), int(data["status"])] += 1

    def wrote(self, unit: str, size: int) -> None:
        """The log file of a unit has `size` bytes now; less than before means that it is a new one."""
        before = self._log_size.get(unit)
        self._log_size[unit] = size
        if before is not None:
            self.log_bytes[unit] += size - before if size >= before else size

    def served(self, verb: str, seconds: float, ok: bool) -> None:
        """A request was answered. Unknown words of clients make no end of series: beyond a number they count as one."""
        key = (verb, ok)
        if key not in self.requests and len(self.requests) >= MAX_VERBS:
            key = ("other", ok)
        self.requests[key] += 1
        self.seconds += seconds
        self.buckets[next((i for i, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))] += 1


def label(value: str) -> str:
    """A label's value with what has to be escaped."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def labels(**words: str | int) -> str:
    """{a="b",...}"""
    return "{" + ",".join(f'{name}="{label(str(value))}"' for name, value in words.items()) + "}"


def number(value: float) -> str:
    """A number, whole ones without a point."""
    return str(int(value)) if value == int(value) else repr(float(value))


def family(name: str, kind: str, help: str, rows: Iterable[tuple[str, str, float]], unit: str = "") -> Iterator[str]:
    """The lines of a metric family; rows are (suffix, labels, value)."""
    yield f"# TYPE {name} {kind}"
    if unit:
        yield f"# UNIT {name} {unit}"
    yield f"# HELP {name} {help}"
    for suffix, words, value in rows:
        yield f"{name}{suffix}{words} {number(value)}"


def render(rows: list[dict[str, Any]], tally: Tally, about: Mapping[str, str], started: float, jobs: int) -> str:
    """The whole exposition.

    `rows`: for each unit {unit, active, restarts, log_lost, stats: StatsSample as builtins or None}; `about`: labels of unitd_info;
    `started`: CLOCK_REALTIME of the manager's start.
    """
    out: list[str] = []

    def put(name: str, kind: str, help: str, rows: Iterable[tuple[str, str, float]], unit: str = "") -> None:
        out.extend(family(name, kind, help, rows, unit))

    states = Counter(str(row["active"]) for row in rows)
    up = [(labels(unit=row["unit"]), row["stats"]) for row in rows if row["stats"] is not None]
    put("unitd", "info", "The manager.", [("_info", labels(**about), 1)])
    put("unitd_start_time_seconds", "gauge", "When this manager began.", [("", "", started)], "seconds")
    words = ("active", "reloading", "inactive", "failed", "activating", "deactivating", *sorted(states.keys()))
    put("unitd_units", "gauge", "Units in memory by ActiveState.", [("", labels(state=s), states[s]) for s in dict.fromkeys(words)])
    put("unitd_jobs", "gauge", "Jobs that wait or run.", [("", "", jobs)])
    put("unitd_unit_active", "gauge", "1 for a unit that is active or reloading.", [("", labels(unit=r["unit"]), r["active"] in ("active", "reloading")) for r in rows])
    put("unitd_unit_failed", "gauge", "1 for a unit that failed.", [("", labels(unit=r["unit"]), r["active"] == "failed") for r in rows])
    put("unitd_unit_restarts", "counter", "Automatic restarts.", [("_total", labels(unit=r["unit"]), r["restarts"]) for r in rows])
    exits = [("_total", labels(unit=unit, code=code, status=status), n) for (unit, code, status), n in sorted(tally.exits.items())]
    put("unitd_process_exits", "counter", "Processes that ended, by how (exited, killed, dumped) and exit status or signal.", exits)
    put("unitd_unit_cpu_seconds", "counter", "CPU time of the unit's processes.", [("_total", w, s.get("cpu_seconds", 0)) for w, s in up], "seconds")
    for key, name, text, unit in (
        ("memory", "unitd_unit_memory_bytes", "Resident memory of the unit's processes.", "bytes"),
        ("tasks", "unitd_unit_threads", "Threads of the unit's processes.", ""),
        ("fds", "unitd_unit_open_fds", "Open file descriptors of the unit's processes.", ""),
        ("age", "unitd_unit_uptime_seconds", "How long the unit has been active.", "seconds"),
        ("read", "unitd_unit_read_bytes", "Bytes that the unit's running processes read from storage.", "bytes"),
        ("written", "unitd_unit_written_bytes", "Bytes that the unit's running processes wrote to storage.", "bytes"),
    ):
        put(name, "gauge", text, [("", w, s.get(key, 0)) for w, s in up], unit)
    put("unitd_log_bytes", "counter", "Captured output.", [("_total", labels(unit=u), n) for u, n in sorted(tally.log_bytes.items())], "bytes")
    lost = [("_total", labels(unit=r["unit"]), r["log_lost"]) for r in rows if r["log_lost"]]
    put("unitd_log_lost_bytes", "counter", "Output that could not be written to the log.", lost, "bytes")
    requests = [("_total", labels(verb=verb, ok="yes" if ok else "no"), n) for (verb, ok), n in sorted(tally.requests.items())]
    put("unitd_bus_requests", "counter", "Requests that were answered.", requests)
    put("unitd_bus_request_duration_seconds", "histogram", "From request to answer; verbs that wait for jobs count with their wait.", _histogram(tally), "seconds")
    return "\n".join([*out, "# EOF", ""])


def _histogram(tally: Tally) -> Iterator[tuple[str, str, float]]:
    total = 0
    for bound, count in zip((*(repr(b) for b in BUCKETS), "+Inf"), tally.buckets, strict=True):
        total += count
        yield "_bucket", labels(le=bound), total
    yield "_count", "", total
    yield "_sum", "", tally.seconds

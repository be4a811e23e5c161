"""Figures and events as text: OpenMetrics, lines of events, small graphs."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from unitd.bus import events as bus
from unitd.cli import spark
from unitd.cli.events import clean, line, patterns
from unitd.cli.plot import picture
from unitd.cli.render import Painter
from unitd.cli.stats import text
from unitd.manager.metrics import MAX_VERBS, Tally, render

PLAIN = Painter(False)


def figures() -> str:
    tally = Tally()
    tally.event({"kind": "process-exited", "unit": "a.service", "code": "exited", "status": 3})
    tally.event({"kind": "process-exited", "unit": "a.service", "code": "exited", "status": 3})
    tally.event({"kind": "unit-changed", "unit": "a.service"})
    for size in (100, 150, 20):
        tally.wrote("a.service", size)
    for i in range(3 * MAX_VERBS):
        tally.served(f'x{i}"\n\\', 0.004, False)
    tally.served("ping", 99.0, True)
    rows = [
        {"unit": "a.service", "active": "active", "restarts": 2, "log_lost": 7, "stats": {"cpu_seconds": 1.5, "memory": 4096, "fds": 3}},
        {"unit": 'odd"\\\n.service', "active": "failed", "restarts": 0, "log_lost": 0, "stats": None},
    ]
    return render(rows, tally, {"version": "1", "instance": "i"}, 1700000000.25, 1)


def test_metrics_are_valid_open_metrics() -> None:
    families = {family.name: family for family in text_string_to_metric_families(figures())}
    values = {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families.values() for s in family.samples}
    assert values["unitd_units", (("state", "active"),)] == 1 and values["unitd_units", (("state", "inactive"),)] == 0
    assert values["unitd_process_exits_total", (("code", "exited"), ("status", "3"), ("unit", "a.service"))] == 2
    assert values["unitd_log_bytes_total", (("unit", "a.service"),)] == 70
    assert values["unitd_log_lost_bytes_total", (("unit", "a.service"),)] == 7
    assert values["unitd_unit_failed", (("unit", 'odd"\\\n.service'),)] == 1
    assert values["unitd_unit_cpu_seconds_total", (("unit", "a.service"),)] == 1.5
    assert values["unitd_bus_request_duration_seconds_bucket", (("le", "0.005"),)] == 3 * MAX_VERBS
    assert values["unitd_bus_request_duration_seconds_count", ()] == 3 * MAX_VERBS + 1
    assert len(families["unitd_bus_requests"].samples) <= MAX_VERBS + 2
    assert families["unitd_unit_memory_bytes"].unit == "bytes"


def test_metrics_of_nothing_are_valid_too() -> None:
    assert list(text_string_to_metric_families(render([], Tally(), {}, 0.0, 0)))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (bus.UnitChanged(unit="a.service", active="failed", sub="failed", old_active="active", old_sub="running", result="signal"), "failed (failed) was active (running), result signal"),
        (bus.RestartPlanned(unit="a.service", reason="it broke", delay=2.0, attempt=3), "restart 3 in 2.000s, because it broke"),
        (bus.ProcessExited(unit="a.service", pid=7, role="ExecStart", code="killed", status=9), "process 7 (ExecStart=) was killed by KILL"),
        (bus.StatusText(unit="a.service", text="busy\x1b[2J\n"), "says: busy?[2J?"),
        (bus.Gap(topic="unit.a", missed=3), "events were lost of unit.a (lost, 3)"),
        (bus.Reloaded(problems=["x"]), "unit files were read again; x"),
        (bus.JobChanged(unit="a.service", id=4, type="start", state="finished", result="done"), "job 4 start: finished, done"),
    ],
)
def test_lines_of_events(event: bus.Event, words: str) -> None:
    shown = line(event, PLAIN)
    assert shown.endswith(f"{event.unit or '-'}: {words}")
    assert clean(shown) == shown


def test_patterns_match_one_name_exactly() -> None:
    exact = patterns(["web"], False, False)
    assert bus.matches("unit.web.service", exact) and bus.matches("job.web.service", exact)
    assert not bus.matches("unit.web.service.d", exact) and not bus.matches("stats.web.service", exact)
    assert bus.matches("stats.web@1.service", patterns(["web@*"], True, False))
    assert bus.matches("manager.reload", patterns([], False, False)) and not bus.matches("log.a", patterns([], False, False))


def test_sparks() -> None:
    assert spark.spark([0, 1, 2, 4], 6) == "  ▁▃▅█"
    assert spark.spark([1, 2], 2, top=100) == "▁▁"
    assert spark.spark([], 3) == "   " and spark.spark([1], 0) == ""
    assert spark.spark([0, 7], 2, unicode=False) == "_@"


def test_graphs_scale_and_keep_holes() -> None:
    assert spark.braille([None, None, 4.0, 4.0], 1, 4.0) == ["\u2800\u28ff"]
    assert spark.braille([1.0, 8.0], 2, 8.0) == ["⢸", "⣸"]
    assert spark.resample([(0.0, 1.0), (100.0, 5.0)], 0.0, 100.0, 10) == [1.0, 1.0, None, None, None, None, None, None, None, 5.0]
    assert spark.columns([None, 1.0, 4.0], 2, 4.0) == ["  #", " _#"]


def test_a_picture() -> None:
    history = [(1000.0 + i, float(i), 1024.0 * i, 0.0 if i < 30 else 2.0) for i in range(60)]
    shown = picture("a.service", history, 1060.0, 300.0, 40, 3, PLAIN, False)
    assert "a.service: the last 1min 1.000s" in shown and "CPU now 59.0%, average 29.5%, most 59.0%" in shown
    assert "restarts 2, 2 of them in this time" in shown and "!" in shown
    picture("a.service", history, 1060.0, 300.0, 40, 3, PLAIN, True).encode("ascii")
    assert "nothing was sampled" in picture("a.service", [], 1060.0, 300.0, 40, 3, PLAIN, False)


def test_the_table_of_stats() -> None:
    rows = [
        {"unit": "a.service", "sub": "running", "cpu": 12.34, "memory": 2048, "age": 61.5, "pss": 1024, "processes": [{"pid": 7, "name": "x"}],
         "sockets": [{"proto": "tcp", "address": "127.0.0.1:80", "queue": 2}, {"proto": "unix", "address": "", "queue": None}]},
        {"unit": "b.service", "sub": "dead"},
    ]  # fmt: skip
    shown = text(rows, PLAIN, True, True)
    assert [line.split() for line in shown.splitlines()] == [
        "UNIT STATE CPU% MEMORY PSS THREADS FDS READ/s WRITE/s RESTARTS AGE".split(),
        "a.service running 12.3 2.0K 1.0K 0 0 0B 0B 0 1min 1.000s".split(),
        "7 x 0.0 0B 0 0".split(),
        "b.service dead 0.0 0B 0B 0 0 0B 0B 0 -".split(),
        [],
        "UNIT SOCKET ADDRESS WAITING".split(),
        "a.service tcp 127.0.0.1:80 2".split(),
        "a.service unix - -".split(),
    ]

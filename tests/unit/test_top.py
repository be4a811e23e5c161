"""The model and the pictures of `unitctl top`, without a terminal."""

from __future__ import annotations

from typing import Any

from unitd.bus import events as bus
from unitd.cli.top.model import Model, forest, scroll
from unitd.cli.top.paint import age_text, clean, columns, fit, frame


def model(*names: str, patterns: tuple[str, ...] = ()) -> Model:
    made = Model(patterns)
    made.snapshot(10, [{"unit": n, "load": "loaded", "active": "active", "sub": "running", "active_enter": 900.0, "main_pid": 7} for n in names])
    return made


def sample(unit: str, cpu: float, memory: int = 0, **more: Any) -> bus.StatsSample:
    return bus.StatsSample(unit=unit, cpu=cpu, memory=memory, position=1, **more)


def names(m: Model) -> list[str]:
    return [row.unit for row in m.shown(1000.0)]


def test_order_follows_the_key() -> None:
    m = model("a.service", "b.service", "c.service")
    for unit, cpu, memory in (("a.service", 1.0, 30), ("b.service", 3.0, 20), ("c.service", 2.0, 10)):
        m.event(sample(unit, cpu, memory))
    assert names(m) == ["b.service", "c.service", "a.service"]
    m.sort = "memory"
    assert names(m) == ["a.service", "b.service", "c.service"]
    m.reverse = True
    assert names(m) == ["c.service", "b.service", "a.service"]
    m.sort, m.reverse = "state", False
    m.event(bus.UnitChanged(unit="c.service", active="failed", sub="failed", position=11))
    assert names(m)[0] == "c.service"


def test_filter_patterns_and_kinds() -> None:
    m = model("web@1.service", "web@2.service", "db.service", "net.target")
    assert names(m) == ["db.service", "web@1.service", "web@2.service"]
    m.filter = "WEB"
    assert names(m) == ["web@1.service", "web@2.service"]
    m.filter, m.everything = "", True
    assert "net.target" in names(m)
    assert names(model("web@1.service", "db.service", patterns=("web*",))) == ["web@1.service"]


def test_events_that_the_snapshot_has_change_nothing() -> None:
    m = model("a.service")
    m.event(bus.UnitChanged(unit="a.service", active="inactive", sub="dead", position=10))
    assert m.rows["a.service"].up
    m.event(bus.UnitChanged(unit="a.service", active="failed", sub="failed", old_active="active", position=11, time=950.0))
    assert (m.rows["a.service"].active, m.rows["a.service"].age(1000.0)) == ("failed", 50.0)


def test_gaps_and_new_units_ask_for_a_snapshot() -> None:
    m = model("a.service")
    assert not m.stale
    m.event(bus.UnitChanged(unit="new.service", active="active", sub="running", position=11))
    assert m.stale and "new.service" in m.rows
    m = model("a.service")
    m.event(bus.Gap(reason="reconnected"))
    assert m.stale
    m.lost("gone")
    assert "gone" in frame(m, 80, 1000.0, True)
    m.snapshot(1, [])
    assert m.connected and m.rows == {}


def test_a_unit_that_is_down_uses_nothing() -> None:
    m = model("a.service")
    m.event(sample("a.service", 50.0, 100, tasks=3, processes=[bus.ProcessSample(7)]))
    m.event(bus.UnitChanged(unit="a.service", active="inactive", sub="dead", position=11))
    row = m.rows["a.service"]
    assert (row.cpu, row.memory, row.tasks, row.processes) == (0.0, 0, 0, []) and list(row.cpu_points) == [50.0]


def test_selection_stays_on_its_unit() -> None:
    m = model("a.service", "b.service", "c.service")
    m.sort = "name"
    m.choose(1000.0, 0)
    assert m.selected == "a.service"
    m.choose(1000.0, 1)
    assert m.selected == "b.service"
    m.reverse = True
    m.choose(1000.0, 0)
    assert m.selected == "b.service"
    m.choose(1000.0, 100)
    assert m.selected == "a.service"
    m.filter = "c.s"
    m.choose(1000.0, 0)
    assert m.selected == "c.service"
    m.filter = "nothing"
    m.choose(1000.0, 0)
    assert m.selected == ""


def test_the_tree_has_children_below_their_parents() -> None:
    processes = [bus.ProcessSample(5, 1, "main"), bus.ProcessSample(9, 5, "child"), bus.ProcessSample(7, 9, "grandchild"), bus.ProcessSample(8, 1, "other")]
    assert [(p.name, depth) for p, depth in forest(processes)] == [("main", 1), ("child", 2), ("grandchild", 3), ("other", 1)]
    assert [p.pid for p, _ in forest([bus.ProcessSample(5, 5)])] == [5]
    m = model("a.service")
    m.event(sample("a.service", 1.0, processes=processes))
    m.tree = True
    assert len(m.lines(1000.0)) == 5
    assert "    7 grandchild" in frame(m, 80, 1000.0, True)


def test_scrolling() -> None:
    assert scroll(100, 10, 0, 0) == 0
    assert scroll(100, 10, 10, 0) == 1
    assert scroll(100, 10, 50, 80) == 50
    assert scroll(5, 10, 4, 3) == 0


def test_columns_fit_any_width() -> None:
    for width in range(16, 300):
        shape = columns(width, 30)
        assert sum(c.width + 1 for c in shape) - 1 == width
    assert {c.key for c in columns(80, 20)} >= {"name", "state", "cpu", "memory", "restarts", "age"}


def test_text_fits_and_is_harmless() -> None:
    assert fit("abc", 2) == "ab" and fit("abc", 5) == "abc  " and fit("7", 3, True) == "  7"
    assert fit("日本語", 5) == "日本 "
    assert clean("a\x1b[2Jb\n") == "a?[2Jb?"
    assert [age_text(s) for s in (5, 65, 3700, 200_000)] == ["5s", "1m", "1h", "2d"]


def test_pictures_are_as_wide_as_asked() -> None:
    m = model("a.service", "b.service")
    m.event(sample("a.service", 99.0, 5 << 20, tasks=2, fds=8))
    m.event(bus.RestartPlanned(unit="b.service", reason="it broke\x1b", delay=5.0, attempt=1, at=1004.0, position=12))
    shown = frame(m, 120, 1000.0, True)
    assert all(len(line) <= 120 for line in shown.splitlines())
    assert "99.0" in shown and "5.0M" in shown and "restart in 4s: it broke?" in shown
    frame(m, 120, 1000.0, False).encode("ascii")
    assert len(frame(m, 120, 1000.0, True, height=1).splitlines()) == 3

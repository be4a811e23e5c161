"""What unitctl prints, as text: tables and status."""

from __future__ import annotations

from typing import Any

import pytest

from unitd.bus.timetext import ago
from unitd.cli import render
from unitd.cli.context import printable, unit_names, use_colour
from unitd.cli.render import Painter
from unitd.cli.show import block
from unitd.cli.status import ended
from unitd.cli.status import render as status

PLAIN = Painter(False)
UNITS = [
    {"unit": "x-b.service", "load": "loaded", "active": "failed", "sub": "failed", "description": "A sleeper", "job": ""},
    {"unit": "x.service", "load": "loaded", "active": "active", "sub": "running", "description": "A sleeper", "job": ""},
]
EXPLAINED = """
LOAD   = Reflects whether the unit definition was properly loaded.
ACTIVE = The high-level unit activation state, i.e. generalization of SUB.
SUB    = The low-level unit activation state, values depend on unit type.
"""


def units(rows: list[dict[str, Any]] = UNITS, **more: bool) -> str:
    return render.units(rows, PLAIN, **{"legend": True, "plain": False, "everything": False, "filtered": False} | more)


def test_list_units() -> None:
    assert units() == (
        "  UNIT        LOAD   ACTIVE SUB     DESCRIPTION\n"
        "● x-b.service loaded failed failed  A sleeper\n"
        "  x.service   loaded active running A sleeper\n"
        + EXPLAINED
        + "2 loaded units listed. Pass --all to see loaded but inactive units, too.\n"
        "To show all installed unit files use 'unitctl list-unit-files'.\n"
    )


def test_list_units_filtered_plain_and_empty() -> None:
    assert units(UNITS[:1], filtered=True).endswith("\n1 loaded units listed.\n")
    assert units(legend=False, plain=True) == "x-b.service loaded failed failed  A sleeper\nx.service   loaded active running A sleeper\n"
    assert units([], filtered=True) == "  UNIT LOAD ACTIVE SUB DESCRIPTION\n0 loaded units listed.\n"
    assert units([{**UNITS[1], "job": "stop"}], legend=False, plain=True) == "x.service loaded active running stop A sleeper\n"


def test_list_unit_files() -> None:
    rows = [
        {"unit_file": "a.service", "state": "static", "preset": "enabled"},
        {"unit_file": "b.service", "state": "enabled", "preset": "enabled"},
    ]
    assert render.unit_files(rows, PLAIN, True) == (
        "UNIT FILE STATE   PRESET\na.service static  -\nb.service enabled enabled\n\n2 unit files listed.\n"
    )


def test_list_jobs() -> None:
    assert render.jobs([], PLAIN, True) == "No jobs running.\n"
    assert (
        render.jobs([{"job": 1, "unit": "a.service", "type": "start", "state": "running"}], PLAIN, False) == "1 a.service start running\n"
    )


def test_list_dependencies() -> None:
    rows = [("t.target", 0), ("b.service", 1), ("c.target", 1), ("d.service", 2), ("e.service", 1)]
    data = [{"unit": unit, "depth": depth, "active": "inactive"} for unit, depth in rows]
    assert render.dependencies(data, PLAIN, plain=True) == "t.target\n  b.service\n  c.target\n  d.service\n  e.service\n"
    assert render.dependencies(data, PLAIN, plain=False) == "t.target\n○ ├─b.service\n○ ├─c.target\n○ │ └─d.service\n○ └─e.service\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (0.5, "500ms ago"), (5, "5s ago"), (65, "1min 5s ago"), (305, "5min ago"), (7380, "2h 3min ago"), (25200, "7h ago"),
     (90000, "1 day 1h ago"),
     (3 * 86400, "3 days ago"), (9 * 86400, "1 week 2 days ago"), (-3, "3s left")],
)  # fmt: skip
def test_ago(seconds: float, text: str) -> None:
    assert ago(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0B"), (1023, "1023B"), (1536, "1.5K"), (1288490, "1.2M"), (3 << 30, "3.0G")])
def test_bytes(size: int, text: str) -> None:
    assert render.bytes_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0"), (0.0123, "12ms"), (1.2345, "1.234s"), (65.5, "1min 5.500s"), (3600, "1h"), (0.0000501, "50us")]
)
def test_duration(seconds: float, text: str) -> None:
    assert render.duration(seconds) == text


ROW: dict[str, Any] = {
    "unit": "web.service", "found": True, "description": "A web server", "load": "loaded", "load_error": "", "fragment":
    "/u/web.service", "drop_ins": [],
    "unit_file_state": "enabled", "active": "inactive", "sub": "dead", "result": "success", "since": 0.0, "active_enter": 0.0,
    "active_exit": 0.0, "main_pid": 0,
    "main_comm": "", "exec_main_pid": 0, "exec_main_code": 0, "exec_main_status": 0, "control_pid": 0, "control_role": "",
    "status_text": "", "status_errno": 0,
    "processes": [], "memory": 0, "cpu": 0.0, "tasks": 0, "tree": [], "restart": None, "last_failure": "", "warnings": [], "docs":
    [], "triggered_by": [],
    "triggers": [], "log": [], "need_daemon_reload": False,
}  # fmt: skip


def text(**changes: Any) -> str:
    return status({**ROW, **changes}, 1005.0, PLAIN)


def test_status_of_what_never_ran() -> None:
    assert text() == "○ web.service - A web server\n     Loaded: loaded (/u/web.service; enabled)\n     Active: inactive (dead)\n"


def test_status_of_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    got = text(
        active="active", sub="running", since=1000.0, main_pid=7, main_comm="nginx", status_text="ready", memory=1288490,
        cpu=0.012, tasks=2,
        tree=[{"pid": 7, "cmdline": "nginx: master", "depth": 0}, {"pid": 8, "cmdline": "nginx: worker", "depth": 1}],
        drop_ins=["/u/web.service.d/a.conf", "/u/web.service.d/b.conf"], docs=["man:nginx(8)", "https://x.y"], warnings=["w"],
        log=["one", "two"],
    )  # fmt: skip
    lines = got.splitlines()
    assert lines.pop(4).startswith("     Active: active (running) since Thu 1970-01-01 ")
    assert lines == [
        "● web.service - A web server",
        "     Loaded: loaded (/u/web.service; enabled)",
        "    Drop-In: /u/web.service.d",
        "             └─a.conf, b.conf",
        "       Docs: man:nginx(8)",
        "             https://x.y",
        "   Main PID: 7 (nginx)",
        '     Status: "ready"',
        "      Tasks: 2",
        "     Memory: 1.2M",
        "        CPU: 12ms",
        "  Processes: └─7 nginx: master",
        "               └─8 nginx: worker",
        "    Warning: w",
        "",
        "one",
        "two",
    ]


def test_status_of_what_failed() -> None:
    ended_process = [{"role": "ExecStart", "pid": 9, "command": "/bin/x", "code": 1, "status": 203}]
    got = text(
        active="failed", sub="failed", result="exit-code", since=1000.0, exec_main_pid=9, exec_main_code=1, exec_main_status=203,
        active_enter=998.0,
        active_exit=999.5, processes=ended_process, last_failure="it has no x", need_daemon_reload=True,
    ).splitlines()  # fmt: skip
    assert got[0] == "× web.service - A web server"
    assert got[2].startswith("     Active: failed (Result: exit-code) since ") and got[2].endswith("; 5s ago")
    assert got[3:] == [
        "   Duration: 1.500s",
        "    Process: 9 ExecStart=/bin/x (code=exited, status=203/EXEC)",
        "   Main PID: 9 (code=exited, status=203/EXEC)",
        "    Failure: it has no x",
        "    Warning: The unit file of web.service changed on disk. Run 'unitctl daemon-reload' to reload units.",
    ]


def test_status_of_what_restarts() -> None:
    restart = {"in_seconds": 3.21, "attempt": 4, "burst": 5, "delay": 10.0}
    got = text(active="activating", sub="auto-restart", result="exit-code", restart=restart).splitlines()
    assert got[0][0] == "↻"
    assert got[2:] == ["     Active: activating (auto-restart) (Result: exit-code)", "    Restart: restarts in 3.2 s, attempt 4 of 5"]


@pytest.mark.parametrize(
    ("load", "error", "expected"),
    [
        ("not-found", "", "not-found (Reason: Unit web.service not found.)"),
        ("masked", "", "masked (Reason: Unit web.service is masked.)"),
        ("bad-setting", "/u:3: error: x", "bad-setting (Reason: /u:3: error: x)"),
    ],
)
def test_status_of_what_cannot_be_loaded(load: str, error: str, expected: str) -> None:
    assert text(load=load, load_error=error).splitlines()[1] == f"     Loaded: {expected}"


@pytest.mark.parametrize(
    ("code", "number", "words"),
    [
        (1, 0, "code=exited, status=0/SUCCESS"),
        (1, 42, "code=exited, status=42"),
        (2, 15, "code=killed, signal=TERM"),
        (3, 6, "code=dumped, signal=ABRT"),
    ],
)
def test_how_a_process_ended(code: int, number: int, words: str) -> None:
    assert ended(code, number) == words


def test_colour_only_where_wanted() -> None:
    assert use_colour({}, True) and not use_colour({}, False)
    assert not use_colour({"NO_COLOR": "1"}, True) and not use_colour({"TERM": "dumb"}, True)
    assert "\x1b[" in status({**ROW, "active": "failed"}, 0.0, Painter(True))
    assert "\x1b" not in text(active="failed")


def test_names_get_a_suffix_and_globs_do_not() -> None:
    assert unit_names(["a", "b.target", "c*", "d@1"]) == ["a.service", "b.target", "c*", "d@1.service"]


def test_terminals_that_cannot() -> None:
    assert printable("● a", "ascii") == "\\u25cf a" and printable("● a", "utf-8") == "● a"


def test_show_block() -> None:
    assert block({"A": "1", "B": "", "C": "x\ny"}, [], False, False) == "A=1\nC=x\nC=y\n"
    assert block({"A": "1", "B": ""}, ["B"], True, False) == "\n"

"""Unit files: names, values, command lines, the lexer and the loader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.units import names, values
from unitd.units.envfile import parse_env_file
from unitd.units.errors import ValueProblem
from unitd.units.execline import expand_argv, parse_command_line, split
from unitd.units.lexer import lex
from unitd.units.loader import Loader
from unitd.units.model import Command
from unitd.units.verify import verify_files

DATA = Path(__file__).parent.parent / "data"
SPANS = json.loads((DATA / "parse-timespan.json").read_text())["cases"]
ESCAPES = json.loads((DATA / "parse-escape.json").read_text())["cases"]


@pytest.mark.parametrize("case", SPANS, ids=lambda c: repr(c["in"]))
def test_time_spans_as_systemd_reads_them(case: dict[str, object]) -> None:
    try:
        usec = values.parse_usec(str(case["in"]))
    except ValueProblem:
        usec = None
        assert case["usec"] is None
    else:
        assert usec == case["usec"]
        assert usec is not None
        assert values.format_timespan(usec) == case["human"]


@pytest.mark.parametrize("case", ESCAPES, ids=lambda c: f"{c['op']} {c['in']!r}")
def test_escaping_as_systemd_does_it(case: dict[str, object]) -> None:
    op, text = str(case["op"]), str(case["in"])
    try:
        if op == "escape":
            got = names.escape(text)
        elif op == "escape --path":
            got = names.escape_path(text)
        elif op == "unescape":
            got = names.unescape(text)
        elif op == "unescape --path":
            got = names.unescape_path(text)
        elif op.startswith("template "):
            got = names.fill(op.split()[1], text)
        else:
            got = names.mangle(text)
    except ValueProblem:
        assert case["out"] == []
    else:
        assert case["out"] == [got]


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8")))
def test_escape_round_trip(text: str) -> None:
    assert names.unescape(names.escape(text)) == text


@given(st.integers(0, 10**15))
def test_timespan_round_trip(usec: int) -> None:
    assert values.parse_usec(values.format_timespan(usec)) == usec


@given(st.text())
def test_the_lexer_never_raises(text: str) -> None:
    lex(text, "x")


@given(st.text())
def test_splitting_raises_nothing_but_its_own(text: str) -> None:
    try:
        split(text)
    except ValueProblem as problem:
        assert "quote" in str(problem)


def test_expansion() -> None:
    env = {"ONE": "1", "TWO": "two words", "Q": 'x "y z"'}
    command = Command("/bin/x", ("x", "$TWO", "${TWO}", "$Q", "$NOPE", "${NOPE}", "a$TWO", "$$ONE", "p${ONE}s"))
    assert expand_argv(command, env) == ("x", "two", "words", "two words", "x", "y z", "", "a$TWO", "$ONE", "p1s")


def test_prefixes_combine_in_any_order_once() -> None:
    [command] = parse_command_line("-@!/bin/sh name -c x", lambda t: t)
    assert command == Command("/bin/sh", ("name", "-c", "x"), ignore_failure=True, privilege="!")
    for bad in ("--/bin/x", "+!/bin/x", "a/b", "'x"):
        with pytest.raises(ValueProblem):
            parse_command_line(bad, lambda t: t)


def test_environment_files() -> None:
    text = "A=1\n# no\nB = two words  \nC=\"q \\\" \\\\ $x\"\nD='s $ \\'\nE=a\\\nb\n;F=1\nbad line\n1X=2\n"
    assert parse_env_file(text) == [("A", "1"), ("B", "two words"), ("C", 'q " \\ $x'), ("D", "s $ \\"), ("E", "ab")]


@pytest.mark.parametrize(
    ("text", "state", "line"),
    [
        (b"[Unit\nDescription=x\n", "error", 1),
        (b"[Service]\nExecStart=/bin/sh -c 'x\n", "bad-setting", 2),
        (b"[Service]\nType=simple\nExecStart=/bin/echo %Z\n", "bad-setting", 3),
        (b"[Service]\nExecStart=/bin/echo \xff\n", "error", 2),
        (b"[Unit]\n\0\0\n", "error", 2),
        (b"#" * (2 << 20), "error", 0),
        (b"[Unit]\nDescription=nothing\n", "bad-setting", 0),
    ],
)
def test_bad_files_say_where(tmp_path: Path, text: bytes, state: str, line: int) -> None:
    (tmp_path / "bad.service").write_bytes(text)
    (tmp_path / "good.service").write_text("[Service]\nExecStart=/bin/true\n")
    unit = Loader([str(tmp_path)]).load("bad.service")
    assert unit.load_state == state
    error = next(p for p in unit.problems if p.severity == "error")
    assert (error.file, error.line) == (str(tmp_path / "bad.service"), line)
    assert Loader([str(tmp_path)]).load("good.service").load_state == "loaded"


def test_a_directory_is_no_unit(tmp_path: Path) -> None:
    (tmp_path / "dir.service").mkdir()
    assert Loader([str(tmp_path)]).load("dir.service").load_state == "error"


def test_all_problems_of_a_file_are_collected(tmp_path: Path) -> None:
    (tmp_path / "a.service").write_text("[Service]\nRestartSec=junk\nRestart=Always\nExecStrat=/bin/x\nExecStart=/bin/true\nUMask=99\nProtectSystem=full\n")
    unit = Loader([str(tmp_path)]).load("a.service")
    assert unit.load_state == "loaded"
    assert [p.line for p in unit.problems if p.severity == "warning"] == [2, 3, 4, 6, 7]
    assert "did you mean ExecStart=?" in str(unit.problems[2])
    assert [p.confines for p in unit.problems].count(True) == 1
    assert [p.line for p in verify_files([str(tmp_path)])] == [2, 3, 4, 6, 7]


def test_drop_ins_templates_aliases_masks(tmp_path: Path) -> None:
    (tmp_path / "web@.service").write_text("[Service]\nExecStart=/bin/echo %i\n")
    (tmp_path / "web@.service.d").mkdir()
    (tmp_path / "web@.service.d" / "10.conf").write_text("[Unit]\nDescription=template %i\n")
    (tmp_path / "web@1.service.d").mkdir()
    (tmp_path / "web@1.service.d" / "20.conf").write_text("[Service]\nExecStart=\nExecStart=/bin/echo two\n")
    (tmp_path / "w.service").symlink_to("web@1.service")
    (tmp_path / "gone.service").symlink_to("/dev/null")
    loader = Loader([str(tmp_path)])
    one, two = loader.load("web@1.service"), loader.load("web@2.service")
    assert (one.unit.description, one.service.exec_start[0].argv[1:]) == ("template 1", ("two",))
    assert two.service.exec_start[0].argv[1:] == ("2",)
    assert loader.load("gone.service").load_state == "masked"
    assert loader.load("nope.service").load_state == "not-found"
    assert not loader.changed(one)
    (tmp_path / "web@1.service.d" / "30.conf").write_text("")
    assert loader.changed(one)

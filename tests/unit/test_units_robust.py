"""Unit files from hostile or careless hands: every directive with odd values, odd names, and the rules that are easy to get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.units import values
from unitd.units.directives import DIRECTIVES
from unitd.units.errors import ValueProblem
from unitd.units.lexer import lex
from unitd.units.loader import Loader
from unitd.units.model import Unit
from unitd.units.parse import Defaults, build
from unitd.units.reference import markdown
from unitd.units.specifiers import HostFacts

ODD = (
    "", "²", "-", "~", "!", "|", "%", "%Z", '"', "'", "a\\", "-1", "9" * 30, "1e3", "infinity", ":", "../y", "@", "@/x", "$", "1-", "0-99999", "٣", "fd:", "file:",
    "=", "A=", "1:2:3", "foo@.service", ".service", "A" * 300, "\\x00", "\\ud800", "\\U00110000", "\\U0000d800",
)  # fmt: skip


def read(text: str, name: str = "a@b.service") -> Unit:
    assignments, _ = lex(text, "f")
    return build(name, assignments, "f", HostFacts(), Defaults())[0]


@pytest.mark.parametrize("odd", ODD)
def test_no_directive_raises_for_an_odd_value(odd: str) -> None:
    for section, key in DIRECTIVES:
        read(f"[{section}]\n{key}=1\n{key}={odd}\n")


@given(st.sampled_from(sorted(DIRECTIVES)), st.text(max_size=40))
def test_no_directive_raises_for_any_value(where: tuple[str, str], text: str) -> None:
    read(f"[{where[0]}]\n{where[1]}={text}\n")


@given(st.text(max_size=30))
def test_the_loader_never_raises_for_a_name(name: str) -> None:
    assert Loader(["/nonexistent"]).load(name).load_state in ("error", "not-found", "loaded")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/b.service", "a\0b.service", "", "."])
def test_a_name_cannot_leave_the_unit_path(tmp_path: Path, name: str) -> None:
    unit = Loader([str(tmp_path)]).load(name)
    assert unit.load_state == "error"
    assert unit.problems[0].hint


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "one.service").symlink_to("two.service")
    (tmp_path / "two.service").symlink_to("one.service")
    (tmp_path / "lost.service").symlink_to("nowhere.service")
    loader = Loader([str(tmp_path)])
    assert (loader.load("one.service").load_state, loader.load("one.service").name) == ("not-found", "one.service")
    assert loader.load("lost.service").load_state == "not-found"


def test_two_backslashes_do_not_continue_a_line() -> None:
    assert [a.value for a in lex("[S]\nA=x\\\\\nB=2\n", "f")[0]] == ["x\\\\", "2"]


def test_a_comment_at_the_end_does_not_swallow_a_continued_line() -> None:
    assert [a.value for a in lex("[S]\nA=x \\\n# c", "f")[0]] == ["x"]


def test_the_higher_directory_beats_the_more_specific_drop_in(tmp_path: Path) -> None:
    for path, text in {
        "low/a-b.service": "[Service]\nExecStart=/bin/true\n",
        "low/a-b.service.d/o.conf": "[Unit]\nDescription=low, own name\n",
        "high/a-.service.d/o.conf": "[Unit]\nDescription=high, prefix\n",
        "high/service.d/o.conf": "[Unit]\nDescription=high, type\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    unit = Loader([str(tmp_path / "high"), str(tmp_path / "low")]).load("a-b.service")
    assert unit.unit.description == "high, prefix"
    assert unit.drop_in_paths == (str(tmp_path / "high/a-.service.d/o.conf"),)


def test_an_alias_of_a_template_holds_for_its_instances(tmp_path: Path) -> None:
    (tmp_path / "web@.service").write_text("[Unit]\nWants=db@.service\n[Service]\nExecStart=/bin/echo %n\n")
    (tmp_path / "www@.service").symlink_to("web@.service")
    unit = Loader([str(tmp_path)]).load("www@1.service")
    assert unit.names == ("web@1.service", "www@1.service")
    assert unit.service.exec_start[0].argv[1:] == ("web@1.service",)
    assert unit.deps("Wants") == ("db@1.service",)


def test_dependencies_survive_an_empty_assignment_and_one_bad_word() -> None:
    unit = read("[Unit]\nWants=b.service a/b c.service b.service\nWants=\n")
    assert unit.deps("Wants") == ("b.service", "c.service")


@pytest.mark.parametrize(("value", "warned"), [("yes", True), ("no", False)])
def test_only_what_would_confine_is_warned_about(value: str, warned: bool) -> None:
    assignments, _ = lex(f"[Service]\nExecStart=/bin/true\nPrivateTmp={value}\n", "f")
    _, problems = build("a.service", assignments, "f", HostFacts(), Defaults())
    assert [p.confines for p in problems] == ([True] if warned else [])


def test_start_timeouts() -> None:
    inf = values.parse_timespan("infinity")
    assert read("[Service]\nType=oneshot\nExecStart=/bin/true\n").service.timeout_start == inf
    assert read("[Service]\nType=oneshot\nTimeoutSec=5\nExecStart=/bin/true\n").service.timeout_start == 5
    both = read("[Service]\nTimeoutSec=0\nExecStart=/bin/true\n").service
    assert (both.timeout_start, both.timeout_stop) == (inf, inf)


@pytest.mark.parametrize(
    ("name", "text", "want"),
    [
        ("NOFILE", "1000", (1000, 1000)),
        ("AS", "1G", (2**30, 2**30)),
        ("STACK", "8M:infinity", (8 * 2**20, None)),
        ("NOFILE", "10:5", None),
        ("NOFILE", "-1", None),
        ("NICE", "-5", (25, 25)),
    ],
)
def test_limits(name: str, text: str, want: object) -> None:
    if want is None:
        with pytest.raises(ValueProblem):
            values.parse_limit(name, text)
    else:
        assert values.parse_limit(name, text) == want


def test_the_reference_names_every_directive() -> None:
    page = markdown()
    assert all(f"| {key}= |" in page for _, key in DIRECTIVES)


@pytest.mark.parametrize("text", [b"\xff\xfe", b"a\0b", b"[Service\nExecStart=/bin/true\n"])
def test_a_file_that_cannot_be_read_has_one_problem(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a.service").write_bytes(text)
    unit = Loader([str(tmp_path)]).load("a.service")
    assert unit.load_state == "error"
    assert len([p for p in unit.problems if p.severity == "error"]) == 1

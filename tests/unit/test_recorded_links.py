"""What systemd 252 makes of links and drop-ins in unit directories, recorded from a booted container."""

from __future__ import annotations

from pathlib import Path

import pytest

from unitd.units import install, installstate
from unitd.units.loader import Loader
from unitd.units.model import Unit

BASE = "[Unit]\nDescription=base %i\n[Service]\nType=oneshot\nExecStart=/bin/true\n"
INSTALL = BASE + "[Install]\n"


def load(directory: Path, files: dict[str, str], name: str) -> Unit:
    """The unit `name` with these files; a text that begins with an arrow is a link."""
    put(directory, files)
    return Loader([str(directory)]).load(name)


def put(directory: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            file.symlink_to(text[3:])
        else:
            file.write_text(text)


@pytest.mark.parametrize(
    ("files", "name", "found"),
    [
        ({"a.service": BASE, "b.service": "-> a.service"}, "b.service", ("a.service", "base ")),
        ({"a.service": BASE, "b.target": "-> a.service"}, "b.target", None),
        ({"b.service": "-> none.service"}, "b.service", None),
        ({"a.service": "-> b.service", "b.service": "-> a.service"}, "a.service", None),
        ({"a@.service": BASE, "a.service": "-> a@x.service"}, "a.service", None),
        ({"a@.service": BASE, "a@x.service": "-> a@y.service"}, "a@x.service", ("a@x.service", "base x")),
        ({"a@.service": BASE, "a@x.service": "-> a@.service"}, "a@x.service", ("a@x.service", "base x")),
        ({"a@.service": BASE, "b@.service": "-> a@.service"}, "b@x.service", ("a@x.service", "base x")),
        ({"a@.service": BASE, "b@x.service": "-> a@.service"}, "b@x.service", ("a@x.service", "base x")),
        ({"a.service": BASE, "b.service": "-> a.service", "c.service": "-> b.service"}, "c.service", ("a.service", "base ")),
        ({"other/x.service": BASE, "a.service": "-> other/x.service"}, "a.service", ("a.service", "base ")),
        ({"other/x.service": BASE, "x.service": "-> other/x.service"}, "x.service", ("x.service", "base ")),
    ],
)
def test_links(tmp_path: Path, files: dict[str, str], name: str, found: tuple[str, str] | None) -> None:
    unit = load(tmp_path, files, name)
    assert (None if unit.load_state == "not-found" else (unit.name, unit.unit.description)) == found
    if found is None:
        assert unit.name == name


def test_an_alias_leads_to_a_name_in_any_directory(tmp_path: Path) -> None:
    put(tmp_path, {"etc/a.service": BASE, "run/b.service": "-> a.service", "run/b.service.d/x.conf": "[Unit]\nDescription=d\n", "run/c.service": "-> none.service"})
    loader = Loader([str(tmp_path / "etc"), str(tmp_path / "run")])
    for name in ("a.service", "b.service"):
        unit = loader.load(name)
        assert (unit.name, unit.names, unit.unit.description) == ("a.service", ("a.service", "b.service"), "d")
    assert (loader.load("c.service").name, loader.load("c.service").load_state) == ("c.service", "not-found")


def test_the_file_of_an_instance_that_is_linked_to_its_template(tmp_path: Path) -> None:
    assert load(tmp_path, {"a@.service": BASE, "a@x.service": "-> a@.service"}, "a@x.service").fragment_path == str(tmp_path / "a@.service")


@pytest.mark.parametrize(
    ("drop_in", "description", "environment"),
    [
        ("[Unit]\nDescription=d\n[Service]\nWorkingDirectory=rel\nEnvironment=A=1\n", "d", ()),
        ("[Unit]\nDescription=d\n[Service\nEnvironment=A=1\n", "d", ()),
        ("[Service]\nEnvironment=A=1\n[Unit\nDescription=d\n", "base ", (("A", "1"),)),
        ("[Service]\nType=junk\nEnvironment=A=1\n", "base ", (("A", "1"),)),
        ("\0", "base ", ()),
    ],
)
def test_a_bad_drop_in_counts_up_to_its_bad_line(tmp_path: Path, drop_in: str, description: str, environment: tuple[tuple[str, str], ...]) -> None:
    unit = load(tmp_path, {"a.service": BASE, "a.service.d/x.conf": drop_in}, "a.service")
    assert (unit.load_state, unit.unit.description, unit.exec.environment) == ("loaded", description, environment)
    assert any(problem.severity == "warning" for problem in unit.problems)


def test_hidden_drop_ins_and_files_in_dependency_directories_do_not_count(tmp_path: Path) -> None:
    files = {"a.service": BASE, "a.service.d/.h.conf": "[Unit]\nDescription=h\n", "a.service.wants/b.service": "", "a.service.wants/c.service": "-> /none"}
    unit = load(tmp_path, {**files, "a.service.wants/t@.service": "-> ../t@.service"}, "a.service")
    assert (unit.unit.description, unit.deps("Wants")) == ("base ", ("c.service", "t@a.service"))


@pytest.mark.parametrize(
    ("files", "name", "state"),
    [
        ({"a.service": BASE, "b.service": "-> a.service"}, "a.service", "indirect"),
        ({"a.service": INSTALL + "Alias=b.service\n", "b.service": "-> a.service"}, "a.service", "enabled"),
        ({"a.service": INSTALL + "WantedBy=t.target\n", "b.service": "-> a.service"}, "a.service", "indirect"),
        ({"a.service": BASE, "b.service": "-> a.service"}, "b.service", "alias"),
        ({"other/a.service": BASE, "a.service": "-> other/a.service"}, "a.service", "linked"),
        ({"a@.service": BASE, "a@x.service": "-> a@.service"}, "a@x.service", "enabled"),
        ({"a@.service": INSTALL + "WantedBy=t.target\nDefaultInstance=x\n", "t.target.wants/a@x.service": "-> ../a@.service"}, "a@.service", "enabled"),
        ({"a@.service": INSTALL + "WantedBy=t.target\nDefaultInstance=x\n", "t.target.wants/a@y.service": "-> ../a@.service"}, "a@.service", "indirect"),
    ],
)
def test_states_of_files(tmp_path: Path, files: dict[str, str], name: str, state: str) -> None:
    put(tmp_path, files)
    assert installstate.file_state([str(tmp_path)], name) == state


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("WantedBy=a b.target\n", '"a" is not a valid unit name.'),
        ("Alias=x\n", "Cannot alias a.service as x."),
        ("Alias=x.target\n", "Cannot alias a.service as x.target."),
        ("Alias=x@.service\n", "Cannot alias a.service as x@.service."),
    ],
)
def test_install_sections_that_name_no_unit(tmp_path: Path, section: str, message: str) -> None:
    put(tmp_path, {"a.service": INSTALL + section})
    with pytest.raises(install.InstallError) as refused:
        install.enable([str(tmp_path)], ["a.service"])
    assert str(refused.value) == message
    assert (tmp_path / "b.target.wants/a.service").is_symlink() == ("b.target" in section)  # the rest is done


def test_also_may_name_what_is_not_there(tmp_path: Path) -> None:
    put(tmp_path, {"a.service": INSTALL + "WantedBy=t.target\nAlso=none.service\n", "t.target": "[Unit]\n"})
    told = [change.path for change in install.enable([str(tmp_path)], ["a.service"])]
    assert told == ["Failed to enable auxiliary unit none.service, ignoring.", str(tmp_path / "t.target.wants/a.service")]


@pytest.mark.parametrize("line", ["[Service", '["Service"]', "[Ser\\vice]", "[Ser\tvice]"])
def test_a_bad_section_line_ends_the_file(tmp_path: Path, line: str) -> None:
    files = {"a.service": f"{BASE}{line}\nEnvironment=A=1\nType=simple\n", "a.service.d/x.conf": "[Unit]\nDescription=d\n"}
    unit = load(tmp_path, files, "a.service")
    assert (unit.load_state, unit.unit.description, unit.exec.environment, unit.service.type) == ("error", "base ", (), "oneshot")


def test_an_escaped_semicolon_is_no_program(tmp_path: Path) -> None:
    for line, state in (("/bin/true ; \\; x", "bad-setting"), ("/bin/true \\; x", "loaded")):
        assert load(tmp_path / state, {"a.service": f"[Service]\nType=oneshot\nExecStart={line}\n"}, "a.service").load_state == state

"""Built-in targets, default dependencies, and the wall between unitd and what the machine boots with."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from unitd.units import implicit, special
from unitd.units.loader import Loader
from unitd.units.model import Unit


def write(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    old = time.time() - 10
    os.utime(path, (old, old))


def link(directory: Path, name: str) -> None:
    """An entry of a dependency directory."""
    (directory / name).parent.mkdir(parents=True, exist_ok=True)
    (directory / name).symlink_to("../" + name.rpartition("/")[2])


def test_services_have_systemds_default_dependencies(tmp_path: Path) -> None:
    """Case value-129."""
    write(tmp_path, "a.service", "[Service]\nExecStart=/bin/true\n")
    unit = Loader([str(tmp_path)]).load("a.service")
    if os.getuid() == 0:
        assert sorted(unit.deps("Requires")) == ["sysinit.target", "system.slice"]
        assert sorted(unit.deps("After")) == ["basic.target", "sysinit.target", "system.slice", "systemd-journald.socket"]
    assert unit.deps("Before") == unit.deps("Conflicts") == ("shutdown.target",)


def test_no_default_dependencies(tmp_path: Path) -> None:
    write(tmp_path, "a.service", "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/true\n")
    unit = Loader([str(tmp_path)]).load("a.service")
    assert "sysinit.target" not in unit.deps("Requires") and not unit.deps("Conflicts")


@pytest.mark.parametrize("name", sorted(special.TARGETS))
def test_every_target_exists_without_a_file(tmp_path: Path, name: str) -> None:
    assert Loader([str(tmp_path)]).load(name).load_state == "loaded"


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("local-fs.target", "Local File Systems"),
        ("swap.target", "Swaps"),
        ("multi-user.target", "Multi-User System"),
        ("nss-lookup.target", "Host and Network Name Lookups"),
        ("-.slice", "Root Slice"),
        ("system.slice", "System Slice"),
        ("user.slice", "User and Session Slice"),
        ("a-b.slice", "Slice /a/b"),
        ("system-x\\x2dy.slice", "Slice /system/x-y"),
        ("a--b.slice", "a--b.slice"),
        ("a\\y.slice", "a\\y.slice"),
    ],
)
def test_descriptions_are_systemds(tmp_path: Path, name: str, description: str) -> None:
    """As systemd 252 shows them for units that have no file, or the file that comes with it."""
    assert Loader([str(tmp_path)]).load(name).unit.description == description


def test_default_target_is_an_alias_until_a_file_says_otherwise(tmp_path: Path) -> None:
    link(tmp_path, "default.target.wants/a.service")
    loader = Loader([str(tmp_path)])
    assert loader.load("default.target").name == "multi-user.target"
    assert "a.service" in loader.load("default.target").deps("Wants")
    write(tmp_path, "default.target", "[Unit]\nWants=b.service\n")
    assert loader.load("default.target").name == "default.target"
    assert "default.target" not in loader.load("multi-user.target").names


def test_a_file_replaces_a_built_in_target_and_a_drop_in_adds_to_it(tmp_path: Path) -> None:
    write(tmp_path, "basic.target", "[Unit]\nWants=x.service\n")
    write(tmp_path, "multi-user.target.d/more.conf", "[Unit]\nWants=y.service\n")
    loader = Loader([str(tmp_path)])
    assert "sockets.target" not in loader.load("basic.target").deps("Wants")
    unit = loader.load("multi-user.target")
    assert unit.deps("Requires") == ("basic.target",) and unit.deps("Wants") == ("y.service",) and unit.unit.allow_isolate


def test_what_systemd_enables_is_not_pulled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With systemd's own directory in the unit path, its early-boot services stay where they are; its files may be used by name."""
    write(tmp_path, "sysinit.target", "[Unit]\nWants=bad.service\n")
    link(tmp_path, "sysinit.target.wants/tmpfiles.service")
    link(tmp_path, "multi-user.target.wants/logind.service")
    link(tmp_path, "own.target.wants/logind.service")
    write(tmp_path, "logind.service", "[Service]\nExecStart=/bin/true\n")
    monkeypatch.setattr(special, "SYSTEMD_DIRECTORIES", (str(tmp_path),))
    loader = Loader([str(tmp_path)])
    assert set(loader.load("sysinit.target").deps("Wants")) == {"local-fs.target", "swap.target"}
    assert not loader.load("multi-user.target").deps("Wants")
    assert loader.load("logind.service").load_state == "loaded"


@pytest.mark.parametrize("directory", ["/lib/systemd/system", "/usr/lib/systemd/system", "/etc/systemd/system", "/run/systemd/system", "/etc/systemd/user"])
def test_systemds_directories(directory: str) -> None:
    assert special.is_systemds(directory)
    assert not special.is_systemds("/etc/unitd/units")


@pytest.mark.parametrize(
    ("name", "slice"),
    [("a.service", "system.slice"), ("a-b@x.service", "system-a\\x2db.slice"), ("a-b.slice", "a.slice"), ("a.slice", "-.slice"), ("-.slice", ""), ("a.target", "")],
)
def test_slices(name: str, slice: str) -> None:
    assert implicit.slice_of(Unit(name)) == slice


def test_the_same_unit_until_something_changes(tmp_path: Path) -> None:
    """A unit is read again when its file, a drop-in, a dependency directory or an alias of it changes; else the same object comes back."""
    write(tmp_path, "a.service", "[Service]\nExecStart=/bin/true\n")
    loader = Loader([str(tmp_path)])

    def again() -> Unit:
        unit = loader.load("a.service")
        assert loader.load("a.service") is unit
        return unit

    unit = again()
    write(tmp_path, "b.service", "[Service]\nExecStart=/bin/true\n")
    assert again() is unit
    write(tmp_path, "a.service.d/x.conf", "[Unit]\nDescription=X\n")
    changed = again()
    assert changed.unit.description == "X"
    os.symlink("a.service", tmp_path / "alias.service")
    assert again().names == ("a.service", "alias.service")
    link(tmp_path, "a.service.wants/b.service")
    assert again().deps("Wants") == ("b.service",)
    link(tmp_path, "a.service.wants/c.service")
    assert again().deps("Wants") == ("b.service", "c.service")
    (tmp_path / "a.service.d/x.conf").unlink()
    assert again().unit.description == ""
    (tmp_path / "a.service").unlink()
    assert again().load_state == "not-found"

"""enable and its kin on real directories, and what is-enabled says of them: the facts are systemd 252's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unitd.units import install
from unitd.units.install import InstallError, alias_of
from unitd.units.installstate import States
from unitd.units.loader import Loader
from unitd.units.suffix import unit_names

BODY = "[Service]\nExecStart=/bin/true\n[Install]\n"


class Place:
    """Two unit directories, /etc and /run as it were."""

    def __init__(self, base: Path) -> None:
        self.etc, self.run = base / "etc", base / "run"
        self.paths = [str(self.etc), str(self.run)]
        for directory in (self.etc, self.run):
            directory.mkdir()

    def write(self, name: str, text: str) -> Place:
        (self.run / name).write_text(BODY + text)
        return self

    def state(self, name: str) -> str:
        return States(Loader(self.paths)).state(name)

    def links(self) -> list[str]:
        found = [p for d in (self.etc, self.run) for p in d.rglob("*") if p.is_symlink()]
        return sorted(f"{p.relative_to(self.etc.parent)} -> {os.readlink(p)}".replace(str(self.etc.parent) + "/", "") for p in found)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    ("name", "alias", "becomes"),
    [
        ("a.service", "b.service", "b.service"),
        ("a.service", "b.target", ""),
        ("a.service", "b@.service", ""),
        ("a@.service", "b@.service", "b@.service"),
        ("a@.service", "b@x.service", "b@x.service"),
        ("a@.service", "b.service", ""),
        ("a@i.service", "b@.service", "b@i.service"),
        ("a@i.service", "b@i.service", "b@i.service"),
        ("a@i.service", "b@j.service", ""),
        ("a@i.service", "b.service", ""),
        ("a.service", "x/b.service", ""),
    ],
)
def test_aliases(name: str, alias: str, becomes: str) -> None:
    if becomes:
        assert alias_of(name, alias) == becomes
    else:
        with pytest.raises(InstallError):
            alias_of(name, alias)


def test_nothing_is_enabled_when_one_of_the_units_is_missing(place: Place) -> None:
    place.write("a.service", "WantedBy=t.target")
    with pytest.raises(InstallError, match="Unit file x.service does not exist"):
        install.enable(place.paths, ["a.service", "x.service"])
    with pytest.raises(InstallError, match='"bare" is not a valid unit name'):
        install.enable(place.write("b.service", "WantedBy=bare").paths, ["b.service"])
    assert place.links() == []


def test_enabled_is_what_install_asks_for_and_anything_else_is_indirect(place: Place) -> None:
    place.write("a.service", "WantedBy=t.target\nAlias=b.service").write("p@.service", "WantedBy=t.target").write("s.service", "")
    assert [place.state(n) for n in ("a.service", "p@.service", "p@x.service", "s.service", "none.service")] == ["disabled", "disabled", "disabled", "static", ""]
    (place.run / "other.service").symlink_to(place.run / "a.service")
    assert (place.state("a.service"), place.state("other.service")) == ("indirect", "alias")
    (place.run / "b.service").symlink_to("a.service")
    assert place.state("a.service") == "enabled-runtime"
    install.enable(place.paths, ["p@x.service"])
    assert [place.state(n) for n in ("p@.service", "p@x.service", "p@y.service")] == ["indirect", "enabled", "disabled"]
    install.add_dependency(place.paths, "a.service", ["s.service"], "wants", runtime=True)
    assert place.state("s.service") == "enabled-runtime"


def test_files_from_elsewhere_are_linked_and_unlinked(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "l.service"
    file.write_text(BODY + "WantedBy=t.target\n")
    assert [c.kind for c in install.link(place.paths, [str(file)])] == ["symlink"]
    assert install.link(place.paths, [str(file)]) == []
    assert place.state("l.service") == "linked"
    install.enable(place.paths, [str(file)])
    assert place.links() == ["etc/l.service -> l.service", "etc/t.target.wants/l.service -> l.service"]
    assert place.state("l.service") == "enabled"
    install.disable(place.paths, ["l.service"])
    assert (place.links(), place.state("l.service")) == ([], "")
    with pytest.raises(InstallError, match="does not exist"):
        install.enable(place.paths, [str(tmp_path / "none.service")])


def test_an_alias_is_not_enabled_and_disabled_by_its_own_name(place: Place) -> None:
    place.write("a.service", "WantedBy=t.target")
    (place.etc / "al.service").symlink_to(place.run / "a.service")
    with pytest.raises(InstallError, match="Refusing to operate on alias name"):
        install.enable(place.paths, ["al.service"])
    install.enable(place.paths, ["a.service"])
    install.disable(place.paths, ["al.service"])
    assert place.links() == ["etc/t.target.wants/a.service -> run/a.service"]


def test_presets_enable_what_can_be(place: Place) -> None:
    place.write("a.service", "WantedBy=t.target").write("p@.service", "WantedBy=t.target").write("s.service", "")
    assert install.preset(place.paths, ["a.service"], mode="disable-only") == []
    assert [c.kind for c in install.preset(place.paths, ["a.service", "p@.service", "s.service"])] == ["symlink", "note"]
    assert place.links() == ["etc/t.target.wants/a.service -> run/a.service"]
    for names, mode, why in ((["x.service"], "full", "does not exist"), (["a.service"], "most", "Failed to parse preset mode: most.")):
        with pytest.raises(InstallError, match=why):
            install.preset(place.paths, names, mode=mode)


def test_masks(place: Place) -> None:
    assert [(c.kind, c.path) for c in install.mask(place.paths, ["x.service"])][0] == ("note", "Unit x.service does not exist, proceeding anyway.")
    assert place.state("x.service") == "masked"
    with pytest.raises(InstallError, match=f"Unit file {place.etc}/x.service is masked"):
        install.enable(place.paths, ["x.service"])
    assert [c.path for c in install.disable(place.paths, ["x.service"])] == [f"Unit {place.etc}/x.service is masked, ignoring."]
    assert place.state("x.service") == "masked"


def test_dependencies_by_hand(place: Place) -> None:
    place.write("a.service", "").write("p@.service", "").write("t.target", "")
    made = install.add_dependency(place.paths, "t.target", ["a.service", "p@i.service"], "requires")
    assert place.links() == ["etc/t.target.requires/a.service -> run/a.service", "etc/t.target.requires/p@i.service -> run/p@.service"]
    assert len(made) == 2 and install.add_dependency(place.paths, "t.target", ["a.service"], "requires") == []
    for target, unit, why in (("x.target", "a.service", "x.target does not exist"), ("t.target", "x.service", "does not exist"), ("t.target", "p@.service", "non-template")):
        with pytest.raises(InstallError, match=why):
            install.add_dependency(place.paths, target, [unit], "wants")


def test_what_people_type_becomes_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert unit_names(["a", "b.timer", "c d", "x/y.service", "/srv/data", "/dev/sda", "e*"]) == [
        "a.service", "b.timer", r"c\x20d.service", "x-y.service", "srv-data.mount", "dev-sda.device", "e*",
    ]  # fmt: skip
    assert capsys.readouterr().err.splitlines() == [
        r'Invalid unit name "c d" escaped as "c\x20d" (maybe you should use systemd-escape?).',
        'Invalid unit name "x/y.service" escaped as "x-y.service" (maybe you should use systemd-escape?).',
    ]
    assert unit_names(["e*"], "enable") == [r"e\x2a.service"]
    assert capsys.readouterr().err.splitlines() == [
        "Glob pattern passed to enable, but globs are not supported for this.",
        r'Invalid unit name "e*" escaped as "e\x2a".',
    ]

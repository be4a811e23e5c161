"""Pure parts of the status page, and what goes with it."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from unitd.bus.connecting import BusError
from unitd.bus.logread import LogLine
from unitd.bus.pagetoken import page_token, read_secret
from unitd.cli.web import url_of
from unitd.manager import ownunits
from unitd.units.loader import Loader
from unitd.web import charts, openapi, picture, rows
from unitd.web.api import Api
from unitd.web.types import Unit

HOSTILE = '"><script>alert(1)</script>'


def test_the_picture_is_well_formed_whatever_the_names() -> None:
    properties = {"Requires": f"db.service {HOSTILE.replace(' ', '')}", "WantedBy": " ".join(f"w{i}.target" for i in range(40)), "After": "x.service"}
    text = picture.draw(HOSTILE, properties, {"db.service": "failed", HOSTILE: HOSTILE})
    root = ElementTree.fromstring(text)
    assert "<script" not in text
    links = [e.get("href") for e in root.iter("{http://www.w3.org/2000/svg}a")]
    assert "/unit/db.service" in links
    assert len(links) == picture.MOST + 2
    assert "and 24 more" in text
    ElementTree.fromstring(picture.draw("alone.service", {}, {}))


def test_rows() -> None:
    row = rows.from_snapshot(
        {"unit": "web@1.service", "active": "active", "restart": {"at": 5.0}, "targets": ["a.target"], "template": "web@.service", "stats": {"cpu": 50.0, "memory": 7}}
    )
    assert (row.type, row.next_restart, row.cpu, row.memory) == ("service", 5.0, 0.5, 7)
    assert rows.from_snapshot({}).unit == ""
    assert rows.state_class(HOSTILE) == "unknown"
    assert rows.matches(row, ["web", "a.target"])
    assert not rows.matches(row, ["web", "failed"])
    assert rows.line(LogLine(1.0, 1, b"\xff" + b"x" * 10_000)).text.startswith("\\xffx")
    assert len(rows.line(LogLine(1.0, 1, b"x" * 10_000)).text) == rows.LONGEST + 1


def test_groups() -> None:
    units = [Unit("b.service", targets=["t.target", "u.target"]), Unit("a.service"), Unit("c@1.service", template="c@.service")]
    assert [(h, [u.unit for u in g]) for h, g in rows.grouped(units, "target")] == [
        ("t.target", ["b.service"]), ("u.target", ["b.service"]), ("no target", ["a.service", "c@1.service"]),
    ]  # fmt: skip
    assert [h for h, _ in rows.grouped(units, "template")] == ["c@.service", "no template"]
    assert [h for h, _ in rows.grouped(units, "")] == [""]


def test_numbers() -> None:
    assert [charts.size(n) for n in (None, 0, 1023, 1536, 5 * 1024**3)] == ["", "0B", "1023B", "1.5K", "5.0G"]
    assert charts.percent(0.123) == "12.3%"
    assert charts.sparkline([1.0]) == ""
    ElementTree.fromstring(charts.sparkline([0.0, 0.0, 3.0]))


def test_the_description_fits_the_code() -> None:
    document = openapi.document()
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert callable(getattr(Api, operation["operationId"])), (method, path)
    text = str(document)
    for name in schemas:
        assert name in text
    assert {"Snapshot", "Detail", "Action", "Done", "Failure"} <= set(schemas)


def test_the_token_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    token = page_token(str(tmp_path))
    assert len(token) >= 40
    assert page_token(str(tmp_path)) == token
    path = tmp_path / "web.token"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["web.token"]
    path.chmod(0o640)
    with pytest.raises(PermissionError, match="chmod 600"):
        page_token(str(tmp_path))
    path.chmod(0o600)
    path.write_text("\n")
    with pytest.raises(PermissionError, match="empty"):
        read_secret(str(path))
    with pytest.raises(OSError, match="No such file"):
        page_token(str(tmp_path / "missing"))
    os.replace(path, tmp_path / "other")
    os.symlink(tmp_path / "other", path)
    with pytest.raises(OSError, match="symbolic links"):
        page_token(str(tmp_path))


def test_own_units_load_and_give_way(tmp_path: Path) -> None:
    late = ownunits.write(str(tmp_path))
    units = tmp_path / "units"
    units.mkdir()
    loader = Loader([str(units)], late=[late])
    for name in ("unitd-status.socket", "unitd-status.service"):
        unit = loader.load(name)
        assert unit.load_state == "loaded"
        assert [str(p) for p in unit.problems if p.severity != "note"] == []
    assert loader.list_files() == {}
    before = os.stat(os.path.join(late, "unitd-status.service")).st_mtime_ns
    ownunits.write(str(tmp_path))
    assert os.stat(os.path.join(late, "unitd-status.service")).st_mtime_ns == before
    (units / "unitd-status.service").write_text("[Service]\nExecStart=/bin/true\n")
    assert loader.load("unitd-status.service").fragment_path == str(units / "unitd-status.service")


def test_own_units_name_any_python(tmp_path: Path) -> None:
    text = ownunits.fill("ExecStart=@PYTHON@ -m unitd.web --bus @BUS@\nEnvironment=@ENVIRONMENT@\n", "/run/a b", '/opt/100%/$x y/python', 1000, {"PYTHONPATH": "/a b"})
    (tmp_path / "x.service").write_text("[Service]\n" + text)
    service = Loader([str(tmp_path)]).load("x.service").service
    assert service.exec_start[0].path == '/opt/100%/$x y/python'
    assert list(service.exec_start[0].argv[1:]) == ["-m", "unitd.web", "--bus", "/run/a b"]


def test_addresses() -> None:
    assert url_of("127.0.0.1:8641") == "http://127.0.0.1:8641/"
    assert url_of("8641") == "http://127.0.0.1:8641/"
    assert url_of("[::]:80") == "http://127.0.0.1:80/"
    assert url_of("[::1]:80") == "http://[::1]:80/"
    with pytest.raises(BusError):
        url_of("/run/page")
    assert ownunits.port(0) == 8641
    assert 10000 <= ownunits.port(1000) < 30000

"""The rooms are imported by one name each."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("units", "manager", "bus", "cli")


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_are_relative_links(room: str) -> None:
    """unitd/ROOM is a relative link that a clone keeps."""
    assert os.readlink(ROOT / "unitd" / room) == f"../{room}"
    assert importlib.import_module(f"unitd.{room}").__name__ == f"unitd.{room}"


def test_no_second_copy() -> None:
    """Importing everything leaves no module named like a room at top level."""
    code = (
        "import pkgutil, importlib, sys, unitd\n"
        "for m in pkgutil.walk_packages(unitd.__path__, 'unitd.'): importlib.import_module(m.name)\n"
        f"print([r for r in {ROOMS!r} if r in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr

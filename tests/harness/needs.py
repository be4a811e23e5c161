"""What a test needs of the machine."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def need(*programs: str) -> None:
    """Skip with one line when a program is missing; with UNITD_TEST_REQUIRE=all that is a failure."""
    missing = [p for p in programs if shutil.which(p, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    if missing:
        absent("needs " + ", ".join(missing))


def absent(reason: str) -> NoReturn:
    """The environment lacks something: a skip, or a failure where everything is required."""
    if os.environ.get("UNITD_TEST_REQUIRE") == "all":
        pytest.fail(reason)
    pytest.skip(reason)

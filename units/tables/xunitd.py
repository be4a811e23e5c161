"""[X-Unitd]: what systemd has no directive for."""

from __future__ import annotations

from unitd.units.tables.row import noted, rows

_HONOURED = """
LogMaxSize|keep|||Size at which captured output is rotated.
LogMaxFiles|keep|||Rotated files that are kept.
"""
_NOTED = """
    Instances LogStreams LogMaxAge LogCompress
"""
ROWS = (*rows("X-Unitd", _HONOURED), *noted("X-Unitd", _NOTED))

"""[Path] (systemd.path(5))."""

from __future__ import annotations

from unitd.units.tables.row import noted

_NOTED = """
    PathExists PathExistsGlob PathChanged PathModified DirectoryNotEmpty Unit MakeDirectory DirectoryMode TriggerLimitIntervalSec TriggerLimitBurst
"""
ROWS = (*noted("Path", _NOTED),)

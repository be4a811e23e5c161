"""Unit types that unitd reads but does not run: [Mount], [Automount], [Swap]."""

from __future__ import annotations

from unitd.units.tables.row import noted

_MOUNT = """
    What Where Type Options SloppyOptions LazyUnmount ReadWriteOnly ForceUnmount DirectoryMode TimeoutSec
"""
_AUTOMOUNT = """
    Where ExtraOptions DirectoryMode TimeoutIdleSec
"""
_SWAP = """
    What Priority Options TimeoutSec
"""
ROWS = (*noted("Mount", _MOUNT), *noted("Automount", _AUTOMOUNT), *noted("Swap", _SWAP))

"""[Timer] (systemd.timer(5))."""

from __future__ import annotations

from unitd.units.tables.row import noted

_NOTED = """
    OnActiveSec OnBootSec OnStartupSec OnUnitActiveSec OnUnitInactiveSec OnCalendar AccuracySec RandomizedDelaySec FixedRandomDelay OnClockChange
    OnTimezoneChange Unit Persistent WakeSystem RemainAfterElapse
"""
ROWS = (*noted("Timer", _NOTED),)

"""[Timer] (systemd.timer(5))."""

from __future__ import annotations

from unitd.units.tables.row import noted, rows

ROWS = (
    *rows(
        "Timer",
        """
        OnActiveSec|timer|timer.values||Elapses so long after the timer was started. May be given several times, as all of these; an empty line resets all.
        OnBootSec|timer|timer.values||Elapses so long after the machine was booted; in a container, after unitd was started.
        OnStartupSec|timer|timer.values||Elapses so long after unitd was started.
        OnUnitActiveSec|timer|timer.values||Elapses so long after the unit was last activated.
        OnUnitInactiveSec|timer|timer.values||Elapses so long after the unit was last deactivated.
        OnCalendar|timer|timer.values||Elapses when the clock fits the expression: Mon..Fri 09:00, daily, *-*~1. `unitctl calendar` tries expressions out.
        AccuracySec|span|timer.accuracy|1min|How late the timer may elapse. unitd is on time in any case.
        RandomizedDelaySec|span|timer.randomized_delay|0|Elapses later by a random time of at most this long.
        FixedRandomDelay|bool|timer.fixed_random_delay|no|The random delay is the same each time, for this unit on this machine.
        OnClockChange|bool|timer.on_clock_change|no|Elapses when the clock is set.
        OnTimezoneChange|bool|timer.on_timezone_change|no|Elapses when the local time zone changes.
        Unit|trigger|timer.unit||The unit to activate; without it, the service of the same name.
        Persistent|bool|timer.persistent|no|With OnCalendar=: elapses at once if it would have done so while the timer was down.
        RemainAfterElapse|bool|timer.remain_after_elapse|yes|A timer that will not elapse again stays active.
        """,
    ),
    *noted(
        "Timer",
        """
        WakeSystem|boolean|no|Wake the machine from sleep.
        DeferReactivation|boolean|no|Do not elapse again at once when the unit took longer than the interval (since 257).
        RandomizedOffsetSec|time span|0|A fixed random shift of calendar times (since 258).
        """,
    ),
)

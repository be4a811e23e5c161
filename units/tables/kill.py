"""How processes are ended (systemd.kill(5))."""

from __future__ import annotations

from unitd.units.tables.row import rows

_HONOURED = """
KillMode|enum:control-group,mixed,process,none|kill.mode|control-group|Which processes are ended.
KillSignal|signal|kill.signal|SIGTERM|First signal of a stop.
RestartKillSignal|signal|kill.restart_signal|KillSignal=|First signal of a restart.
SendSIGHUP|bool|kill.send_sighup|no|SIGHUP after the first signal.
SendSIGKILL|bool|kill.send_sigkill|yes|Whether the final signal is sent.
FinalKillSignal|signal|kill.final_signal|SIGKILL|Last signal of a stop.
WatchdogSignal|signal|kill.watchdog_signal|SIGABRT|Signal after a watchdog timeout.
"""
ROWS = (*rows("Kill", _HONOURED),)

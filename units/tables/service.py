"""[Service], the part that is the service's own (systemd.service(5))."""

from __future__ import annotations

from unitd.units.tables.row import noted, rows

_HONOURED = """
Type|enum:simple,exec,forking,oneshot,notify,notify-reload,idle,dbus|service.type|simple|When the service counts as started.
ExitType|enum:main,cgroup|service.exit_type|main|Whether the main process or all of them decide the end.
RemainAfterExit|bool|service.remain_after_exit|no|Stay active after all processes are gone.
GuessMainPID|bool|service.guess_main_pid|yes|Guess the main process of a forking service.
PIDFile|pidfile|service.pid_file||PID file of a forking service.
BusName|busname|service.bus_name||D-Bus name (Type=dbus is not supported).
ExecCondition|command|service.exec_condition||Runs first: 0 goes on, 1-254 skips, else fails.
ExecStartPre|command|service.exec_start_pre||Runs before ExecStart=.
ExecStart|command|service.exec_start||The command of the service.
ExecStartPost|command|service.exec_start_post||Runs once the service is started.
ExecReload|command|service.exec_reload||Asks the service to reload.
ExecStop|command|service.exec_stop||Asks the service to stop.
ExecStopPost|command|service.exec_stop_post||Runs after the service stopped, however.
Restart|enum:no,always,on-success,on-failure,on-abnormal,on-abort,on-watchdog|service.restart|no|When the service comes back.
RestartSec|span|service.restart_sec|0.1s|Delay before it comes back.
RestartSteps|uint|service.restart_steps|0|Attempts over which the delay grows to RestartMaxDelaySec=.
RestartMaxDelaySec|timeout|service.restart_max_delay|infinity|The longest delay.
RestartMode|enum:normal,direct|service.restart_mode|normal|Whether failed and inactive are passed on the way to a restart.
TimeoutStartSec|timeout|service.timeout_start|90s|How long a start may take.
TimeoutStopSec|timeout|service.timeout_stop|90s|How long each step of a stop may take.
TimeoutAbortSec|optspan|service.timeout_abort||As TimeoutStopSec=, after a watchdog or abort.
TimeoutSec|timeoutboth|||Sets TimeoutStartSec= and TimeoutStopSec=.
TimeoutStartFailureMode|enum:terminate,abort,kill|service.timeout_start_failure_mode|terminate|How a start that takes too long is ended.
TimeoutStopFailureMode|enum:terminate,abort,kill|service.timeout_stop_failure_mode|terminate|How a stop that takes too long is ended.
RuntimeMaxSec|span|service.runtime_max|infinity|How long the service may run.
RuntimeRandomizedExtraSec|span|service.runtime_randomized_extra|0|Random addition to RuntimeMaxSec=.
WatchdogSec|span|service.watchdog|0|How often the service must send WATCHDOG=1.
SuccessExitStatus|exits|service.success_exit_status||Exit statuses and signals that count as success.
RestartPreventExitStatus|exits|service.restart_prevent_exit_status||Ends after which the service stays down.
RestartForceExitStatus|exits|service.restart_force_exit_status||Ends after which the service comes back in any case.
RootDirectoryStartOnly|bool|service.root_directory_start_only|no|RootDirectory= for ExecStart= only.
NonBlocking|bool|service.non_blocking|no|O_NONBLOCK on passed descriptors.
NotifyAccess|enum:none,main,exec,all|service.notify_access|none|Whose sd_notify messages count.
Sockets|names|service.sockets||Socket units whose descriptors are passed.
FileDescriptorStoreMax|uint|service.file_descriptor_store_max|0|Descriptors the service may store.
FileDescriptorStorePreserve|enum:no,yes,restart|service.file_descriptor_store_preserve|restart|How long they are kept.
ReloadSignal|signal|service.reload_signal|SIGHUP|Signal of Type=notify-reload.
OOMPolicy|enum:continue,stop,kill|service.oom_policy|stop|What an out-of-memory kill leads to.
"""
_NOTED = """
USBFunctionDescriptors|path||Descriptors of a USB gadget.
USBFunctionStrings|path||Strings of a USB gadget.
OpenFile|path||A file that is opened and passed (since 253).
PermissionsStartOnly|boolean|no|Old way to write the prefix + in front of all commands but ExecStart=.
RebootArgument|text||Argument of the reboot of an action.
"""
ROWS = (*rows("Service", _HONOURED), *noted("Service", _NOTED))

"""The one table of directives: section, name, how its value is read, where it goes, what it means, whether it is honoured.

Parser, `show`, `verify` and the generated reference come from it. `kind` names a reader in `parse`; kinds `enum:a,b` list their words.
"""

from __future__ import annotations

from dataclasses import dataclass

DEPENDENCIES = (
    "Requires", "Wants", "Requisite", "BindsTo", "PartOf", "Upholds", "Conflicts", "Before", "After", "OnFailure", "OnSuccess", "PropagatesReloadTo",
    "ReloadPropagatedFrom", "PropagatesStopTo", "StopPropagatedFrom", "JoinsNamespaceOf",
)  # fmt: skip
CONDITIONS = (
    "PathExists", "PathExistsGlob", "PathIsDirectory", "PathIsSymbolicLink", "PathIsMountPoint", "PathIsReadWrite", "PathIsEncrypted", "DirectoryNotEmpty",
    "FileNotEmpty", "FileIsExecutable", "User", "Group", "Host", "Environment", "Architecture", "Firmware", "Virtualization", "KernelVersion",
    "KernelCommandLine", "Memory", "CPUs", "Capability", "OSRelease", "Security", "ACPower", "NeedsUpdate", "FirstBoot", "ControlGroupController",
    "CPUFeature", "Credential", "MemoryPressure", "CPUPressure", "IOPressure", "Version",
)  # fmt: skip
LIMITS = ("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NOFILE", "AS", "NPROC", "MEMLOCK", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME")
ACTIONS = "enum:none,reboot,reboot-force,reboot-immediate,poweroff,poweroff-force,poweroff-immediate,exit,exit-force,kexec,halt,soft-reboot"


@dataclass(frozen=True)
class Directive:
    """One directive. `field` is a path in the model ("service.restart_sec"), empty for what only `settings` keeps."""

    section: str
    name: str
    kind: str
    field: str
    tier: str  # honoured, partly, noted
    help: str
    confines: bool = False


#: section | name | kind | field | help
_HONOURED = """
Unit|Description|str|unit.description|A short human title.
Unit|Documentation|documentation|unit.documentation|URIs of documentation.
Unit|SourcePath|str|unit.source_path|File that the unit was generated from.
Unit|DefaultDependencies|bool|unit.default_dependencies|Whether the usual dependencies are added.
Unit|StopWhenUnneeded|bool|unit.stop_when_unneeded|Stop the unit when nothing needs it.
Unit|RefuseManualStart|bool|unit.refuse_manual_start|Refuse a start by hand.
Unit|RefuseManualStop|bool|unit.refuse_manual_stop|Refuse a stop by hand.
Unit|AllowIsolate|bool|unit.allow_isolate|Allow isolate on the unit.
Unit|IgnoreOnIsolate|bool|unit.ignore_on_isolate|Keep the unit when another is isolated.
Unit|CollectMode|enum:inactive,inactive-or-failed|unit.collect_mode|When the unit may be forgotten.
Unit|OnFailureJobMode|jobmode|unit.on_failure_job_mode|Job mode of OnFailure= units.
Unit|OnSuccessJobMode|jobmode|unit.on_success_job_mode|Job mode of OnSuccess= units.
Unit|JobTimeoutSec|timeout|unit.job_timeout|How long a job may wait and run.
Unit|JobRunningTimeoutSec|timeout|unit.job_running_timeout|How long a job may run.
Unit|StartLimitIntervalSec|span|unit.start_limit_interval|Window of the start limit; 0 switches it off.
Unit|StartLimitInterval|span|unit.start_limit_interval|Old name of StartLimitIntervalSec=.
Unit|StartLimitBurst|uint|unit.start_limit_burst|Starts allowed in the window; 0 switches the limit off.
Unit|StartLimitAction|@ACTIONS|unit.start_limit_action|What to do when the start limit is hit.
Unit|FailureAction|@ACTIONS|unit.failure_action|What to do when the unit fails.
Unit|SuccessAction|@ACTIONS|unit.success_action|What to do when the unit ends well.
Unit|FailureActionExitStatus|exitcode|unit.failure_action_exit_status|Exit status of the manager with FailureAction=exit.
Unit|SuccessActionExitStatus|exitcode|unit.success_action_exit_status|Exit status of the manager with SuccessAction=exit.
Unit|RequiresMountsFor|paths|unit.requires_mounts_for|Paths whose mounts are needed.
Service|Type|enum:simple,exec,forking,oneshot,notify,notify-reload,idle,dbus|service.type|When the service counts as started.
Service|ExitType|enum:main,cgroup|service.exit_type|Whether the main process or all of them decide the end.
Service|RemainAfterExit|bool|service.remain_after_exit|Stay active after all processes are gone.
Service|GuessMainPID|bool|service.guess_main_pid|Guess the main process of a forking service.
Service|PIDFile|pidfile|service.pid_file|PID file of a forking service.
Service|BusName|str|service.bus_name|D-Bus name (Type=dbus is not supported).
Service|ExecCondition|command|service.exec_condition|Runs first: 0 goes on, 1-254 skips, else fails.
Service|ExecStartPre|command|service.exec_start_pre|Runs before ExecStart=.
Service|ExecStart|command|service.exec_start|The command of the service.
Service|ExecStartPost|command|service.exec_start_post|Runs once the service is started.
Service|ExecReload|command|service.exec_reload|Asks the service to reload.
Service|ExecStop|command|service.exec_stop|Asks the service to stop.
Service|ExecStopPost|command|service.exec_stop_post|Runs after the service stopped, however.
Service|Restart|enum:no,always,on-success,on-failure,on-abnormal,on-abort,on-watchdog|service.restart|When the service comes back.
Service|RestartSec|span|service.restart_sec|Delay before it comes back.
Service|RestartSteps|uint|service.restart_steps|Attempts over which the delay grows to RestartMaxDelaySec=.
Service|RestartMaxDelaySec|timeout|service.restart_max_delay|The longest delay.
Service|RestartMode|enum:normal,direct|service.restart_mode|Whether failed and inactive are passed on the way to a restart.
Service|TimeoutStartSec|timeout|service.timeout_start|How long a start may take.
Service|TimeoutStopSec|timeout|service.timeout_stop|How long each step of a stop may take.
Service|TimeoutAbortSec|timeout|service.timeout_abort|As TimeoutStopSec=, after a watchdog or abort.
Service|TimeoutSec|timeoutboth||Sets TimeoutStartSec= and TimeoutStopSec=.
Service|TimeoutStartFailureMode|enum:terminate,abort,kill|service.timeout_start_failure_mode|How a start that takes too long is ended.
Service|TimeoutStopFailureMode|enum:terminate,abort,kill|service.timeout_stop_failure_mode|How a stop that takes too long is ended.
Service|RuntimeMaxSec|timeout|service.runtime_max|How long the service may run.
Service|RuntimeRandomizedExtraSec|span|service.runtime_randomized_extra|Random addition to RuntimeMaxSec=.
Service|WatchdogSec|span|service.watchdog|How often the service must send WATCHDOG=1.
Service|SuccessExitStatus|exits|service.success_exit_status|Exit statuses and signals that count as success.
Service|RestartPreventExitStatus|exits|service.restart_prevent_exit_status|Ends after which the service stays down.
Service|RestartForceExitStatus|exits|service.restart_force_exit_status|Ends after which the service comes back in any case.
Service|RootDirectoryStartOnly|bool|service.root_directory_start_only|RootDirectory= for ExecStart= only.
Service|NonBlocking|bool|service.non_blocking|O_NONBLOCK on passed descriptors.
Service|NotifyAccess|enum:none,main,exec,all|service.notify_access|Whose sd_notify messages count.
Service|Sockets|names|service.sockets|Socket units whose descriptors are passed.
Service|FileDescriptorStoreMax|uint|service.file_descriptor_store_max|Descriptors the service may store.
Service|FileDescriptorStorePreserve|enum:no,yes,restart|service.file_descriptor_store_preserve|How long they are kept.
Service|ReloadSignal|signal|service.reload_signal|Signal of Type=notify-reload.
Service|OOMPolicy|enum:continue,stop,kill|service.oom_policy|What an out-of-memory kill leads to.
Exec|WorkingDirectory|workdir||Where the process starts.
Exec|RootDirectory|path|exec.root_directory|chroot before exec.
Exec|User|str|exec.user|User of the process.
Exec|Group|str|exec.group|Group of the process.
Exec|SupplementaryGroups|words|exec.supplementary_groups|More groups.
Exec|Environment|environment|exec.environment|Variables.
Exec|EnvironmentFile|envfile|exec.environment_files|Files of variables; - in front: may be missing.
Exec|PassEnvironment|words|exec.pass_environment|Variables of the manager that are passed on.
Exec|UnsetEnvironment|quotedwords|exec.unset_environment|Variables that are taken out last.
Exec|ExecSearchPath|colonpaths|exec.exec_search_path|Where bare command names are looked up.
Exec|UMask|mode|exec.umask|File mode creation mask.
Exec|Nice|int:-20:19|exec.nice|Nice level.
Exec|OOMScoreAdjust|int:-1000:1000|exec.oom_score_adjust|OOM score adjustment.
Exec|IOSchedulingClass|ioclass|exec.io_scheduling_class|I/O scheduling class.
Exec|IOSchedulingPriority|int:0:7|exec.io_scheduling_priority|I/O priority.
Exec|CPUSchedulingPolicy|cpupolicy|exec.cpu_scheduling_policy|CPU scheduling policy.
Exec|CPUSchedulingPriority|int:0:99|exec.cpu_scheduling_priority|CPU scheduling priority.
Exec|CPUSchedulingResetOnFork|bool|exec.cpu_scheduling_reset_on_fork|Children get the default policy.
Exec|CPUAffinity|cpuset|exec.cpu_affinity|Processors to run on.
Exec|TimerSlackNSec|nsec|exec.timer_slack_nsec|Timer slack.
Exec|StandardInput|stdin|exec.standard_input|What fd 0 is.
Exec|StandardOutput|stdout|exec.standard_output|What fd 1 is.
Exec|StandardError|stdout|exec.standard_error|What fd 2 is.
Exec|StandardInputText|inputtext|exec.standard_input_data|Text for StandardInput=data.
Exec|StandardInputData|inputdata|exec.standard_input_data|Base64 data for StandardInput=data.
Exec|TTYPath|str|exec.tty_path|Terminal of StandardInput=tty.
Exec|SyslogIdentifier|str|exec.syslog_identifier|Name in front of log lines.
Exec|RuntimeDirectory|directories|exec.directories.Runtime|Directories below /run, removed at stop.
Exec|StateDirectory|directories|exec.directories.State|Directories below /var/lib.
Exec|CacheDirectory|directories|exec.directories.Cache|Directories below /var/cache.
Exec|LogsDirectory|directories|exec.directories.Logs|Directories below /var/log.
Exec|ConfigurationDirectory|directories|exec.directories.Configuration|Directories below /etc.
Exec|RuntimeDirectoryMode|dirmode|exec.directories.Runtime|Their mode.
Exec|StateDirectoryMode|dirmode|exec.directories.State|Their mode.
Exec|CacheDirectoryMode|dirmode|exec.directories.Cache|Their mode.
Exec|LogsDirectoryMode|dirmode|exec.directories.Logs|Their mode.
Exec|ConfigurationDirectoryMode|dirmode|exec.directories.Configuration|Their mode.
Exec|RuntimeDirectoryPreserve|enum:no,yes,restart|exec.runtime_directory_preserve|Whether they outlive a stop.
Exec|NoNewPrivileges|bool|exec.no_new_privileges|No privileges by execve.
Exec|CapabilityBoundingSet|capabilities|exec.capability_bounding_set|Capabilities that can be had at all.
Exec|AmbientCapabilities|capabilities|exec.ambient_capabilities|Capabilities given in spite of User=.
Exec|IgnoreSIGPIPE|bool|exec.ignore_sigpipe|Whether SIGPIPE is ignored.
Kill|KillMode|enum:control-group,mixed,process,none|kill.mode|Which processes are ended.
Kill|KillSignal|signal|kill.signal|First signal of a stop.
Kill|RestartKillSignal|signal|kill.restart_signal|First signal of a restart.
Kill|SendSIGHUP|bool|kill.send_sighup|SIGHUP after the first signal.
Kill|SendSIGKILL|bool|kill.send_sigkill|Whether the final signal is sent.
Kill|FinalKillSignal|signal|kill.final_signal|Last signal of a stop.
Kill|WatchdogSignal|signal|kill.watchdog_signal|Signal after a watchdog timeout.
Install|WantedBy|names|install.wanted_by|Units that want this one once it is enabled.
Install|RequiredBy|names|install.required_by|Units that require this one once it is enabled.
Install|UpheldBy|names|install.upheld_by|Units that uphold this one once it is enabled.
Install|Alias|names|install.alias|Other names once it is enabled.
Install|Also|names|install.also|Units to enable along.
Install|DefaultInstance|str|install.default_instance|Instance to enable a template as.
X-Unitd|LogMaxSize|keep||Size at which captured output is rotated.
X-Unitd|LogMaxFiles|keep||Rotated files that are kept.
"""
#: Known and kept, but not (or not fully) acted on; the names after ! would have confined the service.
_NOTED = {
    "Exec": """DynamicUser!PAMName LoadCredential LoadCredentialEncrypted SetCredential SetCredentialEncrypted ImportCredential SecureBits! Personality
      CoredumpFilter NUMAPolicy NUMAMask TTYReset TTYVHangup TTYVTDisallocate TTYRows TTYColumns LogLevelMax LogRateLimitIntervalSec LogRateLimitBurst LogExtraFields LogNamespace
      LogFilterPatterns SyslogFacility SyslogLevel SyslogLevelPrefix UtmpIdentifier UtmpMode KeyringMode MountAPIVFS MountFlags RootImage! RootImageOptions RootHash!
      RootHashSignature RootVerity RootEphemeral ProtectSystem! ProtectHome! ProtectHostname! ProtectClock! ProtectKernelTunables! ProtectKernelModules! ProtectKernelLogs!
      ProtectControlGroups! ProtectProc! ProcSubset! PrivateTmp! PrivateDevices! PrivateNetwork! PrivateUsers! PrivateMounts! PrivateIPC! PrivatePIDs! NetworkNamespacePath!
      IPCNamespacePath! RestrictAddressFamilies! RestrictFileSystems! RestrictNamespaces! RestrictRealtime! RestrictSUIDSGID! LockPersonality! MemoryDenyWriteExecute!
      RemoveIPC ReadOnlyPaths! ReadWritePaths! InaccessiblePaths! ExecPaths! NoExecPaths! ReadOnlyDirectories! ReadWriteDirectories! InaccessibleDirectories! TemporaryFileSystem! BindPaths BindReadOnlyPaths MountImages
      ExtensionImages ExtensionDirectories SystemCallFilter! SystemCallArchitectures! SystemCallErrorNumber SystemCallLog SELinuxContext! AppArmorProfile! SmackProcessLabel!
      StandardInputText TimeoutCleanSec""",
    "Resource": """MemoryMax! MemoryHigh! MemoryLow MemoryMin MemorySwapMax! MemoryZSwapMax MemoryLimit! MemoryAccounting CPUQuota! CPUQuotaPeriodSec CPUWeight CPUShares StartupCPUWeight CPUAccounting
      TasksMax! TasksAccounting IOWeight IOAccounting IODeviceWeight IOReadBandwidthMax! IOWriteBandwidthMax! IOReadIOPSMax! IOWriteIOPSMax! BlockIOWeight BlockIOAccounting
      AllowedCPUs! AllowedMemoryNodes! Delegate DelegateSubgroup Slice DisableControllers IPAccounting IPAddressAllow! IPAddressDeny! IPIngressFilterPath! IPEgressFilterPath!
      BPFProgram! SocketBindAllow! SocketBindDeny! RestrictNetworkInterfaces! DevicePolicy! DeviceAllow! ManagedOOMSwap ManagedOOMMemoryPressure ManagedOOMMemoryPressureLimit
      ManagedOOMPreference MemoryPressureWatch MemoryPressureThresholdSec""",
    "Service": "USBFunctionDescriptors USBFunctionStrings OpenFile PermissionsStartOnly RebootArgument FailureAction",
    "Unit": "RebootArgument JobTimeoutAction JobTimeoutRebootArgument SurviveFinalKillSignal WantsMountsFor RequiresOverridable RequisiteOverridable BindTo",
    "Socket": """ListenStream ListenDatagram ListenSequentialPacket ListenFIFO ListenSpecial ListenNetlink ListenMessageQueue ListenUSBFunction SocketProtocol BindIPv6Only Backlog
      BindToDevice SocketUser SocketGroup SocketMode DirectoryMode Accept Writable FlushPending MaxConnections MaxConnectionsPerSource KeepAlive KeepAliveTimeSec
      KeepAliveIntervalSec KeepAliveProbes NoDelay Priority DeferAcceptSec ReceiveBuffer SendBuffer IPTOS IPTTL Mark ReusePort SmackLabel PipeSize MessageQueueMaxMessages
      FreeBind Transparent Broadcast PassCredentials PassSecurity PassPacketInfo Timestamping TCPCongestion ExecStartPre ExecStartPost ExecStopPre ExecStopPost TimeoutSec
      Service RemoveOnStop Symlinks FileDescriptorName TriggerLimitIntervalSec TriggerLimitBurst PollLimitIntervalSec PollLimitBurst PassFileDescriptorsToExec""",
    "Timer": """OnActiveSec OnBootSec OnStartupSec OnUnitActiveSec OnUnitInactiveSec OnCalendar AccuracySec RandomizedDelaySec FixedRandomDelay OnClockChange OnTimezoneChange
      Unit Persistent WakeSystem RemainAfterElapse""",
    "Path": "PathExists PathExistsGlob PathChanged PathModified DirectoryNotEmpty Unit MakeDirectory DirectoryMode TriggerLimitIntervalSec TriggerLimitBurst",
    "Mount": "What Where Type Options SloppyOptions LazyUnmount ReadWriteOnly ForceUnmount DirectoryMode TimeoutSec",
    "Automount": "Where ExtraOptions DirectoryMode TimeoutIdleSec",
    "Swap": "What Priority Options TimeoutSec",
    "Slice": "",
    "X-Unitd": "Instances LogStreams LogMaxAge LogCompress",
}  # fmt: skip
#: Which sections take the directives of which groups.
GROUPS = {
    "Service": ("Exec", "Kill", "Resource"),
    "Socket": ("Exec", "Kill", "Resource"),
    "Mount": ("Exec", "Kill", "Resource"),
    "Swap": ("Exec", "Kill", "Resource"),
    "Slice": ("Resource",),
    "Scope": ("Kill", "Resource"),
}
SECTIONS = ("Unit", "Install", "Service", "Socket", "Timer", "Path", "Mount", "Automount", "Swap", "Slice", "Scope", "X-Unitd")


def _build() -> dict[tuple[str, str], Directive]:
    table: dict[tuple[str, str], Directive] = {}

    def put(directive: Directive) -> None:
        homes = [s for s, groups in GROUPS.items() if directive.section in groups] or [directive.section]
        for home in homes:
            table.setdefault((home, directive.name), directive)

    for line in _HONOURED.strip().splitlines():
        section, name, kind, path, text = line.split("|", 4)
        put(Directive(section, name, ACTIONS if kind == "@ACTIONS" else kind, path, "honoured", text))
    for name in DEPENDENCIES:
        put(Directive("Unit", name, "deps", f"unit.dependencies.{name}", "noted" if name == "JoinsNamespaceOf" else "honoured", "Unit dependency."))
    for name in CONDITIONS:
        put(Directive("Unit", "Condition" + name, "condition", "unit.conditions", "honoured", "Skips the start unless it holds."))
        put(Directive("Unit", "Assert" + name, "condition", "unit.asserts", "honoured", "Fails the start unless it holds."))
    for name in LIMITS:
        put(Directive("Exec", "Limit" + name, "limit", f"exec.limits.{name}", "honoured", "Resource limit, soft:hard."))
    for name in ("StartLimitInterval", "StartLimitIntervalSec", "StartLimitBurst", "StartLimitAction"):
        table["Service", name] = table["Unit", name]
    for section, words in _NOTED.items():
        for word in words.replace("!", "! ").split():
            name = word.rstrip("!")
            put(Directive(section, name, "keep", "", "noted", "", confines=word.endswith("!")))
    return table


#: (section, directive) -> its entry.
DIRECTIVES = _build()

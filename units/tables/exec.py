"""What a process is given before it runs (systemd.exec(5))."""

from __future__ import annotations

from unitd.units.tables.row import Directive, noted, rows

_LIMITS = ("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NOFILE", "AS", "NPROC", "MEMLOCK", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME")
_HONOURED = """
WorkingDirectory|workdir|||Where the process starts.
RootDirectory|path|exec.root_directory||chroot before exec.
User|user|exec.user||User of the process.
Group|user|exec.group||Group of the process.
SupplementaryGroups|users|exec.supplementary_groups||More groups.
Environment|environment|exec.environment||Variables.
EnvironmentFile|envfile|exec.environment_files||Files of variables; - in front: may be missing.
PassEnvironment|words|exec.pass_environment||Variables of the manager that are passed on.
UnsetEnvironment|quotedwords|exec.unset_environment||Variables that are taken out last.
ExecSearchPath|colonpaths|exec.exec_search_path||Where bare command names are looked up.
UMask|mode|exec.umask|0022|File mode creation mask.
Nice|int:-20:19|exec.nice||Nice level.
OOMScoreAdjust|int:-1000:1000|exec.oom_score_adjust||OOM score adjustment.
IOSchedulingClass|ioclass|exec.io_scheduling_class||I/O scheduling class.
IOSchedulingPriority|int:0:7|exec.io_scheduling_priority||I/O priority.
CPUSchedulingPolicy|cpupolicy|exec.cpu_scheduling_policy||CPU scheduling policy.
CPUSchedulingPriority|int:0:99|exec.cpu_scheduling_priority|0|CPU scheduling priority.
CPUSchedulingResetOnFork|bool|exec.cpu_scheduling_reset_on_fork|no|Children get the default policy.
CPUAffinity|cpuset|exec.cpu_affinity||Processors to run on.
TimerSlackNSec|nsec|exec.timer_slack_nsec||Timer slack.
StandardInput|stdin|exec.standard_input|null|What fd 0 is.
StandardOutput|stdout|exec.standard_output|journal|What fd 1 is.
StandardError|stdout|exec.standard_error|inherit|What fd 2 is.
StandardInputText|inputtext|exec.standard_input_data||Text for StandardInput=data.
StandardInputData|inputdata|exec.standard_input_data||Base64 data for StandardInput=data.
TTYPath|str|exec.tty_path|/dev/console|Terminal of StandardInput=tty.
SyslogIdentifier|str|exec.syslog_identifier||Name in front of log lines.
LogRateLimitIntervalSec|span|exec.log_rate_limit_interval|0|Interval of LogRateLimitBurst=; 0: no limit.
LogRateLimitBurst|uint|exec.log_rate_limit_burst|0|Lines that may come in the interval; the others are counted and dropped. 0: no limit.
RuntimeDirectory|directories|exec.directories.Runtime||Directories below /run, removed at stop.
StateDirectory|directories|exec.directories.State||Directories below /var/lib.
CacheDirectory|directories|exec.directories.Cache||Directories below /var/cache.
LogsDirectory|directories|exec.directories.Logs||Directories below /var/log.
ConfigurationDirectory|directories|exec.directories.Configuration||Directories below /etc.
RuntimeDirectoryMode|dirmode|exec.directories.Runtime|0755|Their mode.
StateDirectoryMode|dirmode|exec.directories.State|0755|Their mode.
CacheDirectoryMode|dirmode|exec.directories.Cache|0755|Their mode.
LogsDirectoryMode|dirmode|exec.directories.Logs|0755|Their mode.
ConfigurationDirectoryMode|dirmode|exec.directories.Configuration|0755|Their mode.
RuntimeDirectoryPreserve|enum:no,yes,restart|exec.runtime_directory_preserve|no|Whether they outlive a stop.
NoNewPrivileges|bool|exec.no_new_privileges|no|No privileges by execve.
CapabilityBoundingSet|capabilities|exec.capability_bounding_set||Capabilities that can be had at all.
AmbientCapabilities|capabilities|exec.ambient_capabilities||Capabilities given in spite of User=.
SecureBits|securebits|exec.secure_bits||Secure bits: noroot, no-setuid-fixup, keep-caps, each also with -locked.
SetCredential|credential|exec.set_credentials||Credential given here: NAME:VALUE with C escapes.
LoadCredential|credential|exec.load_credentials||Credential from a file or directory: NAME[:PATH]; without an absolute path it is looked for in the credential stores.
TTYReset|bool|exec.tty_reset|no|Reset the terminal before and after use.
TTYVHangup|bool|exec.tty_vhangup|no|Disconnect everybody from the terminal before use.
IgnoreSIGPIPE|bool|exec.ignore_sigpipe|yes|Whether SIGPIPE is ignored.
"""
_NOTED = """
    DynamicUser! PAMName LoadCredentialEncrypted SetCredentialEncrypted ImportCredential  Personality
    CoredumpFilter NUMAPolicy NUMAMask  TTYVTDisallocate TTYRows TTYColumns LogLevelMax
    LogExtraFields LogNamespace LogFilterPatterns SyslogFacility SyslogLevel SyslogLevelPrefix UtmpIdentifier UtmpMode KeyringMode MountAPIVFS MountFlags
    RootImage! RootImageOptions RootHash! RootHashSignature RootVerity RootEphemeral ProtectSystem! ProtectHome! ProtectHostname! ProtectClock!
    ProtectKernelTunables! ProtectKernelModules! ProtectKernelLogs! ProtectControlGroups! ProtectProc! ProcSubset! PrivateTmp! PrivateDevices!
    PrivateNetwork! PrivateUsers! PrivateMounts! PrivateIPC! PrivatePIDs! NetworkNamespacePath! IPCNamespacePath! RestrictAddressFamilies!
    RestrictFileSystems! RestrictNamespaces! RestrictRealtime! RestrictSUIDSGID! LockPersonality! MemoryDenyWriteExecute! RemoveIPC ReadOnlyPaths!
    ReadWritePaths! InaccessiblePaths! ExecPaths! NoExecPaths! ReadOnlyDirectories! ReadWriteDirectories! InaccessibleDirectories! TemporaryFileSystem!
    BindPaths BindReadOnlyPaths MountImages ExtensionImages ExtensionDirectories SystemCallFilter! SystemCallArchitectures! SystemCallErrorNumber
    SystemCallLog SELinuxContext! AppArmorProfile! SmackProcessLabel! StandardInputText TimeoutCleanSec
"""
ROWS = (*rows("Exec", _HONOURED), *noted("Exec", _NOTED), *(
    Directive("Exec", "Limit" + name, "limit", f"exec.limits.{name}", "honoured", "Resource limit, soft:hard.") for name in _LIMITS
))

"""What a process is given before it runs (systemd.exec(5))."""

from __future__ import annotations

from unitd.units.tables.row import Directive, noted, rows

_LIMITS = {
    "CPU": "processor time", "FSIZE": "file sizes", "DATA": "data segments", "STACK": "stacks", "CORE": "core dumps", "RSS": "resident memory",
    "NOFILE": "open files (1024 soft unless set)", "AS": "address space", "NPROC": "processes of the user", "MEMLOCK": "locked memory", "LOCKS": "file locks",
    "SIGPENDING": "queued signals", "MSGQUEUE": "POSIX message queues", "NICE": "nice levels", "RTPRIO": "realtime priority", "RTTIME": "realtime CPU time",
}  # fmt: skip
_HONOURED = """
WorkingDirectory|workdir|||Where the process starts.
RootDirectory|fatalpath|exec.root_directory||chroot before exec.
User|user|exec.user||User of the process.
Group|user|exec.group||Group of the process.
SupplementaryGroups|users|exec.supplementary_groups||More groups.
Environment|environment|exec.environment||Variables.
EnvironmentFile|envfile|exec.environment_files||Files of variables; - in front: may be missing.
PassEnvironment|envnames|exec.pass_environment||Variables of the manager that are passed on.
UnsetEnvironment|envnames|exec.unset_environment||Variables that are taken out last.
ExecSearchPath|colonpaths|exec.exec_search_path||Where bare command names are looked up.
UMask|mode|exec.umask|0022|File mode creation mask.
Nice|level:-20:19|exec.nice||Nice level.
OOMScoreAdjust|level:-1000:1000|exec.oom_score_adjust||OOM score adjustment.
IOSchedulingClass|ioclass|exec.io_scheduling_class||I/O scheduling class.
IOSchedulingPriority|level:0:7|exec.io_scheduling_priority||I/O priority.
CPUSchedulingPolicy|cpupolicy|exec.cpu_scheduling_policy||CPU scheduling policy.
CPUSchedulingPriority|int:0:99|exec.cpu_scheduling_priority|0|CPU scheduling priority.
CPUSchedulingResetOnFork|bool|exec.cpu_scheduling_reset_on_fork|no|Children get the default policy.
CPUAffinity|cpuset|exec.cpu_affinity||Processors to run on.
TimerSlackNSec|nsec|exec.timer_slack_nsec||Timer slack.
StandardInput|stdin|exec.standard_input|null|What fd 0 is. With tty a terminal that is in use is a failure at once, systemd waits for it.
StandardOutput|stdout|exec.standard_output|journal|What fd 1 is; journal means that unitd captures it.
StandardError|stdout|exec.standard_error|inherit|What fd 2 is; journal means that unitd captures it.
StandardInputText|inputtext|exec.standard_input_data||Text for StandardInput=data.
StandardInputData|inputdata|exec.standard_input_data||Base64 data for StandardInput=data.
TTYPath|path|exec.tty_path|/dev/console|Terminal of StandardInput=tty.
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
RuntimeDirectoryPreserve|preserve|exec.runtime_directory_preserve|no|Whether they outlive a stop.
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
DynamicUser!|boolean|no|Run as a user that exists only while the service runs.
PAMName|text||PAM service in whose session the process runs.
LoadCredentialEncrypted|credential||Encrypted credential from a file.
SetCredentialEncrypted|credential||Encrypted credential given here.
ImportCredential|words||Credentials that the manager was given, by glob (since 254).
Personality|word||Kernel architecture that uname(2) reports.
CoredumpFilter|words||Memory that core dumps have.
NUMAPolicy|word|default|NUMA memory policy.
NUMAMask|list of nodes||NUMA nodes of NUMAPolicy=.
TTYVTDisallocate|boolean|no|Remove the virtual terminal's content before and after use.
TTYRows|number||Rows of the terminal.
TTYColumns|number||Columns of the terminal.
LogLevelMax|log level|debug|Messages above this level are dropped (journal).
LogExtraFields|words||Fields added to all messages (journal).
LogNamespace|text||Journal namespace.
LogFilterPatterns|patterns||Regular expressions that pick messages (since 253).
SyslogFacility|word|daemon|Syslog facility of messages.
SyslogLevel|word|info|Default level of messages.
SyslogLevelPrefix|boolean|yes|Whether a level such as <3> in front of a line is read.
UtmpIdentifier|text||Identifier of the utmp and wtmp record.
UtmpMode|word|init|Kind of the utmp record.
KeyringMode|word|private|Kernel session keyring of the service.
MountAPIVFS|boolean|no|Mount /proc, /sys, /dev and /run below RootDirectory=.
MountFlags|word||Propagation of mounts.
RootImage!|path||File system image that becomes the root.
RootImageOptions|words||Mount options of RootImage=.
RootHash!|path or hash||dm-verity hash of RootImage=.
RootHashSignature|path||Signature of RootHash=.
RootVerity|path||dm-verity data of RootImage=.
RootEphemeral|boolean|no|Throw changes to the root away (since 254).
ProtectSystem!|boolean, full, strict|no|Make /usr, /boot and /etc read-only.
ProtectHome!|boolean, read-only, tmpfs|no|Hide /home, /root and /run/user.
ProtectHostname!|boolean|no|Keep the service from changing the host name.
ProtectClock!|boolean|no|Keep the service from setting the clock.
ProtectKernelTunables!|boolean|no|Make kernel variables in /proc and /sys read-only.
ProtectKernelModules!|boolean|no|Keep the service from loading kernel modules.
ProtectKernelLogs!|boolean|no|Keep the service from the kernel log.
ProtectControlGroups!|boolean|no|Make /sys/fs/cgroup read-only.
ProtectProc!|word|default|Hide other users' processes in /proc.
ProcSubset!|word|all|Leave only processes in /proc.
PrivateTmp!|boolean|no|A /tmp and /var/tmp of the service's own.
PrivateDevices!|boolean|no|A /dev with pseudo devices only.
PrivateNetwork!|boolean|no|A network namespace with loopback only.
PrivateUsers!|boolean|no|A user namespace.
PrivateMounts!|boolean|no|A mount namespace: the service's mounts stay its own.
PrivateIPC!|boolean|no|An IPC namespace.
PrivatePIDs!|boolean|no|A PID namespace (since 257).
NetworkNamespacePath!|path||Network namespace to join.
IPCNamespacePath!|path||IPC namespace to join.
RestrictAddressFamilies!|words||Address families of sockets that may be made.
RestrictFileSystems!|words||File systems that may be used.
RestrictNamespaces!|boolean or words|no|Namespaces that may be made.
RestrictRealtime!|boolean|no|Forbid realtime scheduling.
RestrictSUIDSGID!|boolean|no|Forbid set-user-ID and set-group-ID bits on files.
LockPersonality!|boolean|no|Forbid personality(2).
MemoryDenyWriteExecute!|boolean|no|Forbid memory that is writable and executable.
RemoveIPC|boolean|no|Remove IPC objects of the service's user at stop.
ReadOnlyPaths!|paths||Paths that are read-only.
ReadWritePaths!|paths||Paths that stay writable in spite of ProtectSystem=.
InaccessiblePaths!|paths||Paths that are hidden.
ExecPaths!|paths||Paths from which programs may be run.
NoExecPaths!|paths||Paths from which no programs may be run.
ReadOnlyDirectories!|paths||Old name of ReadOnlyPaths=.
ReadWriteDirectories!|paths||Old name of ReadWritePaths=.
InaccessibleDirectories!|paths||Old name of InaccessiblePaths=.
TemporaryFileSystem!|paths||Paths that get an empty temporary file system.
BindPaths|paths||Paths that appear elsewhere, too.
BindReadOnlyPaths|paths||Paths that appear elsewhere, too, read-only.
MountImages|paths||Images that are mounted.
ExtensionImages|paths||Images laid over /usr and /opt.
ExtensionDirectories|paths||Directories laid over /usr and /opt.
SystemCallFilter!|words||System calls that may be used.
SystemCallArchitectures!|words||Architectures whose system calls may be used.
SystemCallErrorNumber|errno|kill|What a forbidden system call returns.
SystemCallLog|words||System calls that are logged.
SELinuxContext!|text||SELinux context of the process.
AppArmorProfile!|text||AppArmor profile of the process.
SmackProcessLabel!|text||SMACK label of the process.
TimeoutCleanSec|time span|infinity|How long `clean` may take.
"""
ROWS = (*rows("Exec", _HONOURED), *noted("Exec", _NOTED), *(
    Directive("Exec", "Limit" + name, "limit", f"exec.limits.{name}", "honoured", f"Limit of {text} (setrlimit(2)), one value or soft:hard.") for name, text in _LIMITS.items()
))

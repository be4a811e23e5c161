"""[Unit] (systemd.unit(5))."""

from __future__ import annotations

from unitd.units.tables.row import Directive, noted, rows

_DEPENDENCIES = (
    "Requires", "Wants", "Requisite", "BindsTo", "PartOf", "Upholds", "Conflicts", "Before", "After", "OnFailure", "OnSuccess", "PropagatesReloadTo",
    "ReloadPropagatedFrom", "PropagatesStopTo", "StopPropagatedFrom", "JoinsNamespaceOf",
)  # fmt: skip
#: What a condition looks at (systemd.unit(5), CONDITIONS AND ASSERTS).
_CONDITIONS = {
    "PathExists": "the path exists", "PathExistsGlob": "a path matches the glob", "PathIsDirectory": "the path is a directory",
    "PathIsSymbolicLink": "the path is a symlink", "PathIsMountPoint": "the path is a mount point", "PathIsReadWrite": "the path is on a writable file system",
    "PathIsEncrypted": "the path is on an encrypted device", "DirectoryNotEmpty": "the directory has something in it", "FileNotEmpty": "the file is not empty",
    "FileIsExecutable": "the file can be executed", "User": "unitd runs as the user", "Group": "unitd runs with the group", "Host": "the host has this name or ID",
    "Environment": "the variable is set, or has the value", "Architecture": "the machine has the architecture", "Firmware": "the firmware is of the kind",
    "Virtualization": "the machine is virtual, or of the kind", "KernelVersion": "the kernel's version compares so", "KernelCommandLine": "the kernel was given the word",
    "Memory": "the machine has so much memory", "CPUs": "so many CPUs can be used", "Capability": "the capability is in the bounding set",
    "OSRelease": "os-release has the value", "Security": "the security module is in use", "ACPower": "the machine is on mains power",
    "NeedsUpdate": "/etc or /var is older than /usr", "FirstBoot": "the machine boots for the first time", "ControlGroupController": "the controllers are there",
    "CPUFeature": "the CPU has the feature", "Credential": "the manager was given the credential", "MemoryPressure": "memory pressure is below the value",
    "CPUPressure": "CPU pressure is below the value", "IOPressure": "disk pressure is below the value", "Version": "a version compares so",
}  # fmt: skip

_NOTED = """
RebootArgument|text||Argument of the reboot of an action.
JobTimeoutRebootArgument|text||Argument of that reboot.
SurviveFinalKillSignal|boolean|no|Spare the unit in the last kill of a shutdown (since 255).
WantsMountsFor|paths||Paths whose mounts are wanted (since 256).
RequiresOverridable|units||Old form of Requires=.
RequisiteOverridable|units||Old form of Requisite=.
BindTo|units||Old name of BindsTo=.
PropagateReloadTo|units||Old name of PropagatesReloadTo=.
PropagateReloadFrom|units||Old name of ReloadPropagatedFrom=.
"""
#: What each dependency does (systemd.unit(5)).
_MEANING = {
    "Requires": "Units that are started along; without them this one fails, if it is ordered after them.",
    "Wants": "Units that are started along; nothing depends on their success.",
    "Requisite": "Units that must be active already.",
    "BindsTo": "As Requires=, and this unit stops when one of them goes down.",
    "PartOf": "Stop and restart of those units reach this one.",
    "Upholds": "Units that are started again whenever they are down.",
    "Conflicts": "Units that cannot be active together with this one.",
    "Before": "Units that wait until this one is started.",
    "After": "Units that this one waits for.",
    "OnFailure": "Units that are started when this one fails.",
    "OnSuccess": "Units that are started when this one ends well.",
    "PropagatesReloadTo": "Units that a reload of this one reaches.",
    "ReloadPropagatedFrom": "Units whose reload reaches this one.",
    "PropagatesStopTo": "Units that a stop of this one reaches.",
    "StopPropagatedFrom": "Units whose stop reaches this one.",
    "JoinsNamespaceOf": "Units whose namespaces this one shares.",
}

ROWS = (
    *rows(
        "Unit",
        """
Description|str|unit.description||A short human title.
Documentation|documentation|unit.documentation||URIs of documentation.
SourcePath|path|unit.source_path||File that the unit was generated from.
DefaultDependencies|bool|unit.default_dependencies|yes|Whether the usual dependencies are added.
StopWhenUnneeded|bool|unit.stop_when_unneeded|no|Stop the unit when nothing needs it.
RefuseManualStart|bool|unit.refuse_manual_start|no|Refuse a start by hand.
RefuseManualStop|bool|unit.refuse_manual_stop|no|Refuse a stop by hand.
AllowIsolate|bool|unit.allow_isolate|no|Allow isolate on the unit.
IgnoreOnIsolate|bool|unit.ignore_on_isolate|no|Keep the unit when another is isolated.
CollectMode|enum:inactive,inactive-or-failed|unit.collect_mode|inactive|When the unit may be forgotten.
OnFailureJobMode|jobmode|unit.on_failure_job_mode|replace|Job mode of OnFailure= units.
OnFailureIsolate|isolatemode|unit.on_failure_job_mode||Old way to write OnFailureJobMode=isolate.
OnSuccessJobMode|jobmode|unit.on_success_job_mode|fail|Job mode of OnSuccess= units.
JobTimeoutSec|timeout|unit.job_timeout|infinity|How long a job may wait and run.
JobRunningTimeoutSec|timeout|unit.job_running_timeout|infinity|How long a job may run; as JobTimeoutSec= if only that is set.
JobTimeoutAction|@ACTIONS|unit.job_timeout_action|none|What to do when a job takes too long.
StartLimitIntervalSec|span|unit.start_limit_interval|10s|Window of the start limit; 0 switches it off.
StartLimitInterval|span|unit.start_limit_interval|10s|Old name of StartLimitIntervalSec=.
StartLimitBurst|int:0:4294967295|unit.start_limit_burst|5|Starts allowed in the window; 0 switches the limit off.
StartLimitAction|@ACTIONS|unit.start_limit_action|none|What to do when the start limit is hit.
FailureAction|@ACTIONS|unit.failure_action|none|What to do when the unit fails.
SuccessAction|@ACTIONS|unit.success_action|none|What to do when the unit ends well.
FailureActionExitStatus|exitcode|unit.failure_action_exit_status||Exit status of the manager with FailureAction=exit.
SuccessActionExitStatus|exitcode|unit.success_action_exit_status||Exit status of the manager with SuccessAction=exit.
RequiresMountsFor|mounts|unit.requires_mounts_for||Paths whose mounts are needed.
""",
    ),
    *(
        Directive("Unit", name, "deps", f"unit.dependencies.{name}", "noted" if name == "JoinsNamespaceOf" else "honoured", _MEANING[name])
        for name in _DEPENDENCIES
    ),
    *(Directive("Unit", "Condition" + name, "condition", "unit.conditions", "honoured", f"The start is skipped unless {text}.") for name, text in _CONDITIONS.items()),
    *(Directive("Unit", "Assert" + name, "condition", "unit.asserts", "honoured", f"The start fails unless {text}.") for name, text in _CONDITIONS.items()),
    *noted("Unit", _NOTED),
)

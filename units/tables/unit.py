"""[Unit] (systemd.unit(5))."""

from __future__ import annotations

from unitd.units.tables.row import Directive, noted, rows

_DEPENDENCIES = (
    "Requires", "Wants", "Requisite", "BindsTo", "PartOf", "Upholds", "Conflicts", "Before", "After", "OnFailure", "OnSuccess", "PropagatesReloadTo",
    "ReloadPropagatedFrom", "PropagatesStopTo", "StopPropagatedFrom", "JoinsNamespaceOf",
)  # fmt: skip
_CONDITIONS = (
    "PathExists", "PathExistsGlob", "PathIsDirectory", "PathIsSymbolicLink", "PathIsMountPoint", "PathIsReadWrite", "PathIsEncrypted", "DirectoryNotEmpty",
    "FileNotEmpty", "FileIsExecutable", "User", "Group", "Host", "Environment", "Architecture", "Firmware", "Virtualization", "KernelVersion",
    "KernelCommandLine", "Memory", "CPUs", "Capability", "OSRelease", "Security", "ACPower", "NeedsUpdate", "FirstBoot", "ControlGroupController",
    "CPUFeature", "Credential", "MemoryPressure", "CPUPressure", "IOPressure", "Version",
)  # fmt: skip

ROWS = (
    *rows(
        "Unit",
        """
Description|str|unit.description||A short human title.
Documentation|documentation|unit.documentation||URIs of documentation.
SourcePath|str|unit.source_path||File that the unit was generated from.
DefaultDependencies|bool|unit.default_dependencies|yes|Whether the usual dependencies are added.
StopWhenUnneeded|bool|unit.stop_when_unneeded|no|Stop the unit when nothing needs it.
RefuseManualStart|bool|unit.refuse_manual_start|no|Refuse a start by hand.
RefuseManualStop|bool|unit.refuse_manual_stop|no|Refuse a stop by hand.
AllowIsolate|bool|unit.allow_isolate|no|Allow isolate on the unit.
IgnoreOnIsolate|bool|unit.ignore_on_isolate|no|Keep the unit when another is isolated.
CollectMode|enum:inactive,inactive-or-failed|unit.collect_mode|inactive|When the unit may be forgotten.
OnFailureJobMode|jobmode|unit.on_failure_job_mode|replace|Job mode of OnFailure= units.
OnSuccessJobMode|jobmode|unit.on_success_job_mode|fail|Job mode of OnSuccess= units.
JobTimeoutSec|timeout|unit.job_timeout|infinity|How long a job may wait and run.
JobRunningTimeoutSec|timeout|unit.job_running_timeout|infinity|How long a job may run.
StartLimitIntervalSec|span|unit.start_limit_interval|10s|Window of the start limit; 0 switches it off.
StartLimitInterval|span|unit.start_limit_interval|10s|Old name of StartLimitIntervalSec=.
StartLimitBurst|uint|unit.start_limit_burst|5|Starts allowed in the window; 0 switches the limit off.
StartLimitAction|@ACTIONS|unit.start_limit_action|none|What to do when the start limit is hit.
FailureAction|@ACTIONS|unit.failure_action|none|What to do when the unit fails.
SuccessAction|@ACTIONS|unit.success_action|none|What to do when the unit ends well.
FailureActionExitStatus|exitcode|unit.failure_action_exit_status||Exit status of the manager with FailureAction=exit.
SuccessActionExitStatus|exitcode|unit.success_action_exit_status||Exit status of the manager with SuccessAction=exit.
RequiresMountsFor|paths|unit.requires_mounts_for||Paths whose mounts are needed.
""",
    ),
    *(
        Directive("Unit", name, "deps", f"unit.dependencies.{name}", "noted" if name == "JoinsNamespaceOf" else "honoured", "Unit dependency.")
        for name in _DEPENDENCIES
    ),
    *(Directive("Unit", "Condition" + name, "condition", "unit.conditions", "honoured", "Skips the start unless it holds.") for name in _CONDITIONS),
    *(Directive("Unit", "Assert" + name, "condition", "unit.asserts", "honoured", "Fails the start unless it holds.") for name in _CONDITIONS),
    *noted("Unit", """
    RebootArgument JobTimeoutAction JobTimeoutRebootArgument SurviveFinalKillSignal WantsMountsFor RequiresOverridable RequisiteOverridable BindTo
    """),
)

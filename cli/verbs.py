"""Which verbs there are, and which module of this package has each. Modules are imported only when their verb is used."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse
    from typing import Protocol

    from unitd.cli.context import Context

    class VerbModule(Protocol):
        """What every module of a verb has."""

        def arguments(self, parser: argparse.ArgumentParser, verb: str) -> None:
            """Declare the verb's options and operands; operands are called `units`. Usually `parser` is an `options.Options`."""

        def run(self, context: Context, verb: str, args: argparse.Namespace) -> int:
            """Do it; the exit code. Raises BusError."""


#: verb -> (module, arguments as help shows them, what it does)
VERBS: dict[str, tuple[str, str, str]] = {
    "list-units": ("lists", "[PATTERN...]", "List units in memory"),
    "list-unit-files": ("lists", "[PATTERN...]", "List installed unit files"),
    "list-dependencies": ("lists", "[UNIT...]", "Show what units require and want"),
    "list-timers": ("triggers", "[PATTERN...]", "List timers, with the time they elapse next"),
    "list-paths": ("triggers", "[PATTERN...]", "List the paths that are watched"),
    "list-sockets": ("sockets", "[PATTERN...]", "List sockets, and the services that they start"),
    "list-jobs": ("lists", "", "List jobs that wait or run"),
    "status": ("states", "[UNIT...]", "Show how units are doing, with their last output"),
    "is-active": ("states", "UNIT...", "Exit with 0 if any of the units is active"),
    "is-failed": ("states", "UNIT...", "Exit with 0 if any of the units is failed"),
    "is-enabled": ("states", "UNIT...", "Exit with 0 if any of the units is enabled"),
    "show": ("show", "[UNIT...]", "Show properties of units"),
    "cat": ("files", "UNIT...", "Show the files of units"),
    "logs": ("logs", "[UNIT|GLOB...]", "Show what units printed"),
    "events": ("events", "[GLOB...]", "Show what happens, as it happens"),
    "stats": ("stats", "[UNIT...]", "Show what units use: CPU, memory, threads, descriptors, IO"),
    "top": ("top", "[GLOB...]", "Watch units, what they use and print; with keys to command them"),
    "plot": ("plot", "UNIT...", "Draw CPU and memory of the last minutes"),
    "metrics": ("metrics", "", "Print all figures as OpenMetrics text"),
    "start": ("jobs", "UNIT...", "Start units"),
    "stop": ("jobs", "UNIT...", "Stop units"),
    "restart": ("jobs", "UNIT...", "Stop and start units, or just start them"),
    "try-restart": ("jobs", "UNIT...", "Restart units that are active"),
    "reload": ("jobs", "UNIT...", "Ask services to reload"),
    "reload-or-restart": ("jobs", "UNIT...", "Reload services that can, restart the others"),
    "try-reload-or-restart": ("jobs", "UNIT...", "The same for services that are active"),
    "isolate": ("jobs", "UNIT", "Start a unit and stop all that it does not need"),
    "scale": ("scale", "TEMPLATE=N...", "Run so many numbered instances of a template"),
    "kill": ("kill", "UNIT...", "Send a signal to processes of units"),
    "reset-failed": ("control", "[UNIT...]", "Clear the failed state and the start limit"),
    "cancel": ("control", "[JOB...]", "Cancel jobs"),
    "clean": ("control", "[UNIT...]", "Remove directories of services that are down"),
    "enable": ("install", "UNIT...", "Have units started at the start of unitd"),
    "disable": ("install", "UNIT...", "Undo enable"),
    "reenable": ("install", "UNIT...", "Disable and enable units"),
    "preset": ("install", "UNIT...", "Enable what is to be enabled by default: everything"),
    "add-wants": ("install", "TARGET UNIT...", "Have a target want units"),
    "add-requires": ("install", "TARGET UNIT...", "Have a target require units"),
    "mask": ("install", "UNIT...", "Keep units from being started at all"),
    "unmask": ("install", "UNIT...", "Undo mask"),
    "run": ("run", "[OPTION...] COMMAND [ARGUMENT...]", "Run a command as a transient service, now or by a timer"),
    "set-property": ("overrides", "UNIT NAME=VALUE...", "Change settings of a unit, live where that is possible"),
    "edit": ("edit", "UNIT...", "Edit a drop-in of a unit, and have it checked"),
    "revert": ("overrides", "UNIT...", "Undo edit, set-property and mask"),
    "link": ("install", "PATH...", "Make unit files from elsewhere known"),
    "verify": ("verify", "FILE|DIR...", "Check unit files, without a manager"),
    "calendar": ("calendar", "EXPRESSION...", "Explain calendar expressions, and when they are due"),
    "timestamp": ("calendar", "TIMESTAMP...", "Explain points in time"),
    "timespan": ("calendar", "SPAN...", "Explain spans of time"),
    "show-environment": ("environment", "", "Show the variables that are set for all services"),
    "set-environment": ("environment", "NAME=VALUE...", "Set variables for all services that start from now on"),
    "unset-environment": ("environment", "NAME...", "Take such variables back"),
    "import-environment": ("environment", "NAME...", "Set them as they are here"),
    "daemon-reload": ("control", "", "Read unit files again"),
    "daemon-reexec": ("control", "", "Replace the manager by the program on disk; services go on"),
    "ping": ("control", "", "Ask unitd for a sign of life"),
    "version": ("control", "", "Show unitd's version"),
    "exit": ("control", "", "Stop all units and end unitd"),
    "shutdown": ("control", "", "The same as exit"),
    "stop-all": ("control", "", "Stop all units; unitd goes on"),
    "web": ("web", "", "Print the address of the status page with its token, and have it ready"),
    "systemd-stop": ("supervise", "UNIT", "For ExecStop= of unitd.service: leave at a restart, stop all units at a stop"),
    "completion": ("completion", "bash|zsh", "Print the completion script for a shell"),
    "help": ("help", "[VERB|DIRECTIVE...]", "Explain unitctl, a verb, or a directive of unit files"),
}


def load(verb: str) -> VerbModule:
    """The module of a verb."""
    module: VerbModule = __import__(f"unitd.cli.{VERBS[verb][0]}", fromlist=["run"])  # importlib takes a millisecond
    return module

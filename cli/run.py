"""run: a command as a transient service, now, by a timer or by a path (systemd-run(1))."""

from __future__ import annotations

import os
import sys

from unitd.cli.context import Context
from unitd.cli.options import Usage

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

#: Options with a value: what comes behind them is not the command.
VALUED = frozenset((
    "--bus", "-H", "--host", "-u", "--unit", "--description", "--slice", "-p", "--property", "-E", "--setenv", "--working-directory", "--uid", "--gid",
    "--nice", "--service-type", "--on-active", "--on-boot", "--on-startup", "--on-unit-active", "--on-unit-inactive", "--on-calendar", "--timer-property",
    "--path-property", "--socket-property", "--expand-environment",
))  # fmt: skip
#: Option -> directive of the timer.
TIMES = {
    "on_active": "OnActiveSec", "on_boot": "OnBootSec", "on_startup": "OnStartupSec", "on_unit_active": "OnUnitActiveSec",
    "on_unit_inactive": "OnUnitInactiveSec", "on_calendar": "OnCalendar",
}  # fmt: skip


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options; they end where the command begins."""
    add = parser.add_argument
    add("-u", "--unit", metavar="NAME", help="name of the unit (default: one made up)")
    add("--description", metavar="TEXT", help="what status shows")
    add("-p", "--property", action="append", default=[], metavar="NAME=VALUE", help="a line of the unit file")
    add("-E", "--setenv", action="append", default=[], metavar="NAME[=VALUE]", help="a variable; without a value, the caller's")
    add("-d", "--same-dir", action="store_true", help="run in the directory of the caller")
    add("--working-directory", metavar="DIR", help="run in this directory")
    add("--uid", metavar="USER", help="run as this user")
    add("--gid", metavar="GROUP", help="run as this group")
    add("--nice", metavar="N", help="with this nice level")
    add("--slice", metavar="SLICE", help="in this slice")
    add("--service-type", metavar="TYPE", help="Type= of the service (default: simple)")
    add("-r", "--remain-after-exit", action="store_true", help="the service stays active after the command has ended")
    add("-t", "--pty", action="store_true", help="run the command on this terminal; wait, and exit as it does")
    add("-P", "--pipe", action="store_true", help="give the command this standard input, output and error; wait, and exit as it does")
    add("-S", "--shell", action="store_true", help="run $SHELL on this terminal, in this directory")
    add("--wait", action="store_true", help="wait for the end of the service, and exit as it does")
    add("-G", "--collect", action="store_true", help="forget the unit after its end even if it failed")
    add("--no-block", action="store_true", help="do not wait for the start")
    add("--expand-environment", metavar="BOOL", default="yes", help="no: leave $NAME in the command alone")
    add("--on-active", metavar="SPAN", action="append", default=[], help="start it by a timer, so long from now on")
    add("--on-boot", metavar="SPAN", action="append", default=[], help="so long after the machine's boot")
    add("--on-startup", metavar="SPAN", action="append", default=[], help="so long after unitd's start")
    add("--on-unit-active", metavar="SPAN", action="append", default=[], help="so long after it was activated")
    add("--on-unit-inactive", metavar="SPAN", action="append", default=[], help="so long after it was deactivated")
    add("--on-calendar", metavar="EXPRESSION", action="append", default=[], help="when the clock fits the expression")
    add("--timer-property", action="append", default=[], metavar="NAME=VALUE", help="a line of the timer's file")
    add("--path-property", action="append", default=[], metavar="NAME=VALUE", help="start it by a path unit with these lines")
    add("--socket-property", action="append", default=[], metavar="NAME=VALUE", help="refused: write a socket unit")
    add("--scope", action="store_true", help="refused: unitd only manages what it has started")
    add("units", nargs="*", metavar="COMMAND")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Make the units, start them, and with --wait, --pipe and --pty see the end."""
    if args.scope:
        raise Usage("Cannot run a scope, because unitd manages only processes that it has started; leave --scope out to run a service.")
    if args.socket_property:
        raise Usage("Cannot make a transient socket; write a .socket unit, 'unitctl help' tells where.")
    argv = list(args.units)
    if args.shell:
        argv = argv or [os.environ.get("SHELL") or "/bin/sh"]
        args.pty = args.same_dir = args.wait = args.collect = True
    if args.pty and args.pipe:  # a terminal if there is one
        args.pty, args.pipe = sys.stdin.isatty() and sys.stdout.isatty(), not (sys.stdin.isatty() and sys.stdout.isatty())
    timer = [f"{directive}={value}" for option, directive in TIMES.items() for value in getattr(args, option)] + args.timer_property
    triggered = bool(timer or args.path_property)
    waits = args.wait or args.pipe or args.pty
    if triggered and waits:
        raise Usage("Cannot wait for a service that a timer or a path starts; leave --wait, --pipe and --pty out.")
    if waits and args.no_block:
        raise Usage("--no-block does not go with --wait, --pipe and --pty.")
    if not argv and not (triggered and args.unit):
        raise Usage("Too few arguments: unitctl run [OPTION...] COMMAND [ARGUMENT...]")
    path = find(argv[0]) if argv else ""
    request: dict[str, Any] = {
        "unit": args.unit or "", "description": args.description or " ".join([path, *argv[1:]]), "timer": timer, "path": args.path_property,
        "no_block": args.no_block, "wait": waits, "properties": properties(args),
    }  # fmt: skip
    if argv:
        request["command"] = {"path": path, "arguments": argv[1:], "expand": args.expand_environment.lower() not in ("no", "n", "false", "f", "0", "off")}
    from unitd.cli import attach

    if args.pty:
        return attach.on_terminal(context, request)
    if args.pipe:
        return attach.with_stdio(context, request)
    return attach.plain(context, request)


def find(program: str) -> str:
    """The absolute path of a program, as the caller's shell would find it. Raises Usage."""
    import shutil

    if "/" in program:
        path: str | None = os.path.abspath(program)
        if not os.path.exists(str(path)):
            path = None
    else:
        path = shutil.which(program)
    if path is None:
        raise Usage(f"Failed to find executable {program}: No such file or directory")
    return os.path.abspath(path)


def properties(args: argparse.Namespace) -> list[str]:
    """Lines of the service's file."""
    from unitd.units.transient import quote

    found = [f"Type={args.service_type or 'simple'}"]
    if args.collect:
        found.append("CollectMode=inactive-or-failed")
    if args.remain_after_exit:
        found.append("RemainAfterExit=yes")
    directory = os.getcwd() if args.same_dir else args.working_directory
    if directory:
        found.append("WorkingDirectory=" + (directory if directory == "~" else os.path.abspath(directory)).replace("%", "%%"))
    for name, value in (("User", args.uid), ("Group", args.gid), ("Nice", args.nice), ("Slice", args.slice)):
        if value:
            found.append(f"{name}={value}")
    found += [f"Environment={quote(text)}" for text in variables(args.setenv)]
    return [*found, *args.property]


def variables(given: Sequence[str]) -> list[str]:
    """NAME=VALUE of --setenv; a name alone means the caller's variable. Raises Usage."""
    found = []
    for text in given:
        name, equals, _ = text.partition("=")
        if not name:
            raise Usage(f"Cannot set {text!r}: write NAME=VALUE.")
        if not equals and name not in os.environ:
            raise Usage(f"Cannot pass the variable {name}, because it is not set.")
        found.append(text if equals else f"{name}={os.environ[name]}")
    return found

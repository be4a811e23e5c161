"""systemd-stop: what ExecStop= of unitd.service runs. A restart of unitd leaves the services alone, a stop stops them."""

from __future__ import annotations

import os
import select
import subprocess

from unitd.cli.context import Context

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """The unit that unitd is to systemd: %n."""
    parser.add_argument("units", nargs=1, metavar="UNIT")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Ask systemd which job is under way, and unitd to leave. Without a unitd there is nothing to do."""
    from unitd.bus.client import BusError

    try:
        context.client.call("detach" if job_of(args.units[0]) == "restart" else "exit")
    except BusError:
        return 0
    wait_for_end(os.environ.get("MAINPID", ""))
    return 0


def wait_for_end(pid: str) -> None:
    """Until the process is gone: systemd sends it SIGTERM when we return."""
    try:
        pidfd = os.pidfd_open(int(pid))
    except (OSError, ValueError):
        return
    select.select([pidfd], [], [])
    os.close(pidfd)


def job_of(unit: str) -> str:
    """systemd's job for `unit`: stop, restart, ...; empty if there is none, or no systemctl."""
    command = ["systemctl", "list-jobs", "--no-legend", "--no-pager", unit]
    if os.getuid():
        command.insert(1, "--user")
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    for line in answer.splitlines():
        words = line.split()
        if len(words) >= 3 and words[1] == unit:
            return words[2]
    return ""

"""events: what happens, as it happens."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unitd.cli.context import Context, printable
from unitd.cli.render import Painter, duration
from unitd.units.suffix import with_suffix

if TYPE_CHECKING:
    import argparse

    from unitd.bus.events import Event

#: Topics of `events` without --stats, --logs.
USUAL = ("unit", "job", "manager")


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of events."""
    parser.add_argument("units", nargs="*", metavar="GLOB")
    parser.add_argument("-n", "--lines", type=int, default=None, metavar="N", help="end after N events")
    parser.add_argument("--stats", action="store_true", help="samples of what units use as well; they are made as long as this runs")
    parser.add_argument("--logs", action="store_true", help="when output is written as well")


def patterns(words: Sequence[str], stats: bool, logs: bool) -> list[str]:
    """Topics for globs of units; without any, everything."""
    heads = [*USUAL, *(["stats"] if stats else []), *(["log"] if logs else [])]
    if not words:
        return [f"{head}." for head in heads]
    names = [word if any(c in word for c in "*?[") else with_suffix(word) for word in words]
    # a pattern of one name without wildcards would match all that begins so
    return [f"{head}.{name[:-1]}[{name[-1]}]" if not any(c in name for c in "*?[") else f"{head}.{name}" for head in heads if head != "manager" for name in names]


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Print until interrupted, or until there were enough."""
    import msgspec

    left = args.lines
    paint = Painter(context.colour)
    with context.client.events(patterns(args.units, args.stats, args.logs)) as events:
        if not context.quiet and not context.json:
            print("waiting for events; Ctrl-C ends it", file=sys.stderr)
        while left is None or left > 0:
            event = events.next_event()
            if event is None:
                continue
            if context.json:
                sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
            else:
                sys.stdout.write(printable(line(event, paint) + "\n", sys.stdout.encoding))
            sys.stdout.flush()
            left = None if left is None else left - 1
    return 0


def line(event: Event, paint: Painter) -> str:
    """One event as one line."""
    stamp = time.strftime("%H:%M:%S", time.localtime(event.time)) + f".{int(event.time % 1 * 1000):03d}"
    return f"{paint.grey(stamp)} {event.unit or '-'}: {clean(describe(event, paint))}"


def clean(text: str) -> str:
    """Text of services has no control characters on the terminal, but for our own colours."""
    return "".join(c if c.isprintable() or c == "\x1b" else "?" for c in text)


def _said(text: str) -> str:
    """Somebody else's text: without escapes."""
    return text.replace("\x1b", "?")


def describe(event: Event, paint: Painter) -> str:
    """What happened, in words."""
    from unitd.bus import events as bus

    match event:
        case bus.UnitChanged():
            result = f", result {event.result}" if event.active == "failed" else ""
            pid = f", main PID {event.main_pid}" if event.main_pid and event.sub == "running" else ""
            return paint.state(event.active, f"{event.active} ({event.sub})") + f" was {event.old_active} ({event.old_sub}){result}{pid}"
        case bus.JobChanged():
            return f"job {event.id} {event.type}: {event.state}" + (f", {event.result}" if event.result else "")
        case bus.RestartPlanned():
            return paint.yellow(f"restart {event.attempt} in {duration(event.delay)}") + f", because {_said(event.reason)}"
        case bus.ProcessExited():
            return f"process {event.pid} ({event.role}=) {exit_text(event.code, event.status)}"
        case bus.StatusText():
            return f"says: {_said(event.text)}" + (f" (errno {event.errno})" if event.errno else "")
        case bus.Reloaded():
            return ("unit files were read again" if not event.unit else f"reload {event.result}") + "".join(f"; {_said(p)}" for p in event.problems)
        case bus.SocketActivity():
            return f"{event.what}" + (f" from {_said(event.peer)}" if event.peer else "") + f", {event.accepted} accepted, {event.connections} connected"
        case bus.StatsSample():
            return f"CPU {event.cpu:.1f} %, memory {event.memory}, {event.tasks} threads, {event.fds} descriptors, {len(event.processes)} processes"
        case bus.LogWritten():
            return f"log has {event.size} bytes"
        case bus.ManagerEvent():
            return f"manager {event.what}" + (f": {event.detail}" if event.detail else "")
        case bus.Gap():
            what = f" of {event.topic}" if event.topic else ""
            return paint.red(f"events were lost{what} ({event.reason}" + (f", {event.missed}" if event.missed else "") + ")")
        case bus.Other():
            return _said(str(event.data))
        case _:
            return event.kind


def exit_text(code: str, status: int) -> str:
    """`exited with 3`, `was killed by KILL`."""
    import signal

    if code == "exited":
        return f"exited with {status}"
    try:
        name = signal.Signals(status).name.removeprefix("SIG")
    except ValueError:
        name = str(status)
    return f"was killed by {name}" + (" (core dumped)" if code == "dumped" else "")

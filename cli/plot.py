"""plot: CPU, memory and restarts of units over the last minutes, as far as they were sampled."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unitd.cli import spark
from unitd.cli.context import Context, unit_names
from unitd.cli.render import Painter, bytes_text, duration

if TYPE_CHECKING:
    import argparse

Row = Sequence[float]  # time, cpu, memory, restarts


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of plot."""
    parser.add_argument("units", nargs="*", metavar="UNIT")
    parser.add_argument("--minutes", type=float, default=5.0, metavar="M", help="how far back (default: 5; 30 is the most)")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="how long to watch a unit that nobody watched (default: 3)")
    parser.add_argument("--width", type=int, default=0, metavar="COLUMNS", help="width of the graphs (default: that of the terminal)")
    parser.add_argument("--height", type=int, default=4, metavar="LINES", help="height of the graphs (default: 4)")
    parser.add_argument("--ascii", action="store_true", help="only ASCII characters")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Have the units watched for a moment if they were not, then draw."""
    names, back = unit_names(args.units), max(1.0, args.minutes * 60)
    reply = context.call("stats", names, history=back, measure=0)
    if reply.exit_code:
        return reply.exit_code
    rows = list(reply.data or [])
    if any(len(row["history"]) < 2 and row.get("processes") for row in rows):
        watch(context, [str(row["unit"]) for row in rows], args.seconds)
        reply = context.call("stats", names, history=back, measure=0)
        rows = list(reply.data or [])
    if context.json:
        return context.dump(reply)
    plain = args.ascii or (sys.stdout.encoding or "ascii").lower().replace("-", "") != "utf8"
    width = args.width or shutil.get_terminal_size().columns
    for row in rows:
        context.text(picture(str(row["unit"]), row["history"], time.time(), back, max(20, width - 12), max(1, args.height), Painter(context.colour), plain))
    return reply.exit_code


def watch(context: Context, names: Sequence[str], seconds: float) -> None:
    """Subscribe for a while: that has the manager take samples."""
    end = time.monotonic() + seconds
    with context.client.events([f"stats.{name}" for name in names]) as events:
        while (left := end - time.monotonic()) > 0:
            events.next_event(left)


def picture(name: str, history: Sequence[Row], now: float, back: float, width: int, height: int, paint: Painter, plain: bool) -> str:
    """The graphs of one unit."""
    if not history:
        return f"{name}: nothing was sampled; is it running?\n"
    first = history[0][0]
    back = min(back, max(now - first + 1, 10.0))
    out = [f"{name}: the last {duration(float(int(back)))}"]
    for column, title, form in ((1, "CPU", lambda v: f"{v:.1f}%"), (2, "memory", bytes_text)):
        values = [row[column] for row in history]
        top = max(values)
        out.append(f"{title} now {form(values[-1])}, average {form(sum(values) / len(values))}, most {form(top)}")
        points = [(row[0], row[column]) for row in history]
        count = width if plain else width * 2
        series = spark.resample(points, now - back, now, count)
        lines = spark.columns(series, height, top) if plain else spark.braille(series, height, top)
        for i, line in enumerate(lines):
            mark = form(top) if i == 0 else form(0.0) if i == len(lines) - 1 else ""
            out.append(f"{mark:>9} {'|' if plain else '│'}{paint.green(line)}")
    before, last = history[0][3], history[-1][3]
    out.append(f"restarts {int(last)}" + (f", {int(last - before)} of them in this time" if last > before else ""))
    marks = restarts(history, now - back, now, width)
    if marks.strip():
        out.append(f"{'':>9} {'|' if plain else '│'}{paint.red(marks)}")
    return "".join(line.rstrip() + "\n" for line in out) + "\n"


def restarts(history: Sequence[Row], start: float, end: float, width: int) -> str:
    """A line with a mark where restarts happened."""
    cells = [" "] * width
    for before, after in zip(history, history[1:], strict=False):
        index = int((after[0] - start) / (end - start) * width)
        if after[3] > before[3] and 0 <= index < width:
            cells[index] = "!"
    return "".join(cells)

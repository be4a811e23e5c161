"""stats: what units use, now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unitd.cli.context import Context, unit_names
from unitd.cli.render import Painter, bytes_text, duration, table

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of stats."""
    parser.add_argument("units", nargs="*", metavar="UNIT")
    parser.add_argument("--pss", action="store_true", help="proportional memory too, which shares pages among those who use them; reading it is slow")
    parser.add_argument("--sockets", action="store_true", help="listening sockets, with connections that wait to be accepted")
    parser.add_argument("--processes", action="store_true", help="each process below its unit")
    parser.add_argument("--seconds", type=float, default=0.5, metavar="S", help="how long CPU is measured (default: 0.5)")
    parser.add_argument("--no-legend", action="store_true", help="no heads")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Ask once and print."""
    reply = context.call(verb, unit_names(args.units), measure=args.seconds, pss=args.pss, sockets=args.sockets)
    if context.json:
        return context.dump(reply)
    if reply.exit_code == 0:
        context.text(text(list(reply.data or []), Painter(context.colour), args.processes, not args.no_legend and not context.quiet))
    return reply.exit_code


def text(rows: Sequence[Mapping[str, Any]], paint: Painter, processes: bool, legend: bool) -> str:
    """The table, and sockets below it."""
    pss = any("pss" in row for row in rows)
    head = ["UNIT", "STATE", "CPU%", "MEMORY", *(["PSS"] if pss else []), "THREADS", "FDS", "READ/s", "WRITE/s", "RESTARTS", "AGE"]
    lines = []
    for row in rows:
        lines.append(_line(str(row["unit"]), str(row.get("sub", "")), row, pss))
        for process in row.get("processes", []) if processes else []:
            name = f"  {process['pid']} {process.get('name', '')}"
            lines.append([name, "", f"{process.get('cpu', 0.0):.1f}", bytes_text(process.get("memory", 0)), *([""] if pss else []), str(process.get("threads", 0)),
                          str(process.get("fds", 0)), "", "", "", ""])  # fmt: skip
    out = table(head, lines, legend)
    if legend and out:
        out[0] = paint.underline(out[0])
    sockets = [(row["unit"], s) for row in rows for s in row.get("sockets", [])]
    if sockets:
        cells = [[str(unit), s["proto"], s["address"] or "-", "-" if s["queue"] is None else str(s["queue"])] for unit, s in sockets]
        out += ["", *table(["UNIT", "SOCKET", "ADDRESS", "WAITING"], cells, legend)]
    return "".join(line + "\n" for line in out)


def _line(name: str, state: str, row: Mapping[str, Any], pss: bool) -> list[str]:
    return [
        name,
        state,
        f"{row.get('cpu', 0.0):.1f}",
        bytes_text(row.get("memory", 0)),
        *([bytes_text(row.get("pss", 0))] if pss else []),
        str(row.get("tasks", 0)),
        str(row.get("fds", 0)),
        bytes_text(row.get("read_rate", 0)),
        bytes_text(row.get("write_rate", 0)),
        str(row.get("restarts", 0)),
        duration(float(int(row["age"]))) if row.get("age") else "-",
    ]

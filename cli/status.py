"""The text of `status`. Pure: a row of the manager's in, systemctl-like lines out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unitd.bus.timetext import ago, stamp
from unitd.cli.render import Painter, bytes_text, dot_of, duration
from unitd.units.numbers import EXIT_NAMES
from unitd.units.values import signal_name

_WIDTH = 11
_REASONS = {
    "not-found": "Unit {0} not found.",
    "masked": "Unit {0} is masked.",
    "bad-setting": "Unit {0} has a bad unit file setting.",
    "error": "Unit {0} could not be read.",
}
_HOW = {1: "exited", 2: "killed", 3: "dumped"}


def render(row: Mapping[str, Any], now: float, paint: Painter) -> str:
    """One unit. `now` is CLOCK_REALTIME."""
    active = str(row["active"])
    title = row["unit"] if row["description"] in ("", row["unit"]) else f"{row['unit']} - {row['description']}"
    lines = [f"{paint.state(active, dot_of(active))} {title}"]
    lines.append(_label("Loaded", _loaded(row, paint)))
    if row["unit_file_state"] == "transient":
        lines.append(_label("Transient", "yes"))
    lines += _drop_ins(row["drop_ins"])
    lines.append(_label("Active", _active(row, now, paint)))
    enter, left = row.get("active_enter") or 0.0, row.get("active_exit") or 0.0
    if active in ("inactive", "failed") and enter and left >= enter:
        lines.append(_label("Duration", duration(left - enter)))
    if row.get("restart"):
        lines.append(_label("Restart", _restart(row["restart"])))
    if row.get("trigger") is not None:
        lines.append(_label("Trigger", _trigger(row["trigger"], now)))
    for label, key in (("TriggeredBy", "triggered_by"), ("Triggers", "triggers")):
        lines += _several(label, [f"{paint.state(r['active'], '●')} {r['unit']}" for r in row[key]])
    lines += _several("Docs", row["docs"])
    lines += _several("Listen", row.get("listen") or [])
    for process in row["processes"]:
        if process.get("role") != "ExecStart" or process.get("pid") != row.get("main_pid"):
            text = (
                f"{process.get('pid') or ''} {process['role']}={process['command']} ({ended(process['code'], process['status'])})".lstrip()
            )
            lines.append(_label("Process", text))
    lines += _processes(row)
    if row["status_text"]:
        lines.append(_label("Status", f'"{row["status_text"]}"'))
    if row.get("status_errno"):
        lines.append(_label("Error", f"errno {row['status_errno']}"))
    if row["tree"]:
        lines.append(_label("Tasks", str(row["tasks"])))
        lines.append(_label("Memory", bytes_text(row["memory"] or 0)))
        lines.append(_label("CPU", duration(row["cpu"] or 0.0)))
        lines += _tree(row)
    if row["last_failure"] and active in ("failed", "activating"):
        lines.append(_label("Failure", paint.red(str(row["last_failure"]))))
    lines += [_label("Warning", paint.yellow(str(w))) for w in row["warnings"]]
    if row["need_daemon_reload"]:
        text = f"The unit file of {row['unit']} changed on disk. Run 'unitctl daemon-reload' to reload units."
        lines.append(_label("Warning", paint.yellow(text)))
    if row["log"]:
        lines += ["", *(str(line) for line in row["log"])]
    return "\n".join(lines) + "\n"


def _trigger(at: float, now: float) -> str:
    """When a timer elapses next."""
    return f"{stamp(at)}; {ago(now - at)}" if at else "n/a"


def _label(label: str, text: str) -> str:
    return f"{label:>{_WIDTH}}: {text}"


def _several(label: str, texts: list[str]) -> list[str]:
    return [_label(label, text) if i == 0 else " " * (_WIDTH + 2) + text for i, text in enumerate(texts)]


def _loaded(row: Mapping[str, Any], paint: Painter) -> str:
    load = str(row["load"])
    if load in _REASONS:
        reason = row.get("load_error") or _REASONS[load].format(row["unit"])
        text = f"{load} (Reason: {reason})"
        return paint.red(text) if load != "masked" else text
    parts = [row["fragment"]] if row["fragment"] else []
    state = str(row["unit_file_state"] or "")
    if state:
        parts.append(paint.green(state) if state == "enabled" else paint.yellow(state) if state == "disabled" else state)
    return f"{load} ({'; '.join(parts)})" if parts else load


def _drop_ins(paths: list[str]) -> list[str]:
    """Drop-ins under their directories."""
    lines: list[str] = []
    directories: dict[str, list[str]] = {}
    for path in paths:
        directory, _, name = path.rpartition("/")
        directories.setdefault(directory, []).append(name)
    for i, (directory, files) in enumerate(directories.items()):
        lines.append(_label("Drop-In", directory) if i == 0 else " " * (_WIDTH + 2) + directory)
        lines.append(" " * (_WIDTH + 2) + "└─" + ", ".join(files))
    return lines


def _active(row: Mapping[str, Any], now: float, paint: Painter) -> str:
    active, result = str(row["active"]), str(row["result"])
    if result != "success" and active in ("failed", "activating", "inactive"):
        words = f"{active} (Result: {result})" if active != "activating" else f"{active} ({row['sub']}) (Result: {result})"
    else:
        words = f"{active} ({row['sub']})"
    text = paint.state(active, words)
    return f"{text} since {stamp(row['since'])}; {ago(now - row['since'])}" if row["since"] else text


def _restart(restart: Mapping[str, Any]) -> str:
    burst = f" of {restart['burst']}" if restart.get("burst") else ""
    return f"restarts in {restart['in_seconds']:.1f} s, attempt {restart['attempt']}{burst}"


def ended(code: int, status: int) -> str:
    """`code=exited, status=203/EXEC`, `code=killed, signal=TERM`."""
    if code == 1:
        name = EXIT_NAMES.get(status, "") if status < 2 or status >= 200 else ""  # those of the C library and systemd's own
        return f"code=exited, status={status}" + (f"/{name}" if name else "")
    return f"code={_HOW.get(code, code)}, signal={signal_name(status)}"


def _processes(row: Mapping[str, Any]) -> list[str]:
    lines = []
    if row["main_pid"]:
        comm = f" ({row['main_comm']})" if row["main_comm"] else ""
        lines.append(_label("Main PID", f"{row['main_pid']}{comm}"))
    elif row.get("exec_main_pid") and row.get("exec_main_code"):
        lines.append(_label("Main PID", f"{row['exec_main_pid']} ({ended(row['exec_main_code'], row['exec_main_status'])})"))
    if row["control_pid"]:
        role = f" ({row['control_role']})" if row["control_role"] else ""
        lines.append(_label("Cntrl PID", f"{row['control_pid']}{role}"))
    return lines


def _tree(row: Mapping[str, Any]) -> list[str]:
    """Processes of the unit, children below their parents."""
    tree = list(row["tree"])
    lines = []
    for i, process in enumerate(tree):
        depth = int(process.get("depth") or 0)
        branches = ""
        for level in range(depth + 1):
            following = next((int(p.get("depth") or 0) for p in tree[i + 1 :] if int(p.get("depth") or 0) <= level), -1)
            more = following == level
            branches += ("├─" if more else "└─") if level == depth else ("│ " if more else "  ")
        lines.append(f"{branches}{process['pid']} {process['cmdline']}")
    return _several("Processes", lines)

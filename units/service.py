"""What makes [Service] complete, and what a service cannot be without. Pure."""

from __future__ import annotations

import math
from typing import Any

from unitd.units.builder import Builder
from unitd.units.errors import Problem
from unitd.units.model import Command


def bidirectional(standard_input: str) -> bool:
    """Can what StandardInput= asks for be written to? Then StandardOutput= goes there too, if nothing else is said."""
    return standard_input in ("socket", "tty", "tty-force", "tty-fail") or standard_input.startswith("fd:")


def unfinished(b: Builder, parts: dict[str, dict[str, Any]]) -> None:
    """What a service has that was not read to its end: no type, if nobody said one, and the manager's defaults."""
    service = parts["service"]
    service.setdefault("type", "")
    service.setdefault("timeout_start", b.defaults.timeout_start)
    service.setdefault("timeout_stop", b.defaults.timeout_stop)
    service.setdefault("restart_sec", b.defaults.restart_sec)


def finish_service(b: Builder, parts: dict[str, dict[str, Any]]) -> None:
    """Defaults that depend on other directives, and what a service cannot be without (service_verify)."""
    service, defaults = parts["service"], b.defaults
    start: tuple[Command, ...] = service.get("exec_start", ())
    if "type" not in service:
        service["type"] = "dbus" if service.get("bus_name") else "simple" if start else "oneshot"
    kind = service["type"]
    explicit = "timeout_start" in service
    service.setdefault("timeout_start", math.inf if kind == "oneshot" and not explicit else defaults.timeout_start)
    service.setdefault("timeout_stop", defaults.timeout_stop)
    service.setdefault("restart_sec", defaults.restart_sec)
    if kind in ("notify", "notify-reload") or service.get("watchdog") or service.get("file_descriptor_store_max"):
        if service.get("notify_access", "none") == "none":
            service["notify_access"] = "main"

    context = parts["exec"]
    if context.get("standard_input_data") and context.get("standard_input", "null") == "null":
        context["standard_input"] = "data"
    if bidirectional(context.get("standard_input", "null")):
        context.setdefault("standard_output", "inherit")  # cases socket-016, socket-031

    def refuse(message: str, hint: str = "") -> None:
        b.bad = True
        b.problems.append(Problem("error", message, b.fragment, 0, hint))

    if not start and not service.get("exec_stop") and not b.fields.get("unit.success_action"):
        refuse("cannot load the service, because it has no ExecStart=, ExecStop= or SuccessAction=", "add ExecStart= to [Service]")
    elif not start and not (service.get("remain_after_exit") or b.fields.get("unit.success_action")):
        refuse("cannot load the service, because without ExecStart= it needs RemainAfterExit=yes", "add ExecStart= or RemainAfterExit=yes")
    elif not start and kind != "oneshot":
        refuse(f"cannot load the service, because Type={kind} needs ExecStart=", "add ExecStart= to [Service]")
    if len(start) > 1 and kind != "oneshot":
        refuse(
            "cannot load the service, because several ExecStart= are for Type=oneshot only", "set Type=oneshot, or reset ExecStart= with an empty line first"
        )
    if kind == "oneshot" and service.get("restart") in ("always", "on-success"):
        refuse(f"cannot load the service, because Restart={service['restart']} does not go with Type=oneshot", "use Restart=on-failure")
    forced = service.get("restart_force_exit_status")
    if kind == "oneshot" and forced is not None and (forced.codes or forced.signals):
        refuse("cannot load the service, because RestartForceExitStatus= does not go with Type=oneshot", "use Restart=on-failure")
    if kind == "oneshot" and service.get("exit_type") == "cgroup":
        refuse("cannot load the service, because ExitType=cgroup does not go with Type=oneshot", "leave ExitType= out")
    if kind == "dbus" and not service.get("bus_name"):
        refuse("cannot load the service, because Type=dbus needs BusName=", "unitd does not support Type=dbus; use Type=notify")
    elif kind == "dbus":
        b.problems.append(Problem("warning", "Type=dbus is not supported: the service cannot be started", b.fragment, 0, "set Type=notify or Type=exec in a drop-in"))

"""set-property, edit, revert: changes to unit files that keep what others wrote there."""

from __future__ import annotations

import contextlib
import os
import re
import shutil

from unitd.bus.messages import Reply, Request
from unitd.manager import livechange, plainfile
from unitd.manager.jobs import Refused
from unitd.manager.transient import replace
from unitd.manager.verbs.base import Context, verb
from unitd.units import names, transient
from unitd.units.errors import Problem
from unitd.units.model import Unit

_HEAD = 'This is a drop-in unit file extension, created via "unitctl set-property"\nor an equivalent operation. Do not edit.'
_NAME = re.compile(r"[A-Za-z0-9_.@:-]{1,200}")


def directory(c: Context, unit: str, runtime: bool) -> str:
    """Where drop-ins of a unit go: the first directory of units, or with `runtime` one that unitd's end removes."""
    return os.path.join(c.own_files.control if runtime else c.paths[0], unit + ".d")


def existing(c: Context, name: str) -> Unit:
    """The unit, which has to be there. Raises Refused."""
    unit = c.engine.unit(c.check_name(name))
    if unit.load_state == "not-found":
        raise Refused("no-such-unit", f"Unit {unit.name} not found.", 1)
    if unit.load_state == "masked":
        raise Refused("masked", f"Unit {unit.name} is masked.", 1)
    return unit


# -- set-property


@verb("set-property")
async def set_property(c: Context, request: Request) -> Reply:
    """`units`: the unit, then NAME=VALUE...; option runtime. A drop-in `50-NAME.conf` for each; all of them or none."""
    name, *assignments = request.units
    unit = existing(c, name)
    if not assignments:
        raise Refused("bad-argument", "Too few arguments: unitctl set-property UNIT NAME=VALUE...", 1)
    runtime = bool(request.options.get("runtime")) or c.own_files.owns(unit.fragment_path)
    lines: dict[str, list[transient.Setting]] = {}
    for text in assignments:
        setting = transient.place(text, unit.type)
        lines.setdefault(setting[1], []).append(setting)
    files = {drop_in(c, unit.name, key, runtime): transient.text(settings, _HEAD) for key, settings in lines.items()}
    new, problems = put(c, unit, files)
    if not runtime:  # what was set for a while is over
        stale = [path for key in lines for path in (os.path.join(directory(c, unit.name, True), f"{number}-{key}.conf") for number in (50, 51))]
        if [path for path in stale if remove(path)]:
            new = c.loader.load(unit.name)
    c.engine.adopt(new, unit.name)
    settle(c, unit.name)
    told = [str(p) for p in problems]
    told += take_effect(c, new, list(lines))
    return Reply(id=request.id, ok=True, err="".join(line + "\n" for line in told), data=[{"path": path} for path in files])


def drop_in(c: Context, unit: str, key: str, runtime: bool) -> str:
    """The file for one setting. One of --runtime has to come behind a lasting one."""
    lasting = os.path.join(directory(c, unit, False), f"50-{key}.conf")
    return lasting if not runtime else os.path.join(directory(c, unit, True), f"{51 if os.path.exists(lasting) else 50}-{key}.conf")


def remove(path: str) -> bool:
    """Remove a file; was it there?"""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def take_effect(c: Context, unit: Unit, keys: list[str]) -> list[str]:
    """Apply to what runs what can be applied; sentences about the rest."""
    record = c.engine.record(unit.name)
    if record.active in ("inactive", "failed"):
        return []
    told: list[str] = []
    if unit.type == "service":
        process = [key for key in keys if key.startswith("Limit") or key in livechange.PROCESS]
        if process:
            told += livechange.apply(unit, process, c.executor.processes.members(unit.name, record))
    if livechange.CONTROLLED & set(keys):
        told += c.executor.controllers.apply(unit, record.cgroup)
    later = [key for key in keys if livechange.needs_restart(key)]
    if later:
        told.append(f"{', '.join(f'{key}=' for key in later)} will count after 'unitctl restart {unit.name}'.")
    return told


def put(c: Context, unit: Unit, files: dict[str, str]) -> tuple[Unit, list[Problem]]:
    """Put files in place and load the unit; on an error everything is as it was, and Refused is raised. The new definition, and warnings about these files."""
    before = {path: (contents(path), os.stat(path).st_mtime_ns if os.path.exists(path) else 0) for path in files}
    try:
        for path, text in files.items():
            replace(path, text)
        new = c.loader.load(unit.name)
        about = [p for p in new.problems if p.file in files]
        wrong = [p for p in about if p.severity == "error" or (p.severity == "warning" and not p.confines)]
        if new.load_state not in ("loaded", unit.load_state) or wrong:
            errors = wrong or [p for p in new.problems if p.severity == "error"]
            raise Refused("bad-setting", "; ".join(p.message + (f" ({p.hint})" if p.hint else "") for p in errors) or f"{unit.name} would be {new.load_state}", 1)
    except (Refused, OSError):
        for path, (old, mtime) in before.items():
            restore(path, old, mtime)
        raise
    return new, [p for p in about if p.severity == "warning"]


def settle(c: Context, name: str) -> None:
    """Tell the rest of the manager of a new definition."""
    c.units.drop(name)
    c.triggers.reloaded([name])
    c.output.refresh(name)


def contents(path: str) -> bytes | None:
    """What is in a file; None if there is none."""
    try:
        return plainfile.read(path)
    except FileNotFoundError:
        return None


def restore(path: str, old: bytes | None, mtime: int) -> None:
    """A file as it was, its time included: nothing has to be read again."""
    with contextlib.suppress(OSError):
        if old is None:
            os.unlink(path)
            os.rmdir(os.path.dirname(path))
        else:
            with open(path, "wb") as file:
                file.write(old)
            os.utime(path, ns=(mtime, mtime))


# -- edit


@verb("edit")
async def edit(c: Context, request: Request) -> Reply:
    """What there is to edit: the client runs the editor, and comes back with `edit-put`. Options: full, runtime, drop_in."""
    data = []
    for given in request.units:
        unit = existing(c, given)
        path = place(c, unit, request)
        text = contents(path)
        if text is None and request.options.get("full"):
            text = contents(unit.fragment_path)
        shown = [p for p in (unit.fragment_path, *unit.drop_in_paths) if p and p != path]
        others = [{"path": p, "text": (contents(p) or b"").decode("utf-8", "replace")} for p in shown]
        data.append({"unit": unit.name, "path": path, "text": (text or b"").decode("utf-8", "replace"), "others": others, "fragment": unit.fragment_path})
    return Reply(id=request.id, ok=True, data=data)


def place(c: Context, unit: Unit, request: Request) -> str:
    """The file that `edit` is about. Raises Refused."""
    o = request.options
    runtime = bool(o.get("runtime"))
    if o.get("full"):
        if runtime and os.path.dirname(unit.fragment_path) in c.paths:
            raise Refused("bad-argument", f"cannot edit all of {unit.name} until the end of unitd only, because {unit.fragment_path} counts first; leave --full out.", 1)
        if names.split(unit.name)[1] and unit.fragment_path and os.path.basename(unit.fragment_path) != unit.name:
            return os.path.join(c.own_files.control if runtime else c.paths[0], os.path.basename(unit.fragment_path))
        return os.path.join(c.own_files.control if runtime else c.paths[0], unit.name)
    name = str(o.get("drop_in") or "override.conf")
    if not _NAME.fullmatch(name) or name.startswith("."):
        raise Refused("bad-argument", f"cannot use {name!r} as the name of a drop-in.", 1)
    return os.path.join(directory(c, unit.name, runtime), name if name.endswith(".conf") else name + ".conf")


@verb("edit-put")
async def edit_put(c: Context, request: Request) -> Reply:
    """Put the edited text in place, if the unit loads with it. Options: those of edit, and text."""
    [given] = request.units
    unit = existing(c, given)
    path, text = place(c, unit, request), request.options.get("text")
    if not isinstance(text, str) or not text.strip():
        raise Refused("bad-argument", f'Editing "{path}" canceled: the text is empty.', 1)
    _, problems = put(c, unit, {path: text if text.endswith("\n") else text + "\n"})
    await c.reload_units()  # a template's text counts for its instances, too
    return Reply(id=request.id, ok=True, err="".join(f"{p}\n" for p in problems), data=[{"path": path}])


# -- revert


@verb("revert")
async def revert(c: Context, request: Request) -> Reply:
    """Remove drop-ins, masks and full copies in the directories that people change; what the vendor gave is what is left (systemctl(1))."""
    own = [c.own_files.control, *c.paths[:2]] if len(c.paths) > 2 else [c.own_files.control, *c.paths]
    removed: list[str] = []
    for given in request.units:
        name = c.check_name(given)
        vendor = any(os.path.lexists(os.path.join(d, name)) for d in c.paths if d not in own)
        for base in own:
            folder, path = os.path.join(base, name + ".d"), os.path.join(base, name)
            if os.path.isdir(folder):
                files = sorted(os.listdir(folder))
                shutil.rmtree(folder)
                removed += [os.path.join(folder, entry) for entry in files] + [folder]
            masked = os.path.islink(path) and os.readlink(path) == "/dev/null"
            if os.path.lexists(path) and (masked or vendor or base == c.own_files.control):
                os.unlink(path)
                removed.append(path)
    await c.reload_units()
    return Reply(id=request.id, ok=True, err="".join(f'Removed "{path}".\n' for path in removed), data=[{"kind": "unlink", "path": p, "target": ""} for p in removed])

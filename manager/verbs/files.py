"""Verbs about unit files: enable, mask, cat, edit, daemon-reload."""

from __future__ import annotations

import os
from collections.abc import Callable

from unitd.bus.messages import Reply, Request
from unitd.manager import plainfile
from unitd.manager.jobs import Refused
from unitd.manager.verbs.base import Context, failure, verb
from unitd.units import install


@verb("cat")
async def cat(c: Context, request: Request) -> Reply:
    files: list[dict[str, str]] = []
    for unit in c.expand(request.units):
        if unit.load_state == "masked":
            files.append({"path": f"Unit {unit.name} is masked.", "text": ""})
            continue
        if not unit.fragment_path and not unit.drop_in_paths:
            reply = failure(request, "no-such-unit", f"No files found for {unit.name}.", "", 1)
            reply.data = files
            return reply
        for path in (unit.fragment_path, *unit.drop_in_paths):
            if path:
                files.append({"path": path, "text": plainfile.read(path).decode("utf-8", "backslashreplace")})
    return Reply(id=request.id, ok=True, data=files)


Work = Callable[[], list[install.Change]]
_WORDS = {"symlink": "Created symlink {0} → {1}.", "unlink": "Removed \"{0}\"."}


async def change(c: Context, request: Request, what: str, *works: Work) -> Reply:
    """Do the works, load the units anew, and say what was changed. Raises Refused with `what` could not be done."""
    made: list[install.Change] = []
    try:
        for work in works:
            made += work()
    except install.InstallError as error:
        text = str(error)
        raise Refused("install", text if text.startswith("Failed to") else f"Failed to {what}: {text}", 1) from error
    finally:
        await c.reload_units()
    err = "".join(_WORDS.get(c.kind, "{0}").format(c.path, c.target) + "\n" for c in made)
    links = [{"kind": c.kind, "path": c.path, "target": c.target} for c in made if c.kind != "note"]
    return Reply(id=request.id, ok=True, err=err, data=links)


def full(c: Context, request: Request, paths: bool = False) -> list[str]:
    """The names of units, or with `paths` also the paths of files."""
    return [n if paths and n.startswith("/") else c.check_name(n) for n in request.units]


@verb("enable", "disable", "reenable", "preset", "mask", "unmask", "link")
async def links(c: Context, request: Request) -> Reply:
    """Verbs about links to unit files. Options: runtime, preset_mode."""
    runtime, late = bool(request.options.get("runtime")), c.loader.late
    units = list(request.units) if request.verb == "link" else full(c, request, request.verb in ("enable", "reenable"))
    mode = str(request.options.get("preset_mode") or "full")
    bare = [os.path.basename(name) for name in units]
    works: dict[str, tuple[Work, ...]] = {
        "enable": (lambda: install.enable(c.paths, units, runtime=runtime, late=late),),
        "disable": (lambda: install.disable(c.paths, units, runtime=runtime, late=late),),
        "preset": (lambda: install.preset(c.paths, units, runtime=runtime, late=late, mode=mode),),
        "mask": (lambda: install.mask(c.paths, units, runtime=runtime),),
        "unmask": (lambda: install.unmask(c.paths, units, runtime=runtime),),
        "link": (lambda: install.link(c.paths, units, runtime=runtime),),
    }
    works["reenable"] = (lambda: install.disable(c.paths, bare, runtime=runtime, late=late), *works["enable"])
    return await change(c, request, f"{request.verb} unit", *works[request.verb])


@verb("add-wants", "add-requires")
async def add_dependency(c: Context, request: Request) -> Reply:
    """`units`: the target, then the units that it shall want or require. Option runtime."""
    target, *units = full(c, request)
    if not units:
        raise Refused("bad-argument", f"Too few arguments: unitctl {request.verb} TARGET UNIT...", 1)
    runtime, folder = bool(request.options.get("runtime")), request.verb.removeprefix("add-")
    return await change(
        c, request, "add dependency", lambda: install.add_dependency(c.paths, target, units, folder, runtime=runtime, late=c.loader.late)
    )


@verb("daemon-reload")
async def daemon_reload(c: Context, request: Request) -> Reply:
    told = await c.reload_units()
    return Reply(id=request.id, ok=True, err="".join(t + "\n" for t in told))

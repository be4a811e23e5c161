"""Verbs about unit files: enable, mask, cat, edit, daemon-reload."""

from __future__ import annotations

from unitd.bus.messages import Reply, Request
from unitd.manager.verbs.base import Context, failure, verb
from unitd.units import install


@verb("cat")
async def cat(c: Context, request: Request) -> Reply:
    files = []
    for unit in c.expand(request.units):
        if not unit.fragment_path and not unit.drop_in_paths:
            return failure(request, "no-such-unit", f"No files found for {unit.name}.", "", 1)
        for path in (unit.fragment_path, *unit.drop_in_paths):
            if path:
                with open(path, encoding="utf-8", errors="backslashreplace") as file:
                    files.append({"path": path, "text": file.read()})
    return Reply(id=request.id, ok=True, data=files)


async def changes(c: Context, request: Request, made: list[install.Change]) -> Reply:
    await c.reload_units()
    words = {"symlink": "Created symlink {0} → {1}.", "unlink": "Removed \"{0}\"."}
    err = "".join(words.get(c.kind, "{0}").format(c.path, c.target) + "\n" for c in made)
    links = [{"kind": c.kind, "path": c.path, "target": c.target} for c in made if c.kind != "note"]
    return Reply(id=request.id, ok=True, err=err, data=links)


def full(c: Context, request: Request) -> list[str]:
    return [c.check_name(n) for n in request.units]


@verb("enable")
async def enable(c: Context, request: Request) -> Reply:
    return await changes(c, request, install.enable(c.paths, full(c, request), runtime=bool(request.options.get("runtime")), late=c.loader.late))


@verb("disable")
async def disable(c: Context, request: Request) -> Reply:
    return await changes(c, request, install.disable(c.paths, full(c, request), runtime=bool(request.options.get("runtime")), late=c.loader.late))


@verb("mask")
async def mask(c: Context, request: Request) -> Reply:
    return await changes(c, request, install.mask(c.paths, full(c, request), runtime=bool(request.options.get("runtime"))))


@verb("unmask")
async def unmask(c: Context, request: Request) -> Reply:
    return await changes(c, request, install.unmask(c.paths, full(c, request), runtime=bool(request.options.get("runtime"))))


@verb("daemon-reload")
async def daemon_reload(c: Context, request: Request) -> Reply:
    told = await c.reload_units()
    return Reply(id=request.id, ok=True, err="".join(t + "\n" for t in told))

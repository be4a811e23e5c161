"""Verbs that only ask: status, show and the lists."""

from __future__ import annotations

import fnmatch
from typing import Any

from unitd.bus.messages import Reply, Request
from unitd.manager.verbs.base import Context, listed, verb
from unitd.manager.views import LOG_LINES
from unitd.units import install, names


@verb("status")
async def status(c: Context, request: Request) -> Reply:
    lines = int(request.options.get("lines") or LOG_LINES)
    units = c.expand(request.units) if request.units else c.all_units()
    data = [c.views.status(unit, lines) for unit in units]
    code = 0
    for row in data:
        code = max(code, 4 if not row["found"] else 0 if row["active"] in ("active", "reloading") else 3)
    return Reply(id=request.id, ok=True, exit_code=code if request.units else 0, data=data)


@verb("show")
async def show(c: Context, request: Request) -> Reply:
    return Reply(id=request.id, ok=True, data=[c.views.show(unit) for unit in c.expand(request.units)])


@verb("list-units")
async def list_units(c: Context, request: Request) -> Reply:
    o = request.options
    rows = [c.views.row(u) for u in (c.expand(request.units) if request.units else c.all_units())]
    types, states = listed(o.get("type")), listed(o.get("state"))
    if o.get("failed"):
        states = ["failed"]
    if types:
        rows = [r for r in rows if r["unit"].rpartition(".")[2] in types]
    if states:
        rows = [r for r in rows if {r["active"], r["sub"], r["load"]} & set(states)]
    elif not o.get("all"):
        rows = [r for r in rows if r["active"] != "inactive" or r["job"] or r["load"] in ("error", "bad-setting")]
    return Reply(id=request.id, ok=True, data=rows)


@verb("list-unit-files")
async def list_unit_files(c: Context, request: Request) -> Reply:
    rows = []
    types = listed(request.options.get("type"))
    for name, path in sorted(c.loader.list_files().items()):
        if request.units and not any(fnmatch.fnmatchcase(name, p) or name == names.with_suffix(p) for p in request.units):
            continue
        if types and name.rpartition(".")[2] not in types:
            continue
        rows.append({"unit_file": name, "state": install.file_state(c.paths, name, c.loader.late), "preset": "enabled", "path": path})
    return Reply(id=request.id, ok=True, data=rows)


@verb("list-dependencies")
async def list_dependencies(c: Context, request: Request) -> Reply:
    o, graph = request.options, c.engine.graph
    roots = c.expand(request.units) if request.units else [c.engine.unit("default.target")]
    rows: list[dict[str, Any]] = []

    def near(name: str) -> list[str]:
        if o.get("after"):
            return sorted(graph.after(name))
        if o.get("before"):
            return sorted(graph.before(name))
        kinds = ("Requires", "Requisite", "Wants", "BindsTo", "Upholds")
        if o.get("reverse"):
            return sorted({d for k in (*kinds, "PartOf") for d in graph.rdeps(name, k)})
        return sorted({d for k in kinds for d in graph.deps(name, k)})

    def walk(name: str, depth: int, seen: frozenset[str]) -> None:
        unit = c.engine.unit(name)
        rows.append({"unit": unit.name, "depth": depth, "active": c.engine.record(unit.name).active})
        if unit.name not in seen and (depth == 0 or unit.type == "target" or o.get("all")):
            for dep in near(unit.name):
                walk(dep, depth + 1, seen | {unit.name})

    for root in roots:
        walk(root.name, 0, frozenset())
    return Reply(id=request.id, ok=True, data=rows)


@verb("is-active")
async def is_active(c: Context, request: Request) -> Reply:
    states = [c.engine.record(u.name).active for u in c.expand(request.units)]
    good = any(s in ("active", "reloading") for s in states)
    return Reply(id=request.id, ok=True, exit_code=0 if good else 3, out="".join(s + "\n" for s in states))


@verb("is-failed")
async def is_failed(c: Context, request: Request) -> Reply:
    states = [c.engine.record(u.name).active for u in c.expand(request.units)]
    return Reply(id=request.id, ok=True, exit_code=0 if "failed" in states else 1, out="".join(s + "\n" for s in states))


@verb("is-enabled")
async def is_enabled(c: Context, request: Request) -> Reply:
    out, err, good = [], [], False
    for pattern in request.units:
        name = c.check_name(pattern)
        state = install.file_state(c.paths, name, c.loader.late)
        if state in ("", "not-found"):
            err.append(f"Failed to get unit file state for {name}: No such file or directory")
            continue
        out.append(state)
        good = good or state in ("enabled", "enabled-runtime", "alias", "static", "indirect", "generated")
    return Reply(id=request.id, ok=True, exit_code=0 if good else 1, out="".join(s + "\n" for s in out), err="".join(e + "\n" for e in err))

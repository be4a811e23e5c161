"""Verbs that only ask: status, show and the lists."""

from __future__ import annotations

import fnmatch
from typing import Any

from unitd.bus.messages import Reply, Request
from unitd.manager.jobs import Refused
from unitd.manager.verbs.base import Context, listed, verb
from unitd.manager.views import LOG_LINES
from unitd.units import names
from unitd.units.model import Unit
from unitd.units.transient import is_transient


@verb("status")
async def status(c: Context, request: Request) -> Reply:
    lines = int(request.options.get("lines") or LOG_LINES)
    units = known(c, request, "get properties") if request.units else c.all_units()
    data = [c.views.status(unit, lines) for unit in units]
    code = 0
    for row in data:
        code = max(code, 4 if not row["found"] else 0 if row["active"] in ("active", "reloading") else 3)
    return Reply(id=request.id, ok=True, exit_code=code if request.units else 0, data=data)


@verb("show")
async def show(c: Context, request: Request) -> Reply:
    return Reply(id=request.id, ok=True, data=[c.views.show(unit) for unit in known(c, request, "get properties")])


def known(c: Context, request: Request, what: str, loaded_only: bool = False) -> list[Unit]:
    """The units asked for, none of which may be a template: that is no unit yet, unless it is a pool. Raises Refused."""
    units = c.expand(request.units, loaded_only)
    bare = next((u.name for u in units if names.split(u.name)[1] == "" and not u.service.instances and u.name in request.units), "")
    if bare:
        raise Refused("template", f"Failed to {what}: Unit name {bare} is neither a valid invocation ID nor unit name.", 1)
    return units


@verb("list-units")
async def list_units(c: Context, request: Request) -> Reply:
    o = request.options
    rows = [c.views.row(u) for u in (c.expand(request.units) if request.units else c.all_units())]
    rows.sort(key=lambda r: by_type(r["unit"]))
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


def by_type(name: str) -> tuple[str, str]:
    """The order of systemctl's lists."""
    return name.rpartition(".")[2].lower(), name.lower()


@verb("list-unit-files")
async def list_unit_files(c: Context, request: Request) -> Reply:
    rows = []
    types = listed(request.options.get("type"))
    with c.loader.batch():
        files = c.loader.list_files()
        state_of = {name: c.views.file_states.state(name) for name in files}
    for name, path in sorted(files.items(), key=lambda item: by_type(item[0])):
        if request.units and not any(fnmatch.fnmatchcase(name, p) or name == names.with_suffix(p) for p in request.units):
            continue
        if types and name.rpartition(".")[2] not in types:
            continue
        rows.append({"unit_file": name, "state": "transient" if is_transient(path) else state_of[name], "preset": "enabled", "path": path})
    return Reply(id=request.id, ok=True, exit_code=0 if rows else 1, data=rows)


#: What list-dependencies follows, as systemctl does.
FORWARD = ("Requires", "Requisite", "Wants", "ConsistsOf", "BindsTo", "Upholds")
REVERSE = ("RequiredBy", "RequisiteOf", "WantedBy", "PartOf", "BoundBy", "UpheldBy")


@verb("list-dependencies")
async def list_dependencies(c: Context, request: Request) -> Reply:
    """Rows {unit, depth, active} of a walk. Only targets are followed, with `all` every unit; with `plain` every unit once."""
    o, graph = request.options, c.engine.graph
    roots = c.expand(request.units) if request.units else [c.engine.unit("default.target")]
    relations = ("After",) if o.get("after") else ("Before",) if o.get("before") else REVERSE if o.get("reverse") else FORWARD
    types, plain = listed(o.get("type")), bool(o.get("plain"))
    rows: list[dict[str, Any]] = []

    def near(name: str) -> list[str]:
        found = {other for relation in relations for other in graph.related(name, relation)}
        return sorted(found, key=lambda n: (n.endswith(".target"), n.lower()))

    for root in roots:
        rows.append({"unit": root.name, "depth": 0, "active": c.engine.active(root.name)})
        path, circular = [root.name], [False]
        stack = [iter(near(root.name))]
        shown = {root.name}
        while stack:
            name = next(stack[-1], None)
            if name is None:
                if circular.pop() and not plain:
                    rows.append({"unit": "...", "depth": len(stack), "active": ""})
                stack.pop()
                left = path.pop()
                if not plain:
                    shown.discard(left)
            elif name in shown:
                circular[-1] = True
            elif not types or name.rpartition(".")[2] in types:
                rows.append({"unit": name, "depth": len(stack), "active": c.engine.active(name)})
                if o.get("all") or name.endswith(".target"):
                    c.engine.unit(name)
                    path.append(name)
                    circular.append(False)
                    shown.add(name)
                    stack.append(iter(near(name)))
                elif plain:
                    shown.add(name)
    return Reply(id=request.id, ok=True, data=rows)


def _states(c: Context, request: Request) -> list[str]:
    """A line for each word, two names of one unit included."""
    known(c, request, "retrieve unit state", True)
    return [c.engine.record(unit.name).active for word in request.units for unit in c.expand([word], loaded_only=True)]


@verb("is-active")
async def is_active(c: Context, request: Request) -> Reply:
    states = _states(c, request)
    good = any(s in ("active", "reloading") for s in states)
    return Reply(id=request.id, ok=True, exit_code=0 if good else 3, out="".join(s + "\n" for s in states))


@verb("is-failed")
async def is_failed(c: Context, request: Request) -> Reply:
    states = _states(c, request)
    return Reply(id=request.id, ok=True, exit_code=0 if "failed" in states else 1, out="".join(s + "\n" for s in states))


@verb("is-enabled")
async def is_enabled(c: Context, request: Request) -> Reply:
    out, err, good = [], [], False
    for pattern in request.units:
        if "/" in pattern:
            err.append(f"Failed to get unit file state for {pattern}: Invalid argument")
            good = False
            break
        name = c.check_name(pattern)
        state = c.views.file_states.state(name) or ("transient" if is_transient(c.loader.find(name) or "") else "")
        if state in ("", "not-found"):
            err.append(f"Failed to get unit file state for {name}: No such file or directory")
            good = False
            break
        out.append(state)
        good = good or state in ("enabled", "enabled-runtime", "alias", "static", "indirect", "generated")
    return Reply(id=request.id, ok=True, exit_code=0 if good else 1, out="".join(s + "\n" for s in out), err="".join(e + "\n" for e in err))

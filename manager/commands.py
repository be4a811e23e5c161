"""The verbs that the bus serves: requests in, replies out. Every one runs in a task of its own and waits for nobody else."""

from __future__ import annotations

import asyncio
import fnmatch
import os
import signal as signals
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import unitd
from unitd.bus.messages import ErrorInfo, Reply, Request
from unitd.bus.server import Peer
from unitd.manager.engine import Engine
from unitd.manager.jobs import Job, Refused
from unitd.manager.states import Signal
from unitd.manager.views import LOG_LINES, Views
from unitd.units import install, names
from unitd.units.errors import ValueProblem
from unitd.units.model import Unit
from unitd.units.values import parse_signal

if TYPE_CHECKING:
    from unitd.manager.executor import Executor
    from unitd.manager.output import Output
    from unitd.units.loader import Loader

JOB_VERBS = ("start", "stop", "restart", "try-restart", "reload", "reload-or-restart", "try-reload-or-restart")

#: Job results as systemctl words them.
BECAUSE = {
    "timeout": "a timeout was exceeded",
    "canceled": "the job was canceled",
    "dependency": "a dependency failed",
    "assert": "an assertion did not hold",
    "skipped": "it was skipped",
    "unsupported": "unitd does not run units of this type yet",
}

#: Service results as systemctl words them.
WHY = {
    "exit-code": "the control process exited with error code",
    "signal": "a fatal signal was delivered to the control process",
    "core-dump": "a fatal signal was delivered causing the control process to dump core",
    "timeout": "a timeout was exceeded",
    "watchdog": "the service failed to send watchdog ping",
    "resources": "of unavailable resources or another system error",
    "protocol": "the service did not take the steps required by its unit configuration",
}


class Commands:
    """One method per verb; `handle` finds it."""

    def __init__(
        self,
        engine: Engine,
        executor: Executor,
        loader: Loader,
        views: Views,
        output: Output,
        paths: list[str],
        instance: str,
        reload_units: Callable[[], Awaitable[list[str]]],
        shutdown: Callable[[], None],
    ) -> None:
        self.engine, self.executor, self.loader, self.views, self.output = engine, executor, loader, views, output
        self.paths, self.instance, self.reload_units, self.shutdown = paths, instance, reload_units, shutdown

    async def handle(self, request: Request, peer: Peer) -> Reply:
        """Answer one request. Wrong input is an error reply."""
        method: Callable[[Request], Awaitable[Reply]] | None
        if request.verb in JOB_VERBS:
            method = self.job_verb
        else:
            method = getattr(self, "do_" + request.verb.replace("-", "_"), None)
        if method is None:
            return failure(request, "unknown-verb", f"Unknown command verb {request.verb}.", "unitctl help lists the verbs", 1)
        try:
            return await method(request)
        except Refused as error:
            return failure(request, error.code, str(error), "", error.exit_code)
        except (ValueProblem, ValueError) as error:
            return failure(request, "bad-argument", str(error), getattr(error, "hint", ""), 1)
        except OSError as error:
            return failure(request, "os-error", f"cannot {request.verb}, because {error.filename or 'the system'} says: {error.strerror}", "", 1)

    # -- finding units

    def expand(self, patterns: list[str], known_only: bool = True) -> list[Unit]:
        """Units by name or glob; globs match loaded units only (case ctl-014)."""
        found: dict[str, Unit] = {}
        for pattern in patterns:
            if any(c in pattern for c in "*?["):
                for name in sorted(self.engine.graph.units):
                    if fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, pattern + ".service"):
                        found[name] = self.engine.graph.units[name]
            else:
                unit = self.engine.unit(self.check_name(pattern))
                found[unit.name] = unit
        return list(found.values())

    @staticmethod
    def check_name(name: str) -> str:
        """A valid unit name with its suffix. Raises `Refused`."""
        full = names.with_suffix(name)
        if not names.is_valid_name(full):
            raise Refused("bad-name", f"Invalid unit name '{name}'.", 1)
        return full

    # -- jobs

    async def job_verb(self, request: Request) -> Reply:
        options = request.options
        units = self.expand(request.units)
        verb = request.verb
        errors: list[str] = []
        code = 0
        results: list[dict[str, Any]] = []
        waits: list[asyncio.Future[tuple[Unit, str]]] = []
        mode = str(options.get("job_mode") or "replace")
        if mode == "isolate" or options.get("isolate"):
            mode = "isolate"
        if mode not in ("replace", "fail", "replace-irreversibly", "isolate", "flush", "ignore-dependencies", "ignore-requirements", "restart-dependencies"):
            raise Refused("bad-argument", f"Failed to {verb}: unknown job mode {mode}.", 1)
        for unit in units:
            try:
                self.may(unit, verb)
                for name, job in self.engine.submit([unit.name], verb, mode):
                    if job is not None and not options.get("no_block"):
                        waits.append(self.future(self.engine.unit(name), job))
            except Refused as error:
                code = max(code, error.exit_code)
                errors.append(str(error) if error.whole else f"Failed to {verb} {unit.name}: {error}")
        ended = await asyncio.gather(*waits)
        if any(result not in ("done", "skipped") for _, result in ended):
            await self.flush_output()
        for unit, result in ended:
            if result not in ("done", "skipped"):
                code = code or 1
                errors += self.explain(unit, verb, result)
            results.append({"unit": unit.name, "result": result, "log_tail": self.views.log_tail(unit.name, LOG_LINES) if result not in ("done", "skipped") else []})
        if options.get("wait") and verb in ("start", "restart") and not code:
            await asyncio.gather(*(self.until_down(unit) for unit in units))
        return Reply(id=request.id, ok=not code, exit_code=code, err="".join(e + "\n" for e in errors), data={"jobs": results})

    async def flush_output(self) -> None:
        """Have everything that services wrote until now in the files; a logger that does not answer is not waited for."""
        try:
            await asyncio.wait_for(self.output.log.flush(), 2)
        except TimeoutError:
            return

    def may(self, unit: Unit, verb: str) -> None:
        """RefuseManualStart=, RefuseManualStop= (exit code 4), templates."""
        if names.split(unit.name)[1] == "" and "@." in unit.name:
            raise Refused("template", f"Unit name {unit.name} is missing the instance name.", 1)
        if verb in ("start", "restart", "try-restart") and unit.unit.refuse_manual_start:
            raise Refused("refused", f"Operation refused, unit {unit.name} may be requested by dependency only (it is configured to refuse manual start/stop).", 4)
        if verb in ("stop", "restart", "try-restart") and unit.unit.refuse_manual_stop:
            raise Refused("refused", f"Operation refused, unit {unit.name} may be requested by dependency only (it is configured to refuse manual start/stop).", 4)

    def future(self, unit: Unit, job: Job) -> asyncio.Future[tuple[Unit, str]]:
        future: asyncio.Future[tuple[Unit, str]] = asyncio.get_running_loop().create_future()
        self.engine.wait(job, lambda _job, result: None if future.done() else future.set_result((unit, result)))
        return future

    async def until_down(self, unit: Unit) -> None:
        while self.engine.is_up(unit.name):
            await self.executor_state(unit.name)

    async def executor_state(self, name: str) -> None:
        """Wait for the next change of state of a unit."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.engine.change_waiters[name].append(lambda: None if future.done() else future.set_result(None))
        await future

    def explain(self, unit: Unit, verb: str, result: str) -> list[str]:
        """Why a job failed, in systemctl's words, with the last lines of output."""
        record = self.engine.record(unit.name)
        if result == "dependency":
            return [f"A dependency job for {unit.name} failed. See 'unitctl status' of what it requires for details."]
        limited = record.last_failure.startswith("start of the service was attempted")
        because = BECAUSE.get(result) or (record.last_failure if limited else WHY.get(record.result)) or record.last_failure or "it failed"
        lines = [f"Job for {unit.name} failed because {because}.", f'See "unitctl status {unit.name}" and "unitctl logs {unit.name}" for details.']
        if limited:
            lines += [f'To force a start use "unitctl reset-failed {unit.name}"', f'followed by "unitctl start {unit.name}" again.']
        elif record.last_failure and record.last_failure != because:
            lines.append(f"What happened: {record.last_failure}.")
        return lines + [f"  | {line}" for line in self.views.log_tail(unit.name, LOG_LINES)]

    async def do_isolate(self, request: Request) -> Reply:
        for unit in self.expand(request.units):
            if not unit.unit.allow_isolate:
                raise Refused("refused", f"Operation refused, unit {unit.name} may not be isolated.", 4)
        return await self.job_verb(Request(verb="start", units=request.units, options={**request.options, "isolate": True}, id=request.id))

    async def do_kill(self, request: Request) -> Reply:
        number = parse_signal(str(request.options.get("signal") or "TERM"))
        whom = {"main": "main", "control": "control", "all": "all"}.get(str(request.options.get("kill_whom") or "all"))
        if whom is None:
            raise Refused("bad-argument", "--kill-whom= takes main, control or all.", 1)
        code, errors = 0, []
        for unit in self.expand(request.units):
            record = self.engine.record(unit.name)
            if unit.load_state == "not-found" and not self.engine.is_up(unit.name):
                code = 1
                errors.append(f"Failed to kill unit {unit.name}: Unit {unit.name} not loaded.")
                continue
            self.executor.signal(unit, record, Signal(whom, number))
        return Reply(id=request.id, ok=not code, exit_code=code, err="".join(e + "\n" for e in errors))

    async def do_reset_failed(self, request: Request) -> Reply:
        if not request.units:
            for name in list(self.engine.records):
                self.engine.reset_failed(name)
            return Reply(id=request.id, ok=True)
        errors = []
        for unit in self.expand(request.units):
            if unit.load_state == "not-found" and self.engine.record(unit.name).sub == "dead":
                errors.append(f"Failed to reset failed state of unit {unit.name}: Unit {unit.name} not loaded.")
            else:
                self.engine.reset_failed(unit.name)
        return Reply(id=request.id, ok=not errors, exit_code=1 if errors else 0, err="".join(e + "\n" for e in errors))

    async def do_cancel(self, request: Request) -> Reply:
        wanted = {int(u) for u in request.units if u.isdigit()}
        for job in list(self.engine.jobs.values()):
            if not request.units or job.id in wanted:
                self.engine.cancel(job)
        return Reply(id=request.id, ok=True)

    # -- questions

    async def do_status(self, request: Request) -> Reply:
        lines = int(request.options.get("lines") or LOG_LINES)
        units = self.expand(request.units) if request.units else self.all_units()
        data = [self.views.status(unit, lines) for unit in units]
        code = 0
        for row in data:
            code = max(code, 4 if not row["found"] else 0 if row["active"] in ("active", "reloading") else 3)
        return Reply(id=request.id, ok=True, exit_code=code if request.units else 0, data=data)

    def all_units(self) -> list[Unit]:
        return [self.engine.graph.units[name] for name in sorted(self.engine.graph.units) if "@." not in name]

    async def do_show(self, request: Request) -> Reply:
        return Reply(id=request.id, ok=True, data=[self.views.show(unit) for unit in self.expand(request.units)])

    async def do_list_units(self, request: Request) -> Reply:
        o = request.options
        rows = [self.views.row(u) for u in (self.expand(request.units) if request.units else self.all_units())]
        types, states = _listed(o.get("type")), _listed(o.get("state"))
        if o.get("failed"):
            states = ["failed"]
        if types:
            rows = [r for r in rows if r["unit"].rpartition(".")[2] in types]
        if states:
            rows = [r for r in rows if {r["active"], r["sub"], r["load"]} & set(states)]
        elif not o.get("all"):
            rows = [r for r in rows if r["active"] != "inactive" or r["job"] or r["load"] in ("error", "bad-setting")]
        return Reply(id=request.id, ok=True, data=rows)

    async def do_list_unit_files(self, request: Request) -> Reply:
        rows = []
        types = _listed(request.options.get("type"))
        for name, path in sorted(self.loader.list_files().items()):
            if request.units and not any(fnmatch.fnmatchcase(name, p) or name == names.with_suffix(p) for p in request.units):
                continue
            if types and name.rpartition(".")[2] not in types:
                continue
            rows.append({"unit_file": name, "state": install.file_state(self.paths, name), "preset": "enabled", "path": path})
        return Reply(id=request.id, ok=True, data=rows)

    async def do_list_jobs(self, request: Request) -> Reply:
        rows = [{"job": j.id, "unit": j.unit, "type": j.type, "state": "running" if j.running else "waiting"} for j in self.engine.jobs.values()]
        return Reply(id=request.id, ok=True, data=sorted(rows, key=lambda r: int(str(r["job"]))))

    async def do_list_dependencies(self, request: Request) -> Reply:
        o, graph = request.options, self.engine.graph
        roots = self.expand(request.units) if request.units else [self.engine.unit("default.target")]
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
            unit = self.engine.unit(name)
            rows.append({"unit": unit.name, "depth": depth, "active": self.engine.record(unit.name).active})
            if unit.name not in seen and (depth == 0 or unit.type == "target" or o.get("all")):
                for dep in near(unit.name):
                    walk(dep, depth + 1, seen | {unit.name})

        for root in roots:
            walk(root.name, 0, frozenset())
        return Reply(id=request.id, ok=True, data=rows)

    async def do_is_active(self, request: Request) -> Reply:
        states = [self.engine.record(u.name).active for u in self.expand(request.units)]
        good = any(s in ("active", "reloading") for s in states)
        return Reply(id=request.id, ok=True, exit_code=0 if good else 3, out="".join(s + "\n" for s in states))

    async def do_is_failed(self, request: Request) -> Reply:
        states = [self.engine.record(u.name).active for u in self.expand(request.units)]
        return Reply(id=request.id, ok=True, exit_code=0 if "failed" in states else 1, out="".join(s + "\n" for s in states))

    async def do_is_enabled(self, request: Request) -> Reply:
        out, err, good = [], [], False
        for pattern in request.units:
            name = self.check_name(pattern)
            state = install.file_state(self.paths, name)
            if state in ("", "not-found"):
                err.append(f"Failed to get unit file state for {name}: No such file or directory")
                continue
            out.append(state)
            good = good or state in ("enabled", "enabled-runtime", "alias", "static", "indirect", "generated")
        return Reply(id=request.id, ok=True, exit_code=0 if good else 1, out="".join(s + "\n" for s in out), err="".join(e + "\n" for e in err))

    async def do_cat(self, request: Request) -> Reply:
        files = []
        for unit in self.expand(request.units):
            if not unit.fragment_path and not unit.drop_in_paths:
                return failure(request, "no-such-unit", f"No files found for {unit.name}.", "", 1)
            for path in (unit.fragment_path, *unit.drop_in_paths):
                if path:
                    with open(path, encoding="utf-8", errors="backslashreplace") as file:
                        files.append({"path": path, "text": file.read()})
        return Reply(id=request.id, ok=True, data=files)

    async def do_logs(self, request: Request) -> Reply:
        units = self.expand(request.units) if request.units else self.all_units()
        missing = [u.name for u in units if u.load_state == "not-found" and not os.path.isdir(self.output.directory(u.name))]
        if missing and request.units:
            return failure(request, "no-such-unit", f"Unit {missing[0]} not found.", "unitctl list-units --all lists what there is", 4)
        await self.flush_output()
        return Reply(id=request.id, ok=True, data=[{"unit": u.name, "dir": self.output.directory(u.name)} for u in units])

    # -- unit files

    async def changes(self, request: Request, made: list[install.Change]) -> Reply:
        await self.reload_units()
        words = {"symlink": "Created symlink {0} → {1}.", "unlink": "Removed \"{0}\"."}
        err = "".join(words[c.kind].format(c.path, c.target) + "\n" for c in made)
        return Reply(id=request.id, ok=True, err=err, data=[{"kind": c.kind, "path": c.path, "target": c.target} for c in made])

    async def do_enable(self, request: Request) -> Reply:
        return await self.changes(request, install.enable(self.paths, self.full(request), runtime=bool(request.options.get("runtime"))))

    async def do_disable(self, request: Request) -> Reply:
        return await self.changes(request, install.disable(self.paths, self.full(request), runtime=bool(request.options.get("runtime"))))

    async def do_mask(self, request: Request) -> Reply:
        return await self.changes(request, install.mask(self.paths, self.full(request), runtime=bool(request.options.get("runtime"))))

    async def do_unmask(self, request: Request) -> Reply:
        return await self.changes(request, install.unmask(self.paths, self.full(request), runtime=bool(request.options.get("runtime"))))

    def full(self, request: Request) -> list[str]:
        return [self.check_name(n) for n in request.units]

    async def do_daemon_reload(self, request: Request) -> Reply:
        told = await self.reload_units()
        return Reply(id=request.id, ok=True, err="".join(t + "\n" for t in told))

    async def do_edit(self, request: Request) -> Reply:
        """Where an override goes: the client runs the editor."""
        data = []
        for unit in self.expand(request.units):
            if unit.load_state == "not-found":
                raise Refused("no-such-unit", f"No files found for {unit.name}.", 1)
            data.append({"unit": unit.name, "path": os.path.join(self.paths[0], unit.name + ".d", "override.conf"), "fragment": unit.fragment_path})
        return Reply(id=request.id, ok=True, data=data)

    # -- the manager itself

    async def do_ping(self, request: Request) -> Reply:
        return Reply(id=request.id, ok=True, out="pong\n", data={"instance": self.instance, "pid": os.getpid()})

    async def do_version(self, request: Request) -> Reply:
        return Reply(id=request.id, ok=True, out=f"unitd {unitd.__version__}\n", data={"version": unitd.__version__})

    async def do_exit(self, request: Request) -> Reply:
        asyncio.get_running_loop().call_soon(self.shutdown)
        return Reply(id=request.id, ok=True)

    async def do_daemon_reexec(self, request: Request) -> Reply:
        """End this manager; the warden starts the program on disk, which takes over where this one stopped."""
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, os.kill, os.getpid(), signals.SIGKILL)
        return Reply(id=request.id, ok=True)


def _listed(value: object) -> list[str]:
    if not value:
        return []
    return value.split(",") if isinstance(value, str) else [str(v) for v in value] if isinstance(value, list) else []


def failure(request: Request, code: str, message: str, hint: str, exit_code: int) -> Reply:
    """An error reply; `err` is what a terminal shows."""
    text = message + (f" ({hint})" if hint else "")
    return Reply(id=request.id, ok=False, exit_code=exit_code, err=text + "\n", error=ErrorInfo(code, message, hint))

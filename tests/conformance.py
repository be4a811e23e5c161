"""Runs the cases recorded from real systemd against unitd and counts them by group: `make conformance`, as root.

    python tests/conformance.py [GROUP...]

The cases are in ../shared/conformance of the checkout, or in $UNITD_CONFORMANCE. They were recorded with systemd's unit directory, in a container with a
smaller bounding set, and with systemd's words for its tools: those three are translated, nothing else. systemd's two directories, /etc for what stays and
/run for what a boot clears, are two directories of unitd's unit path. unitctl runs without the `site` module: in an environment full of development tools
that one takes longer than all the rest, and what cases see of time is to be unitctl's. Cases named in docs/differences.md count as failed, and say why.

Exit code 0: 97 % of all that was run, of sockets and of notify each, and every line of the parser tables.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.harness import Manager, poll  # noqa: E402

CASES = Path(os.environ.get("UNITD_CONFORMANCE") or ROOT.parent / "shared" / "conformance")
SHARE = 0.97
#: Groups that have to reach the share by themselves.
ALONE = ("socket", "notify")
#: Recorded table -> the test that compares each of its lines.
TABLES = {
    "parse-timespan": "tests/unit/test_units.py::test_time_spans_as_systemd_reads_them",
    "parse-escape": "tests/unit/test_units.py::test_escaping_as_systemd_does_it",
    "parse-calendar": "tests/unit/test_calendar.py::test_the_recorded_table",
}
#: The capabilities of the container that the cases were recorded in.
BOUNDING = 0xFCECBFFF
#: How many cases run at a time, and how many sessions that makes at least: the runner's, unitd's, and one of a service in each case.
WORKERS = 4
SESSIONS = WORKERS + 2
#: unitctl for the runner, with compiled modules, as an installed one has them.
WRAPPER = """#!{python} -IS
import sys
sys.path[:0], sys.path[9:], sys.pycache_prefix = ["{root}"], ["{packages}"], "{base}/pycache"
sys.argv[1:1] = ["--bus", "{bus}"]
from unitd.cli.main import program
program()
"""

def deviations() -> dict[str, str]:
    """Case -> why unitd deliberately does not follow it: the rows `| case | what differs | why |` of docs/differences.md."""
    found = {}
    for line in (ROOT / "docs" / "differences.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if line.startswith("|") and len(cells) == 3:
            for case in re.findall(r"`([a-z]+-[0-9]+)`", cells[0]):
                found[case] = cells[2]
    return found


@contextlib.contextmanager
def container() -> Iterator[None]:
    """A group of the scheduler for all that runs meanwhile, where there is cgroup v1's cpu controller. The cases were recorded in a container, that is in such
    a group, where processes share the CPU. Outside of one a kernel with autogroups lets sessions share it: then every service has as much as all that the
    runner does, and of cases that begin at one time none sees how fast a command is."""
    own = next((line.partition(":/")[2].strip() for line in Path("/proc/self/cgroup").read_text().splitlines() if ":cpu:" in line or ":cpu," in line), None)
    group = Path("/sys/fs/cgroup/cpu", own or "", f"unitd-conformance-{os.getpid()}")
    try:
        if own is None:
            raise FileNotFoundError(errno.ENOENT, "no cpu controller")
        group.mkdir()
        (group / "cpu.shares").write_text(str(1024 * SESSIONS))
        if (real := group / "cpu.rt_runtime_us").exists():  # a kernel with CONFIG_RT_GROUP_SCHED gives a new group nothing of it
            real.write_text("100000")
        (group / "cgroup.procs").write_text("0")
    except OSError:
        with contextlib.suppress(OSError):
            group.rmdir()
        yield
        return
    try:
        yield
    finally:
        (group.parent / "cgroup.procs").write_text("0")
        poll(lambda: not (group / "cgroup.procs").read_text(), f"something is left in {group}")
        group.rmdir()


def translate(text: str, units: Path) -> str:
    """A recorded fact in unitd's places and words."""
    text = text.replace("/run/systemd/system", str(units)).replace("/etc/systemd/system", str(units.parent / "etc")).replace("journalctl -xeu", "unitctl logs")
    text = text.replace('Job failed. See \\"journalctl -xe\\" for', 'Job failed. See \\"unitctl status\\" for')
    text = text.replace("See 'journalctl -xe' for details.", "See 'unitctl status' of what it requires for details.")
    return text.replace("systemctl", "unitctl")


def run(groups: list[str]) -> dict[str, tuple[int, int]]:
    """Group -> (passed, all), failures printed on the way."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(CASES))
    import oraclelib
    from run import diff

    manager = Manager({"LANG": "C.UTF-8"})  # recorded cases show it
    base, units = manager.base, manager.units
    manager.unit_path = [base / "etc", units]
    (base / "etc").mkdir()
    manager.show_to_all()
    unitctl = base / "unitctl"
    unitctl.write_text(WRAPPER.format(python=sys.executable, root=ROOT, packages=sysconfig.get_path("purelib"), base=base, bus=manager.run))
    unitctl.chmod(0o755)
    keep = int(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd")).split()[1], 16) & BOUNDING
    bounding = "-all," + ",".join(f"+cap_{n}" for n in range(64) if keep >> n & 1)
    manager.wrap = ["setpriv", "--bounding-set", bounding, "--inh-caps=-all"]
    manager.boot()
    assert manager.process is not None
    subprocess.Popen(["cat"], stdin=manager.process.stderr, stdout=subprocess.DEVNULL)  # it says more than a pipe holds
    counts: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    reasons = deviations()
    try:
        cases = [c for c in oraclelib.load_cases() if not groups or c["group"] in groups or c["id"] in groups]
        cases = [{**c, "steps": json.loads(translate(json.dumps(c["steps"]), units))} for c in cases]
        python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
        got = oraclelib.run_all(oraclelib.Runner(oraclelib.Ctl([str(unitctl)]), str(units), "/tmp/uo", python), cases, WORKERS)
        for case in cases:
            want: Any = json.loads(translate(json.dumps(case["expect"]), units))
            differences = diff(want, json.loads(json.dumps(got[case["id"]])))
            counts[case["group"]][1] += 1
            if not differences:
                counts[case["group"]][0] += 1
                continue
            print(f"{case['id']}: {case['about']}" + (f" [deliberate: {reasons[case['id']]}]" if case["id"] in reasons else ""))
            for difference in differences[:3]:
                print("    " + difference[:240])
    finally:
        manager.close(check=False)
    return {group: (good, every) for group, (good, every) in counts.items()}


def tables() -> dict[str, tuple[int, int]]:
    """The parser tables, line by line."""
    counts = {}
    for name, test in TABLES.items():
        ours, recorded = ROOT / "tests" / "data" / f"{name}.json", CASES / "cases" / f"{name}.json"
        if json.loads(ours.read_text()) != json.loads(recorded.read_text()):
            print(f"{name}: {ours} is not the recorded table")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-o", "addopts=", "--no-header", "-p", "no:cacheprovider", test], cwd=ROOT, capture_output=True, text=True, check=False
        )
        good, bad = (sum(int(n) for n in re.findall(rf"(\d+) {word}", done.stdout)) for word in ("passed", "(?:failed|errors?)"))
        counts[name] = (good, good + bad)
        if bad or not good:
            print("\n".join(line for line in done.stdout.splitlines() if line.startswith("FAILED")) or done.stdout + done.stderr)
    return counts


def main() -> int:
    """Run what was asked for; the exit code."""
    if not (CASES / "run.py").is_file():
        print(f"conformance: nothing was compared, because the recorded cases are not at {CASES}; name their directory with UNITD_CONFORMANCE=DIR")
        return 2
    if os.getuid() != 0:
        print("conformance: nothing was compared, because the recorded cases need root")
        return 2
    groups = sys.argv[1:]
    with container():
        counts = run(groups)
    lines = {} if groups else tables()
    print(f"\n{'group':<16}{'passed':>8}{'of':>6}{'share':>8}")
    for group, (good, every) in (*sorted(counts.items()), *lines.items()):
        print(f"{group:<16}{good:>8}{every:>6}{good / max(every, 1):>8.1%}")
    good, every = (sum(column) for column in zip(*counts.values(), strict=True)) if counts else (0, 0)
    print(f"{'all cases':<16}{good:>8}{every:>6}{good / max(every, 1):>8.1%}")
    short = [name for name, (passed, of) in lines.items() if passed < of or not of]
    short += [g for g in ALONE if g in counts and counts[g][0] < SHARE * counts[g][1]]
    short += ["all cases"] if good < SHARE * every else []
    print("too little: " + ", ".join(short) if short else f"all have at least {SHARE:.0%}" + (", the parser tables everything" if lines else ""))
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())

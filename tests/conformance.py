"""Runs the cases recorded from real systemd against unitd and counts them by group: `make conformance`, as root.

    python tests/conformance.py [GROUP...]

The cases are in ../shared/conformance of the checkout, or in $UNITD_CONFORMANCE. They were recorded with systemd's unit directory, in a container with a
smaller bounding set, and with systemd's words for its tools: those three are translated, nothing else. Cases of DEVIATIONS count as failed, and say why.
Exit code 0: every group of REQUIRED has at least 90 %.
"""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CASES = Path(os.environ.get("UNITD_CONFORMANCE") or ROOT.parent / "shared" / "conformance")
REQUIRED = ("cmd", "env", "restart", "drop", "limit", "type", "kill", "exec")
SHARE = 0.9
#: The capabilities of the container that the cases were recorded in.
BOUNDING = 0xFCECBFFF

#: Cases that unitd deliberately does not follow, each with its reason.
DEVIATIONS = {
    "env-002": "no JOURNAL_STREAM: output goes to unitd's logger, not to the journal",
    "exec-001": "stdout is a pipe to unitd's logger, not a socket to the journal",
    "exec-069": "stdout is a pipe to unitd's logger, not a socket to the journal",
    "exec-070": "stdout is a pipe to unitd's logger, not a socket to the journal",
    "drop-014": "a unit directory of one's own is not /run: masked, not masked-runtime",
    "type-010": "the message goes on with what happened and the last lines of output",
    "limit-005": "recorded before three programs, which are Python too, had come up; starting Python for unitctl takes longer than systemctl",
}


def translate(text: str, units: Path) -> str:
    """A recorded fact in unitd's places and words."""
    text = text.replace("/run/systemd/system", str(units)).replace("journalctl -xeu", "unitctl logs")
    text = text.replace('Job failed. See \\"journalctl -xe\\" for', 'Job failed. See \\"unitctl status\\" for')
    return text.replace("systemctl", "unitctl")


def run(groups: list[str]) -> dict[str, tuple[int, int]]:
    """Group -> (passed, all), failures printed on the way."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(CASES))
    import oraclelib
    from run import diff

    base = Path(tempfile.mkdtemp(prefix="uc"))
    units = base / "units"
    units.mkdir()
    base.chmod(0o755)
    units.chmod(0o755)
    unitctl = base / "unitctl"
    unitctl.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m unitd.cli.main --bus {base}/run "$@"\n')
    unitctl.chmod(0o755)
    command = [sys.executable, "-m", "unitd.manager.launch", "--unit-path", str(units), "--runtime-dir", f"{base}/run", "--log-dir", f"{base}/log", "--start", "none"]
    keep = int(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd")).split()[1], 16) & BOUNDING
    bounding = "-all," + ",".join(f"+cap_{n}" for n in range(64) if keep >> n & 1)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    unitd = subprocess.Popen(["setpriv", "--bounding-set", bounding, "--inh-caps=-all", *command], env=environ, stderr=subprocess.PIPE, text=True, cwd="/")
    assert unitd.stderr is not None
    while "ready (bus" not in (line := unitd.stderr.readline()):
        if not line:
            raise SystemExit("unitd did not come up")
    subprocess.Popen(["cat"], stdin=unitd.stderr, stdout=subprocess.DEVNULL)
    counts: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    try:
        cases = [c for c in oraclelib.load_cases() if not groups or c["group"] in groups or c["id"] in groups]
        python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
        got = oraclelib.run_all(oraclelib.Runner(oraclelib.Ctl([str(unitctl)]), str(units), "/tmp/uo", python), cases, 4)
        for case in cases:
            want: Any = json.loads(translate(json.dumps(case["expect"]), units))
            differences = diff(want, json.loads(json.dumps(got[case["id"]])))
            counts[case["group"]][1] += 1
            if not differences:
                counts[case["group"]][0] += 1
                continue
            print(f"{case['id']}: {case['about']}" + (f" [deliberate: {DEVIATIONS[case['id']]}]" if case["id"] in DEVIATIONS else ""))
            for difference in differences[:3]:
                print("    " + difference[:240])
    finally:
        unitd.terminate()
        unitd.wait(60)
    return {group: (good, every) for group, (good, every) in counts.items()}


def main() -> int:
    """Run what was asked for; the exit code."""
    if not (CASES / "run.py").is_file():
        print(f"conformance: nothing was compared, because the recorded cases are not at {CASES}; name their directory with UNITD_CONFORMANCE=DIR")
        return 2
    if os.getuid() != 0:
        print("conformance: nothing was compared, because the recorded cases need root")
        return 2
    counts = run(sys.argv[1:])
    print(f"\n{'group':<10}{'passed':>8}{'of':>6}{'share':>8}")
    for group, (good, every) in sorted(counts.items()):
        print(f"{group:<10}{good:>8}{every:>6}{good / every:>8.0%}" + ("  required" if group in REQUIRED else ""))
    short = [g for g in REQUIRED if g in counts and counts[g][0] < SHARE * counts[g][1]]
    print("below 90 %: " + ", ".join(short) if short else "every required group has at least 90 %")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())

"""Every directive that the installed systemd knows has its row in the table."""

from __future__ import annotations

import os
import subprocess

from tests.harness import absent
from unitd.units.directives import DIRECTIVES

SYSTEMD = "/lib/systemd/systemd"


def test_no_directive_of_systemd_is_missing() -> None:
    if not os.path.exists(SYSTEMD):
        absent(f"needs {SYSTEMD}")
    dump = subprocess.run([SYSTEMD, "--dump-configuration-items"], capture_output=True, text=True, timeout=60, check=True).stdout
    section, missing, known = "", [], 0
    for line in dump.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line:
            name = line.partition("=")[0].strip()
            known += (section, name) in DIRECTIVES
            if (section, name) not in DIRECTIVES:
                missing.append(f"[{section}] {name}=")
    assert known > 800
    assert missing == []

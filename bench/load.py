"""CPU time of reading unit files: 1000 of them at first, again with one changed, and a whole daemon-reload of the engine with one changed."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from unitd.units.loader import Loader

UNITS = 1000
TEXT = """[Unit]
Description=Service number {n}
Documentation=https://example.org/{n}
After=network-online.target
Wants=network-online.target
{requires}

[Service]
Type=notify
User=nobody
Environment=ONE=1 "TWO=two words" INSTANCE=%n
EnvironmentFile=-/etc/default/service-{n}
ExecStartPre=/bin/mkdir -p /tmp/service-{n}
ExecStart=/usr/bin/service --number {n} --config %E/service/{n}.conf $OPTIONS
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=5s
LimitNOFILE=65536
MemoryMax=512M
NoNewPrivileges=yes
ProtectSystem=full

[Install]
WantedBy=multi-user.target
"""


def write(directory: Path, count: int) -> None:
    """Unit files as distributions have them, each requiring the one before in tens."""
    for n in range(count):
        requires = f"Requires=service-{n - 1}.service" if n % 10 else ""
        (directory / f"service-{n}.service").write_text(TEXT.format(n=n, requires=requires))


def cpu(what: str, loader: Loader) -> float:
    """Load everything once; CPU seconds."""
    began = time.process_time()
    with loader.batch():
        for name in loader.list_files():
            loader.load(name)
    spent = time.process_time() - began
    print(f"{what:<40}{spent * 1000:8.1f} ms CPU")
    return spent


def main() -> int:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as base:
        directory = Path(base)
        write(directory, UNITS)
        time.sleep(0.1)  # files that were written this instant are not remembered
        loader = Loader([base])
        first = cpu(f"{UNITS} unit files", loader)
        cpu("again, nothing changed", loader)
        (directory / "service-7.service").write_text(TEXT.format(n=7, requires="") + "\n# changed\n")
        time.sleep(0.1)
        again = cpu("again, one changed", loader)
        print(f"one changed is {first / again:.0f} times cheaper")
    return 0


if __name__ == "__main__":
    sys.exit(main())

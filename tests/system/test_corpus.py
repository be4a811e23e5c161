"""The unit files of a hundred Debian packages: each loads here if systemd takes it, and both find the same mistakes. Nothing of it is started.

The packages of tests/data/corpus-packages.txt are fetched by apt-get and kept in $UNITD_TEST_CACHE (~/.cache/unitd-tests).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness import absent
from unitd.units import names
from unitd.units.errors import Problem
from unitd.units.loader import Loader
from unitd.units.verify import verify_files

PACKAGES = Path(__file__).resolve().parents[1] / "data/corpus-packages.txt"
CACHE = Path(os.environ.get("UNITD_TEST_CACHE") or os.path.expanduser("~/.cache/unitd-tests")) / "corpus"
KINDS = (".service", ".timer", ".socket", ".path")
#: What systemd-analyze says of the machine rather than of the file.
ELSEWHERE = re.compile(r"is not executable|man .*command failed|not-found|not found|Unknown user|obsolete|please use|Support for")


def fetch() -> Path:
    """The cache with all packages that apt has, fetched when they are not there yet."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        have = {path.name.partition("_")[0] for path in CACHE.glob("*.deb")}
        wanted = [name for name in PACKAGES.read_text(encoding="ascii").split() if name not in have]
        shown = subprocess.run(["apt-cache", "show", "--no-all-versions", *wanted], capture_output=True, text=True, timeout=120, check=False).stdout
        there = sorted(set(re.findall(r"^Package: (\S+)", shown, re.M)) & set(wanted))
        for some in (there[i : i + 40] for i in range(0, len(there), 40)):
            command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3", "download", *some]
            subprocess.run(command, cwd=CACHE, capture_output=True, timeout=300, check=False)
    return CACHE


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the units of all packages."""
    for tool in ("apt-get", "dpkg-deb", "systemd-analyze"):
        if shutil.which(tool) is None:
            absent(f"needs {tool}")
    target = tmp_path_factory.mktemp("corpus")
    packages = 0
    for package in sorted(fetch().glob("*.deb")):
        content = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], capture_output=True, timeout=60, check=False).stdout
        before = len(os.listdir(target))
        for prefix, strip in (("./lib/systemd/system", 4), ("./usr/lib/systemd/system", 5)):
            command = ["tar", "-x", "-C", str(target), f"--strip-components={strip}", "--no-same-owner", "--wildcards", f"{prefix}/*"]
            subprocess.run(command, input=content, capture_output=True, timeout=60, check=False)
        packages += len(os.listdir(target)) > before
    if packages < 60:
        absent(f"needs 60 packages from apt, has {packages} in {CACHE}: run apt-get update?")
    return target


def analyze(directory: Path, *files: Path) -> list[str]:
    """What systemd-analyze verify says of the files themselves; `directory` is the only one it looks into."""
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, files)]
    done = subprocess.run(command, env={**os.environ, "SYSTEMD_UNIT_PATH": str(directory)}, capture_output=True, text=True, timeout=60, check=False)
    return [line for line in (done.stderr + done.stdout).splitlines() if line and not ELSEWHERE.search(line)]


def plain(path: Path) -> bool:
    """A unit that can be loaded as it is: a regular file with something in it, no template."""
    return path.suffix in KINDS and not path.is_symlink() and path.stat().st_size > 0 and names.split(path.name)[1] != ""


def test_every_unit_loads_that_systemd_takes(corpus: Path) -> None:
    files = sorted(path for path in corpus.iterdir() if plain(path))
    assert len(files) >= 150
    refused = {line.partition(":")[0] for line in analyze(corpus, *files)}
    loader = Loader([str(corpus)])
    kinds = dict.fromkeys(KINDS, 0)
    wrong = []
    for path in sorted(corpus.iterdir()):
        if path.suffix not in KINDS or path.is_symlink() or path.stat().st_size == 0:
            continue
        kinds[path.suffix] += 1
        name = path.name.replace("@.", "@instance.")
        unit = loader.load(name)
        if (unit.load_state != "loaded" or any(p.severity == "error" for p in unit.problems)) and str(path) not in refused and path.name not in refused:
            wrong.append((path.name, unit.load_state, [str(p) for p in unit.problems if p.severity == "error"]))
    assert wrong == []
    assert all(kinds[kind] >= few for kind, few in {".service": 120, ".timer": 20, ".socket": 10, ".path": 3}.items()), kinds


def test_nothing_in_the_corpus_is_unknown(corpus: Path) -> None:
    """Every directive that packages use has its row in the table, and every value is read."""
    said = [p for p in verify_files([str(corpus)]) if p.severity != "note" and not p.confines and "is ignored" in p.message]
    assert [str(p) for p in said] == []


#: What is put into a unit of the corpus: (unit, what is replaced, by what). Lines that do not exist are appended to [Service].
MISTAKES: dict[str, tuple[str, str, str]] = {
    "misspelt directive": ("nginx.service", r"^Type=.*", "Tpye=forking"),
    "wrong word": ("nginx.service", r"^Type=.*", "Type=Simple"),
    "unknown section": ("nginx.service", r"^\[Install\]", "[Instal]"),
    "broken section": ("nginx.service", r"^\[Install\]", "[Install"),
    "no section": ("nginx.service", r"^\[Unit\]", ""),
    "no equals sign": ("nginx.service", r"^Type=.*", "Type forking"),
    "unbalanced quote": ("nginx.service", r"^ExecStart=.*", 'ExecStart=/bin/sh -c "x'),
    "relative program": ("nginx.service", r"^ExecStart=.*", "ExecStart=bin/sh x"),
    "unknown specifier": ("nginx.service", r"^ExecStart=.*", "ExecStart=/bin/echo %Z"),
    "two prefixes": ("nginx.service", r"^ExecStart=.*", "ExecStart=--/bin/true"),
    "no command": ("cron.service", r"^ExecStart=.*", ""),
    "empty command": ("cron.service", r"^ExecStart=.*", "ExecStart="),
    "two commands": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nExecStart=/bin/true"),
    "oneshot that always restarts": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nType=oneshot\nRestart=always"),
    "wrong restart": ("cron.service", r"^Restart=.*", "Restart=on_failure"),
    "wrong span": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nTimeoutStopSec=soon"),
    "wrong signal": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nKillSignal=SIGSTRANGE"),
    "wrong kill mode": ("cron.service", r"^KillMode=.*", "KillMode=everything"),
    "wrong boolean": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nRemainAfterExit=maybe"),
    "wrong mode": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nUMask=999"),
    "wrong nice": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nNice=40"),
    "wrong limit": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nLimitNOFILE=many"),
    "limit upside down": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nLimitNOFILE=20:10"),
    "wrong environment": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nEnvironment=1A=b"),
    "relative environment file": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nEnvironmentFile=etc/x"),
    "relative working directory": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nWorkingDirectory=var/x"),
    "wrong user": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nUser=a/b"),
    "wrong output": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nStandardOutput=paper"),
    "relative output file": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nStandardOutput=append:log"),
    "wrong capability": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nCapabilityBoundingSet=CAP_FLY"),
    "directory above": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nStateDirectory=../x"),
    "wrong exit status": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nSuccessExitStatus=999"),
    "wrong memory": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nMemoryMax=lots"),
    "wrong quota": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nCPUQuota=50"),
    "bus without a name": ("cron.service", r"^ExecStart=.*", "ExecStart=/bin/true\nType=dbus"),
    "wrong dependency": ("cron.service", r"^After=.*", "After=foo.nonsense b/c"),
    "relative condition": ("cron.service", r"^After=.*", "ConditionPathExists=etc/x"),
    "no URI": ("cron.service", r"^Documentation=.*", "Documentation=cron(8)"),
    "directive elsewhere": ("cron.service", r"^After=.*", "Restart=always"),
    "wrong action": ("cron.service", r"^After=.*", "FailureAction=explode"),
    "wrong burst": ("cron.service", r"^After=.*", "StartLimitBurst=-1"),
    "timer without a time": ("logrotate.timer", r"^OnCalendar=.*", ""),
    "wrong calendar": ("logrotate.timer", r"^OnCalendar=.*", "OnCalendar=daily\nOnCalendar=Someday 25:00"),
    "only a wrong calendar": ("logrotate.timer", r"^OnCalendar=.*", "OnCalendar=Someday 25:00"),
    "wrong accuracy": ("logrotate.timer", r"^AccuracySec=.*", "AccuracySec=quite"),
    "misspelt directive of a timer": ("logrotate.timer", r"^Persistent=.*", "Persistant=true"),
    "socket that listens nowhere": ("ssh.socket", r"^ListenStream=.*", ""),
    "wrong address": ("ssh.socket", r"^ListenStream=.*", "ListenStream=22\nListenStream=localhost:http"),
    "wrong accept": ("ssh.socket", r"^Accept=.*", "Accept=perhaps"),
    "wrong socket mode": ("ssh.socket", r"^Accept=.*", "Accept=no\nSocketMode=999"),
    "path that watches nothing": ("cups.path", r"^PathExists=.*", ""),
    "relative path to watch": ("cups.path", r"^PathExists=.*", "PathExists=/a\nPathChanged=var/x"),
    "nothing wrong": ("cron.service", r"^After=.*", "After=foo.service\n# a comment = x"),
    "foreign section": ("cron.service", r"^\[Unit\]", "[X-Mine]\nA=b\n[Unit]"),
}
#: Where systemd says nothing at all, and unitd does.
SILENT = ("wrong capability", "wrong dependency")


def verdict_of_systemd(directory: Path, path: Path) -> str:
    said = analyze(directory, path)
    text = "\n".join(said)
    if re.search(r"bad unit file setting|Failed to (load|prepare|create|open)|Bad message", text):
        return "refused"
    return "told" if said else "fine"


def verdict(problems: list[Problem]) -> str:
    if any(p.severity == "error" for p in problems):
        return "refused"
    told = [p for p in problems if p.severity == "warning" and not p.confines and "does not exist or cannot be executed" not in p.message]
    return "told" if told else "fine"


@pytest.mark.parametrize("mistake", MISTAKES)
def test_both_find_the_same_mistakes(corpus: Path, mistake: str, tmp_path: Path) -> None:
    name, pattern, replacement = MISTAKES[mistake]
    text = (corpus / name).read_text(encoding="utf-8")
    changed, count = re.subn(pattern, lambda _: replacement, text, count=1, flags=re.M)
    assert count == 1, f"{name} has no line like {pattern}"
    path = tmp_path / name
    path.write_text(changed, encoding="utf-8")
    ours, theirs = verdict(verify_files([str(path)])), verdict_of_systemd(tmp_path, path)
    if mistake in SILENT:
        assert (ours, theirs) == ("told", "fine")
        return
    assert ours == theirs, [*map(str, verify_files([str(path)])), "---", *analyze(tmp_path, path)]

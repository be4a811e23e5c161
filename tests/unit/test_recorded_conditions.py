"""Conditions as systemd 252 judges them, recorded from a booted container; what depends on the machine gets a made-up one."""

from __future__ import annotations

from pathlib import Path

import pytest

from unitd.manager import hostfacts
from unitd.manager.conditions import test as holds
from unitd.units.lexer import lex
from unitd.units.model import Condition
from unitd.units.parse import Defaults, build
from unitd.units.specifiers import HostFacts

MACHINE = {
    "/proc/cpuinfo": "processor: 0\nflags\t\t: fpu sse2 fma hypervisor cpuid\n",
    "/sys/class/dmi/id/sys_vendor": "QEMU\n",
    "/sys/class/dmi/id/bios_vendor": "SeaBIOS\n",
    "/sys/fs/cgroup/cgroup.controllers": "cpu memory pids\n",
    "/proc/pressure/cpu": "some avg10=1.50 avg60=20.00 avg300=3.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "/proc/pressure/memory": "some avg10=9.00 avg60=9.00 avg300=9.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "/proc/self/status": "CapBnd:\t0000000000000001\n",
    "/proc/cmdline": "quiet root=/dev/vda\n",
    "/proc/1/cmdline": "/sbin/init\0--x\0",
    "/etc/os-release": 'ID=debian\nVERSION_ID="12"\nNAME="Debian GNU/Linux"\n',
    "/proc/self/uid_map": "         0          0 4294967295\n",
}


def parsed(line: str) -> Condition | None:
    """What a line of [Unit] comes to."""
    assignments, _ = lex(f"[Unit]\n{line}\n[Service]\nExecStart=/bin/true\n", "/u/a.service")
    unit, _problems = build("a.service", assignments, "/u/a.service", HostFacts(), Defaults())
    return unit.unit.conditions[0] if unit.unit.conditions else None


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("CPUFeature=SSE2", True), ("CPUFeature=fma3", True), ("CPUFeature=cpuid", False), ("CPUFeature=junk", False), ("CPUFeature=!junk", True),
        ("Virtualization=yes", True), ("Virtualization=vm", True), ("Virtualization=qemu", True), ("Virtualization=container", False),
        ("Virtualization=private-users", False), ("Virtualization=junk", False),
        ("ControlGroupController=cpu memory", True), ("ControlGroupController=io", False), ("ControlGroupController=cpu junk", True),
        ("ControlGroupController=junk", True), ("ControlGroupController=!junk", False),
        ("CPUPressure=0%", False), ("CPUPressure=5%", True), ("CPUPressure=5%/1min", False), ("CPUPressure=2%/10s", True), ("MemoryPressure=0%", True),
        ("MemoryPressure=50%/1h", False), ("MemoryPressure=!50%/1h", False), ("MemoryPressure=junk", False), ("IOPressure=0%", True),
        ("Capability=CAP_CHOWN", True), ("Capability=chown", False), ("Capability=0", True), ("Capability=1", False), ("Capability=!CAP_KILL", True),
        ("KernelCommandLine=quiet", True), ("KernelCommandLine=root", True), ("KernelCommandLine=root=/x", False), ("KernelCommandLine=--x", False),
        ("Firmware=smbios-field(bios_vendor = SeaBIOS)", True), ("Firmware=smbios-field(bios_vendor $= Sea*)", True), ("Firmware=junk", False), ("Firmware=!junk", True),
        ("FirstBoot=junk", False), ("FirstBoot=!junk", False), ("ACPower=junk", False), ("Security=junk", False), ("Security=!junk", True),
        ("OSRelease=ID=debian VERSION_ID>9", True), ("OSRelease=VERSION_ID<>12", False), ("OSRelease=NAME='Debian GNU/Linux'", True), ("OSRelease=NOSUCH=", False),
        ("OSRelease=!NOSUCH=", False), ("OSRelease=ID$=deb*", True), ("OSRelease=ID=deb*", False), ("OSRelease=ID!=x", True), ("OSRelease=junk", False),
        ("KernelVersion=<>3.0", True), ("KernelVersion=>3.0 <3.1", False), ("Memory=<>1M", True), ("Memory=junk", False), ("Memory=!junk", False),
        ("Credential=x", False), ("Credential=!x", True),
    ],
)  # fmt: skip
def test_what_the_machine_is(line: str, result: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostfacts, "text", lambda path: MACHINE.get(path, ""))
    monkeypatch.setattr("unitd.manager.conditions.text", lambda path: MACHINE.get(path, ""))
    monkeypatch.setattr(hostfacts, "container", lambda: "")
    monkeypatch.setattr("os.path.exists", lambda path: str(path) in MACHINE)
    condition = parsed(f"Condition{line}")
    assert condition is not None and holds(condition) is result


def test_in_a_container_its_first_process_has_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostfacts, "text", lambda path: MACHINE.get(path, ""))
    monkeypatch.setattr(hostfacts, "container", lambda: "docker")
    for word, result in (("--x", True), ("quiet", False)):
        assert holds(Condition("KernelCommandLine", word)) is result
    for word, result in (("docker", True), ("container", True), ("vm", False), ("qemu", False), ("yes", True)):
        assert holds(Condition("Virtualization", word)) is result


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    for name in (".h", "x~", "y.bak", "lost+found"):
        (tmp_path / "hidden" / name).write_text("")
    assert not holds(Condition("DirectoryNotEmpty", str(tmp_path / "hidden")))
    assert holds(Condition("DirectoryNotEmpty", str(tmp_path)))
    assert holds(Condition("PathExistsGlob", f"{tmp_path}/{{none,hid*}}"))
    assert not holds(Condition("PathExistsGlob", f"{tmp_path}/{{none,other}}"))
    assert not holds(Condition("PathIsEncrypted", str(tmp_path / "none")))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ConditionPathExists=|!/a", ("/a", True, True)),
        ("ConditionPathExists=!/a", ("/a", False, True)),
        ("ConditionPathExists=! /a", None),  # no path: the line is ignored
        ("ConditionPathExists=!|/a", None),
        ("ConditionHost=! a", (" a", False, True)),
    ],
)
def test_prefixes(line: str, found: tuple[str, bool, bool] | None) -> None:
    condition = parsed(line)
    assert (None if condition is None else (condition.argument, condition.trigger, condition.negate)) == found

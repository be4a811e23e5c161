"""Conditions about the machine: what it is, what it has, how busy it is (systemd.unit(5), CONDITIONS AND ASSERTS).

A check takes what stands behind the `=` and raises ValueError for what means nothing: then the condition does not hold, negated or not.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import platform
import re
import socket
from collections.abc import Callable

from unitd.units.errors import ValueProblem
from unitd.units.numbers import CAPABILITIES
from unitd.units.values import parse_bool, parse_permyriad, parse_timespan

ARCHITECTURES = {"x86_64": "x86-64", "i686": "x86", "i386": "x86", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64-le"}
_CONTROLLERS = frozenset(
    "cpu cpuacct cpuset io blkio memory devices pids bpf-firewall bpf-devices bpf-foreign bpf-socket-bind bpf-restrict-network-interfaces".split()
)
#: What systemd asks the processor for; the kernel has another name for one of them.
_FEATURES = frozenset(
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ht pni pclmul monitor ssse3 fma3 cx16 sse4_1 sse4_2 "
    "movbe popcnt aes xsave osxsave avx f16c rdrand bmi1 avx2 bmi2 rdseed adx sha_ni syscall rdtscp lm lahf_lm abm constant_tsc".split()
)
_DMI = (
    ("KVM", "kvm"), ("OpenStack", "kvm"), ("KubeVirt", "kvm"), ("Amazon EC2", "amazon"), ("QEMU", "qemu"), ("VMware", "vmware"), ("VMW", "vmware"),
    ("innotek GmbH", "oracle"), ("VirtualBox", "oracle"), ("Xen", "xen"), ("Bochs", "bochs"), ("Parallels", "parallels"), ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"), ("Apple Virtualization", "apple"), ("Google Compute Engine", "google"),
)  # fmt: skip


def text(path: str) -> str:
    """A file's content; empty if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _boolean(argument: str) -> bool:
    try:
        return parse_bool(argument)
    except ValueProblem as error:
        raise ValueError(str(error)) from None


def container() -> str:
    """What kind of container this is; empty outside."""
    for path in ("/run/systemd/container", "/run/host/container-manager"):
        if found := text(path).strip():
            return found
    if found := os.environ.get("container", ""):
        return found
    return "docker" if os.path.exists("/.dockerenv") else "podman" if os.path.exists("/run/.containerenv") else ""


def virtual_machine() -> str:
    """What kind of virtual machine this is, "vm-other" for one that does not say; empty on hardware."""
    for name in ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version"):
        said = text(f"/sys/class/dmi/id/{name}").strip()
        for vendor, kind in _DMI:
            if said.startswith(vendor):
                return kind
    return "vm-other" if re.search(r"^flags\b.*\bhypervisor\b", text("/proc/cpuinfo"), re.M) else ""


def _virtualization(argument: str) -> bool:
    inner, outer = container(), virtual_machine()
    with contextlib.suppress(ValueError):
        return _boolean(argument) == bool(inner or outer)
    if argument == "private-users":
        return text("/proc/self/uid_map").split() != ["0", "0", "4294967295"]
    if argument == "container":
        return bool(inner)
    return bool(outer) and not inner if argument == "vm" else argument == (inner or outer)


def _security(argument: str) -> bool:
    if argument == "audit":
        try:
            socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9).close()
        except OSError:
            return False
        return True
    if argument == "apparmor":
        return text("/sys/module/apparmor/parameters/enabled").strip() == "Y"
    if argument == "uefi-secureboot":
        return text("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")[-1:] == "\x01"
    if argument == "tpm2":
        return os.path.isdir("/sys/class/tpmrm") and bool(os.listdir("/sys/class/tpmrm"))
    places = {"selinux": "/sys/fs/selinux/enforce", "smack": "/sys/fs/smackfs", "ima": "/sys/kernel/security/ima", "tomoyo": "/sys/kernel/security/tomoyo/version"}
    return argument in places and os.path.exists(places[argument])


def _ac_power(argument: str) -> bool:
    wanted, online, offline, discharging = _boolean(argument), False, False, False
    base = "/sys/class/power_supply"
    for name in os.listdir(base) if os.path.isdir(base) else ():
        if text(f"{base}/{name}/type").strip() == "Mains":
            on = text(f"{base}/{name}/online").strip() == "1"
            online, offline = online or on, offline or not on
        elif text(f"{base}/{name}/status").strip() == "Discharging":
            discharging = True
    return wanted == (online or not (offline or discharging))


def _needs_update(argument: str) -> bool:
    """Rather too often than too seldom."""
    try:
        if os.statvfs(argument).f_flag & os.ST_RDONLY:
            return False
        then, now = os.lstat(os.path.join(argument, ".updated")), os.lstat("/usr")
    except OSError:
        return True
    stamp = re.search(r"^TIMESTAMP_NSEC=([0-9]+)$", text(os.path.join(argument, ".updated")), re.M)
    return now.st_mtime_ns > (int(stamp[1]) if stamp and not then.st_mtime_ns % 10**9 else then.st_mtime_ns)


def _controllers(argument: str) -> bool:
    unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    if argument in ("v1", "v2"):
        return unified == (argument == "v2")
    wanted = _CONTROLLERS.intersection(argument.split())
    if not wanted:
        return True  # nothing that is known: as in systemd, no reason not to start
    if unified:
        return wanted <= set(text("/sys/fs/cgroup/cgroup.controllers").split())
    return all(os.path.isdir(f"/sys/fs/cgroup/{'blkio' if name == 'io' else name}") for name in wanted)


def _cpu_feature(argument: str) -> bool:
    name = argument.lower()
    flags = re.search(r"^flags\b[^:]*:(.*)$", text("/proc/cpuinfo"), re.M)
    return name in _FEATURES and flags is not None and {"fma3": "fma"}.get(name, name) in flags[1].split()


def _firmware(argument: str) -> bool:
    if argument in ("uefi", "device-tree"):
        return os.path.exists("/sys/firmware/efi" if argument == "uefi" else "/sys/firmware/devicetree")
    call = re.fullmatch(r"(device-tree-compatible|smbios-field)\((.*)\)", argument)
    if call is None:
        return False
    if call[1] == "device-tree-compatible":
        return call[2] in text("/proc/device-tree/compatible").split("\0")
    field = re.fullmatch(r"\s*(\w+)\s*(\$=|!\$=|<=|>=|<>|!=|==|=|<|>)\s*(.*?)\s*", call[2])
    if field is None:
        raise ValueError("no field to compare")
    have = text(f"/sys/class/dmi/id/{field[1]}").rstrip("\n")
    return bool(have) and versions(field[2], have, field[3].strip("\"'"))


def _pressure(resource: str) -> Callable[[str], bool]:
    def check(argument: str) -> bool:
        head, slash, span = argument.partition("/")
        unit, colon, share = head.rpartition(":")
        try:
            limit = parse_permyriad(share) / 100
            average = {10.0: "avg10", 60.0: "avg60", 300.0: "avg300"}[parse_timespan(span) if slash else 300.0]
        except (ValueProblem, KeyError):
            raise ValueError("write 10%, and behind a slash 10s, 1min or 5min") from None
        path = f"/sys/fs/cgroup/{unit}/{resource}.pressure" if colon else f"/proc/pressure/{resource}"
        kind = "some" if resource == "cpu" else "full"
        found = re.search(rf"^{kind} .*\b{average}=([0-9.]+)", text(path), re.M)
        return found is None or float(found[1]) <= limit

    return check


def _credential(argument: str) -> bool:
    places = [os.environ.get("CREDENTIALS_DIRECTORY", ""), "/run/credentials/@system", "/run/credentials/@encrypted"]
    return "/" not in argument and any(place and os.path.exists(os.path.join(place, argument)) for place in places)


def _encrypted(argument: str) -> bool:
    try:
        device = os.stat(argument).st_dev
    except OSError:
        return False
    todo = [f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"]
    while todo:
        block = todo.pop()
        if text(f"{block}/dm/uuid").startswith("CRYPT-"):
            return True
        if os.path.isdir(f"{block}/slaves"):
            todo += [f"{block}/slaves/{name}" for name in os.listdir(f"{block}/slaves")]
    return False


def _command_line(argument: str) -> bool:
    """In a container that of its first process."""
    words = text("/proc/1/cmdline").split("\0") if container() else text("/proc/cmdline").split()
    return argument in words or ("=" not in argument and any(word.partition("=")[0] == argument for word in words))


def _capability(argument: str) -> bool:
    bounding = re.search(r"CapBnd:\s*([0-9a-f]+)", text("/proc/self/status"))
    prefix, name = argument[:4].upper(), argument[4:].upper()
    number = int(argument) if argument.isdigit() else CAPABILITIES.index(name) if prefix == "CAP_" and name in CAPABILITIES else -1
    return bounding is not None and 0 <= number < 64 and bool(int(bounding[1], 16) >> number & 1)


def version_key(version: str) -> list[tuple[int, object]]:
    """What versions are ordered by."""
    return [(1, int(part)) if part.isdigit() else (0, part) for part in re.findall(r"\d+|[a-z]+", version)]


def versions(operator: str, have: str, want: str) -> bool:
    """Compare as conditions do: = and != as text, $= and !$= by pattern, the others as versions."""
    if operator in ("=", "!=", "$=", "!$="):
        same = fnmatch.fnmatchcase(have, want) if "$" in operator else have == want
        return same != operator.startswith("!")
    a, b = version_key(have), version_key(want)
    return {"<": a < b, "<=": a <= b, "==": a == b, "<>": a != b, ">": a > b, ">=": a >= b}[operator]


CHECKS: dict[str, Callable[[str], bool]] = {
    "Architecture": lambda a: a in (ARCHITECTURES.get(platform.machine(), platform.machine()), "native"),
    "Virtualization": _virtualization,
    "Security": _security,
    "ACPower": _ac_power,
    "FirstBoot": lambda a: _boolean(a) == os.path.exists("/run/systemd/first-boot"),
    "NeedsUpdate": _needs_update,
    "ControlGroupController": _controllers,
    "CPUFeature": _cpu_feature,
    "Firmware": _firmware,
    "MemoryPressure": _pressure("memory"),
    "CPUPressure": _pressure("cpu"),
    "IOPressure": _pressure("io"),
    "Credential": _credential,
    "PathIsEncrypted": _encrypted,
    "KernelCommandLine": _command_line,
    "Capability": _capability,
}

"""Units that exist without a file: the synchronisation points that distribution unit files name, and slices (systemd.special(7)). Pure.

A file of the same name takes their place. They only order and group; what the machine does at boot is not unitd's business.
"""

from __future__ import annotations

from unitd.units.errors import ValueProblem
from unitd.units.model import Unit, UnitSection
from unitd.units.names import unescape_path

#: name | Description, as systemd 252 has it | Requires | Wants | After | flags: i AllowIsolate=yes, n DefaultDependencies=no, m RefuseManualStart=yes
_TARGETS = """
sysinit|System Initialization||local-fs swap|local-fs swap|
basic|Basic System|sysinit|sockets timers paths slices|sysinit sockets paths slices|
multi-user|Multi-User System|basic||basic rescue|i
graphical|Graphical Interface|multi-user||multi-user rescue|i
rescue|Rescue Mode|sysinit||sysinit|i
emergency|Emergency Mode||||i
network|Network|||network-pre|
network-online|Network is Online|||network|
network-pre|Preparation for Network||||
nss-lookup|Host and Network Name Lookups||||
nss-user-lookup|User and Group Name Lookups||||
time-set|System Time Set||||
time-sync|System Time Synchronized|||time-set|
local-fs-pre|Preparation for Local File Systems||||n
local-fs|Local File Systems|||local-fs-pre|n
remote-fs-pre|Preparation for Remote File Systems||||
remote-fs|Remote File Systems|||remote-fs-pre|
swap|Swaps||||n
cryptsetup-pre|Local Encrypted Volumes (Pre)||||n
cryptsetup|Local Encrypted Volumes||||n
veritysetup|Local Verity Protected Volumes||||n
integritysetup|Local Integrity Protected Volumes||||n
sockets|Socket Units||||
timers|Timer Units||||
paths|Path Units||||
slices|Slice Units||||n
getty|Login Prompts||||
getty-pre|Preparation for Logins||||
rpcbind|RPC Port Mapper||||
sound|Sound Card||||
bluetooth|Bluetooth Support||||
printer|Printer Support||||
smartcard|Smart Card||||
usb-gadget|Hardware activated USB gadget||||
boot-complete|Boot Completion Check||||
first-boot-complete|First Boot Complete||||
umount|Unmount All Filesystems||||nm
shutdown|System Shutdown||||nm
final|Late Shutdown Services||||nm
exit|Exit the Container||||ni
reboot|System Reboot||||ni
poweroff|System Power Off||||ni
halt|System Halt||||ni
kexec|Reboot via kexec||||ni
sleep|Sleep||||n
suspend|Suspend||||n
hibernate|System Hibernation||||n
system-update|Offline System Update||||
system-update-pre|Offline System Update (Pre)||||
initrd|Initrd Default Target||||n
initrd-fs|Initrd File Systems||||n
initrd-root-fs|Initrd Root File System||||n
"""


def _read() -> dict[str, UnitSection]:
    found = {}
    for line in _TARGETS.strip().splitlines():
        name, description, requires, wants, after, flags = line.split("|")
        lists = {"Requires": requires, "Wants": wants, "After": after}
        found[f"{name}.target"] = UnitSection(
            description=description,
            documentation=("man:systemd.special(7)",),
            dependencies={kind: tuple(f"{n}.target" for n in text.split()) for kind, text in lists.items() if text},
            allow_isolate="i" in flags,
            default_dependencies="n" not in flags,
            refuse_manual_start="m" in flags,
        )
    return found


TARGETS = _read()
_SLICES = {
    "-.slice": "Root Slice",
    "system.slice": "System Slice",
    "user.slice": "User and Session Slice",
    "machine.slice": "Virtual Machine and Container Slice",
}
#: Other names of built-in units.
ALIASES = {"default.target": "multi-user.target", "runlevel3.target": "multi-user.target", "runlevel5.target": "graphical.target"}
#: Directories that belong to systemd. Which units the machine boots with is written there: unitd starts none of that by itself.
SYSTEMD_DIRECTORIES = tuple(
    f"{base}/systemd/{kind}{more}"
    for base in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib", "/usr/share", "/usr/local/share")
    for kind in ("system", "user")
    for more in ("", ".attached", ".control")
) + ("/run/systemd/generator", "/run/systemd/generator.early", "/run/systemd/generator.late", "/run/systemd/transient")


def built_in(name: str) -> Unit | None:
    """The unit of this name that exists without a file, with no default dependencies yet; None if there is none."""
    section = TARGETS.get(name)
    if section is None and name.endswith(".slice"):
        section = UnitSection(description=_SLICES.get(name) or _path_of(name))
    return Unit(name, names=(name,), unit=section) if section is not None else None


def _path_of(slice: str) -> str:
    """What systemd calls a slice that has no file."""
    try:
        return f"Slice {unescape_path(slice.removesuffix('.slice'))}"
    except ValueProblem:
        return slice


def is_systemds(directory: str) -> bool:
    """Does the directory belong to systemd?"""
    return directory in SYSTEMD_DIRECTORIES

"""Units that exist without a file: the synchronisation points that distribution unit files name, and slices (systemd.special(7)). Pure.

A file of the same name takes their place. They only order and group; what the machine does at boot is not unitd's business.
"""

from __future__ import annotations

from unitd.units.model import Unit, UnitSection

#: name | Requires | Wants | After | flags: i AllowIsolate=yes, n DefaultDependencies=no, m RefuseManualStart=yes
_TARGETS = """
sysinit||local-fs swap|local-fs swap|
basic|sysinit|sockets timers paths slices|sysinit sockets paths slices|
multi-user|basic||basic rescue|i
graphical|multi-user||multi-user rescue|i
rescue|sysinit||sysinit|i
emergency||||i
network|||network-pre|
network-online|||network|
network-pre||||
nss-lookup||||
nss-user-lookup||||
time-set||||
time-sync|||time-set|
local-fs-pre||||n
local-fs|||local-fs-pre|n
remote-fs-pre||||
remote-fs|||remote-fs-pre|
swap||||n
cryptsetup-pre||||n
cryptsetup||||n
veritysetup||||n
integritysetup||||n
sockets||||
timers||||
paths||||
slices||||n
getty||||
getty-pre||||
rpcbind||||
sound||||
bluetooth||||
printer||||
smartcard||||
usb-gadget||||
boot-complete||||
first-boot-complete||||
umount||||nm
shutdown||||nm
final||||nm
exit||||ni
reboot||||ni
poweroff||||ni
halt||||ni
kexec||||ni
sleep||||n
suspend||||n
hibernate||||n
system-update||||
system-update-pre||||
initrd||||n
initrd-fs||||n
initrd-root-fs||||n
"""


def _read() -> dict[str, UnitSection]:
    found = {}
    for line in _TARGETS.strip().splitlines():
        name, requires, wants, after, flags = line.split("|")
        lists = {"Requires": requires, "Wants": wants, "After": after}
        found[f"{name}.target"] = UnitSection(
            description=name.replace("-", " ").capitalize(),
            documentation=("man:systemd.special(7)",),
            dependencies={kind: tuple(f"{n}.target" for n in text.split()) for kind, text in lists.items() if text},
            allow_isolate="i" in flags,
            default_dependencies="n" not in flags,
            refuse_manual_start="m" in flags,
        )
    return found


TARGETS = _read()
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
        section = UnitSection(description="Root Slice" if name == "-.slice" else f"Slice {name.removesuffix('.slice').replace('-', '/')}")
    return Unit(name, names=(name,), unit=section) if section is not None else None


def is_systemds(directory: str) -> bool:
    """Does the directory belong to systemd?"""
    return directory in SYSTEMD_DIRECTORIES

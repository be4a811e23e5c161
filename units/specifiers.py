"""%-specifiers (systemd.unit(5), SPECIFIERS). Pure: the facts about the machine come in as `HostFacts`."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from unitd.units import names
from unitd.units.errors import ValueProblem
from unitd.units.zone import UTC_ZONE, Zone


class HostFacts(msgspec.Struct, frozen=True):
    """What specifiers and the environment say about the machine and the manager's user."""

    uid: int = 0
    gid: int = 0
    user: str = "root"
    group: str = "root"
    home: str = "/root"
    shell: str = "/bin/sh"
    hostname: str = "localhost"
    machine_id: str = ""
    boot_id: str = ""
    arch: str = "x86-64"
    kernel: str = ""
    os_release: tuple[tuple[str, str], ...] = ()
    runtime_dir: str = "/run"
    state_dir: str = "/var/lib"
    cache_dir: str = "/var/cache"
    logs_dir: str = "/var/log"
    config_dir: str = "/etc"
    tmp: str = "/tmp"  # noqa: S108 - what %T says
    var_tmp: str = "/var/tmp"  # noqa: S108
    zone: Zone = UTC_ZONE


def resolver(name: str, fragment: str, host: HostFacts, asked_slice: Callable[[], str] = str) -> Callable[[str], str]:
    """A function that expands the specifiers of a string in unit `name` read from `fragment`; it raises ValueProblem for an unknown one.
    `asked_slice` gives the Slice= that was read until then."""
    table: dict[str, Callable[[], str]] = {}

    def resolve(text: str) -> str:
        if "%" not in text:
            return text
        if not table:  # most units need none
            table.update(_table(name, fragment, host))
            table.update(_group(name, asked_slice))
        out: list[str] = []
        i = 0
        while i < len(text):
            if text[i] != "%" or i + 1 == len(text):
                out.append(text[i])
                i += 1
                continue
            make = table.get(text[i + 1])
            if make is None:
                if text[i + 1].isascii() and text[i + 1].isalnum():
                    raise ValueProblem(f"cannot resolve the specifier %{text[i + 1]}, because there is none of that name", "write %% for a percent sign")
                out.append("%" + text[i + 1])
            else:
                out.append(make())
            i += 2
        return "".join(out)

    return resolve


def _group(name: str, asked_slice: Callable[[], str]) -> dict[str, Callable[[], str]]:
    """The deprecated specifiers of the control group; only a Slice= above them counts."""

    def chain() -> str:
        parts = asked_slice().removesuffix(".slice").split("-")
        return "".join(f"/{'-'.join(parts[: i + 1])}.slice" for i in range(len(parts)) if parts[0])

    return {"c": lambda: f"{chain()}/{name}", "r": lambda: asked_slice() and "/" + asked_slice(), "R": lambda: ""}


def _table(name: str, fragment: str, host: HostFacts) -> dict[str, Callable[[], str]]:
    """Letter -> what gives its text, for unit `name` read from `fragment`."""
    prefix, instance, _ = names.split(name)
    stem = name.rpartition(".")[0]
    last = prefix.rpartition("-")[2]
    osr = dict(host.os_release)

    return {
        "n": lambda: name, "N": lambda: stem, "p": lambda: prefix, "P": lambda: names.unescape(prefix), "i": lambda: instance or "", "I": lambda: names.unescape(instance or ""),
        "j": lambda: last, "J": lambda: names.unescape(last), "f": lambda: names.unescape_path(instance or prefix), "t": lambda: host.runtime_dir,
        "S": lambda: host.state_dir, "C": lambda: host.cache_dir, "L": lambda: host.logs_dir, "E": lambda: host.config_dir, "T": lambda: host.tmp,
        "V": lambda: host.var_tmp, "h": lambda: host.home, "u": lambda: host.user, "U": lambda: str(host.uid), "g": lambda: host.group,
        "G": lambda: str(host.gid), "s": lambda: host.shell, "y": lambda: fragment, "Y": lambda: fragment.rpartition("/")[0], "a": lambda: host.arch,
        "b": lambda: host.boot_id, "m": lambda: host.machine_id, "H": lambda: host.hostname, "l": lambda: host.hostname.partition(".")[0],
        "q": lambda: host.hostname, "v": lambda: host.kernel, "o": lambda: osr.get("ID", ""), "w": lambda: osr.get("VERSION_ID", ""),
        "W": lambda: osr.get("VARIANT_ID", ""), "B": lambda: osr.get("BUILD_ID", ""), "A": lambda: osr.get("IMAGE_VERSION", ""),
        "M": lambda: osr.get("IMAGE_ID", ""), "d": lambda: f"{host.runtime_dir}/credentials/{name}", "%": lambda: "%",
    }  # fmt: skip

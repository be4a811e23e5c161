"""What resource directives become in the files of the kernel's controllers."""

from __future__ import annotations

import pytest

from unitd.manager.resources import Host, controllers, settings, slice_chain, wanted
from unitd.units.model import ServiceSection, Unit

HOST = Host(memory=1 << 30, tasks=1000)
V2 = dict.fromkeys(("memory", "cpu", "pids", "io", "cpuset"), 2)
V1 = dict.fromkeys(("memory", "cpu", "pids", "io", "cpuset"), 1)


def unit(name: str = "a.service", policy: str = "stop", **directives: str) -> Unit:
    section = {"service": "Service", "slice": "Slice"}[name.rpartition(".")[2]]
    return Unit(name, service=ServiceSection(oom_policy=policy), settings={(section, k): (v,) for k, v in directives.items()})


@pytest.mark.parametrize(
    ("directive", "value", "v2", "v1"),
    [
        ("MemoryMax", "64M", [("memory.max", "67108864")], [("memory.limit_in_bytes", "67108864")]),
        ("MemoryMax", "50%", [("memory.max", "536870912")], [("memory.limit_in_bytes", "536870912")]),
        ("MemoryMax", "infinity", [("memory.max", "max")], [("memory.limit_in_bytes", "-1")]),
        ("MemoryHigh", "1G", [("memory.high", "1073741824")], None),
        ("MemorySwapMax", "0", [("memory.swap.max", "0")], None),
        ("CPUQuota", "150%", [("cpu.max", "150000 100000")], [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "150000")]),
        ("CPUQuota", "0.5%", [("cpu.max", "1000 100000")], [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "1000")]),
        ("CPUWeight", "200", [("cpu.weight", "200")], [("cpu.shares", "2048")]),
        ("CPUWeight", "idle", [("cpu.idle", "1")], [("cpu.shares", "2")]),
        ("TasksMax", "20", [("pids.max", "20")], [("pids.max", "20")]),
        ("TasksMax", "10%", [("pids.max", "100")], [("pids.max", "100")]),
        ("TasksMax", "infinity", [("pids.max", "max")], [("pids.max", "max")]),
        ("IOWeight", "100", [("io.weight", "default 100")], [("blkio.weight", "500")]),
        ("AllowedCPUs", "0-2 5", [("cpuset.cpus", "0,1,2,5")], [("cpuset.cpus", "0,1,2,5")]),
    ],
)
def test_values(directive: str, value: str, v2: list[tuple[str, str]], v1: list[tuple[str, str]] | None) -> None:
    """Both versions of the kernel's interface; None: v1 has nothing for it."""
    found, missing = settings(unit(**{directive: value}), HOST, V2)
    assert ([(s.file, s.value) for s in found], missing) == (v2, [])
    found, missing = settings(unit(**{directive: value}), HOST, V1)
    assert ([(s.file, s.value) for s in found], missing) == (v1 or [], [] if v1 else [directive])


def test_without_controllers_nothing_is_written_and_all_is_told() -> None:
    assert settings(unit(MemoryMax="1G", TasksMax="5"), HOST, {}) == ([], ["MemoryMax", "TasksMax"])


def test_an_empty_value_is_no_limit() -> None:
    assert wanted(unit(MemoryMax="")) == {}
    assert controllers(unit(MemoryMax="1G", CPUWeight="5")) == {"memory", "cpu"}


def test_period_of_the_quota() -> None:
    found, _ = settings(unit(CPUQuota="20%", CPUQuotaPeriodSec="10ms"), HOST, V2)
    assert [(s.file, s.value) for s in found] == [("cpu.max", "2000 10000")]


def test_a_unit_that_dies_as_a_whole() -> None:
    found, _ = settings(unit(policy="kill", MemoryMax="1M"), HOST, V2)
    assert ("memory.oom.group", "1") in [(s.file, s.value) for s in found]


@pytest.mark.parametrize(
    ("name", "slice", "chain"),
    [
        ("a.service", "", ("system.slice",)),
        ("a.service", "-.slice", ()),
        ("a.service", "web.slice", ("web.slice",)),
        ("a.service", "web-api-v1.slice", ("web.slice", "web-api.slice", "web-api-v1.slice")),
        ("web-api.slice", "", ("web.slice", "web-api.slice")),
    ],
)
def test_slices_above(name: str, slice: str, chain: tuple[str, ...]) -> None:
    assert slice_chain(unit(name, **({"Slice": slice} if slice else {}))) == chain

"""Resource control (systemd.resource-control(5))."""

from __future__ import annotations

from unitd.units.tables.row import noted, rows

#: name|kind|field|default|help. Honoured where the kernel's controller can be used; `status` and `start` say so where it cannot.
_HONOURED = """
Slice|slice||system.slice|The slice that the unit's processes are grouped under; limits of the slice hold for all of it.
"""
_PARTLY = """
MemoryMax|memorymax||infinity|Memory that the unit may use; above it the kernel kills (memory.max; memory.limit_in_bytes on cgroup v1).
MemoryHigh|memorymax||infinity|Memory above which the unit is slowed down (cgroup v2).
MemoryLow|memory||0|Memory that is taken from the unit last (cgroup v2).
MemoryMin|memory||0|Memory that is never taken from the unit (cgroup v2).
MemorySwapMax|memory||infinity|Swap that the unit may use (cgroup v2).
MemoryZSwapMax|memory||infinity|Compressed swap that the unit may use (cgroup v2).
MemoryLimit|memorymax||infinity|Old name of MemoryMax=.
CPUQuota|cpuquota|||Processor time that the unit may use, 100% being one CPU.
CPUQuotaPeriodSec|quotaperiod||100ms|Period over which CPUQuota= is counted.
CPUWeight|cpuweight||100|Share of the processor beside other units, 1 to 10000, or idle.
CPUShares|cpushares||1024|Old name of CPUWeight=.
TasksMax|tasks||infinity|How many processes and threads the unit may have.
IOWeight|ioweight||100|Share of disk time beside other units.
AllowedCPUs|cpus|||CPUs that the unit may run on.
AllowedMemoryNodes|cpus|||NUMA nodes that the unit may take memory from.
Delegate|delegate||no|The unit manages its own part of the cgroup tree: unitd leaves what is below alone.
"""
_NOTED = """
    MemoryAccounting     StartupCPUWeight CPUAccounting TasksAccounting IOAccounting IODeviceWeight IOReadBandwidthMax! IOWriteBandwidthMax! IOReadIOPSMax!
    IOWriteIOPSMax! BlockIOWeight BlockIOAccounting DelegateSubgroup DisableControllers IPAccounting
    IPAddressAllow! IPAddressDeny! IPIngressFilterPath! IPEgressFilterPath! BPFProgram! SocketBindAllow! SocketBindDeny! RestrictNetworkInterfaces!
    DevicePolicy! DeviceAllow! ManagedOOMSwap ManagedOOMMemoryPressure ManagedOOMMemoryPressureLimit ManagedOOMPreference MemoryPressureWatch
    MemoryPressureThresholdSec
"""
ROWS = (*rows("Resource", _HONOURED), *rows("Resource", _PARTLY, "partly"), *noted("Resource", _NOTED),)

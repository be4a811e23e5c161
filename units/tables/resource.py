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
MemoryAccounting|boolean|yes|Count memory.
CPUAccounting|boolean|no|Count processor time.
TasksAccounting|boolean|yes|Count processes and threads.
IOAccounting|boolean|no|Count disk traffic.
IPAccounting|boolean|no|Count network traffic.
BlockIOAccounting|boolean|no|Old name of IOAccounting=.
StartupCPUWeight|weight||CPUWeight= while the system starts.
StartupCPUShares|weight||CPUShares= while the system starts.
StartupIOWeight|weight||IOWeight= while the system starts.
StartupBlockIOWeight|weight||BlockIOWeight= while the system starts.
StartupAllowedCPUs|list of CPUs||AllowedCPUs= while the system starts.
StartupAllowedMemoryNodes|list of nodes||AllowedMemoryNodes= while the system starts.
DefaultMemoryMin|size||MemoryMin= of units below that have none.
DefaultMemoryLow|size||MemoryLow= of units below that have none.
IODeviceWeight|device weight||Share of time of one disk.
IODeviceLatencyTargetSec|device time span||Latency of one disk to aim at.
IOReadBandwidthMax!|device size||Bytes a second that may be read from a disk.
IOWriteBandwidthMax!|device size||Bytes a second that may be written to a disk.
IOReadIOPSMax!|device number||Reads a second from a disk.
IOWriteIOPSMax!|device number||Writes a second to a disk.
BlockIOWeight|weight||Old name of IOWeight=.
BlockIODeviceWeight|device weight||Old name of IODeviceWeight=.
BlockIOReadBandwidth!|device size||Old name of IOReadBandwidthMax=.
BlockIOWriteBandwidth!|device size||Old name of IOWriteBandwidthMax=.
DelegateSubgroup|text||Group below in which the process starts (since 254).
DisableControllers|words||Controllers that units below cannot have.
IPAddressAllow!|addresses||Addresses that may be talked to.
IPAddressDeny!|addresses||Addresses that may not be talked to.
IPIngressFilterPath!|path||BPF program for packets that come in.
IPEgressFilterPath!|path||BPF program for packets that go out.
BPFProgram!|word and path||BPF program of the control group.
SocketBindAllow!|rule||Ports that may be bound.
SocketBindDeny!|rule||Ports that may not be bound.
RestrictNetworkInterfaces!|words||Network interfaces that may be used.
DevicePolicy!|word|auto|Which devices may be used beside DeviceAllow=.
DeviceAllow!|device and rights||A device that may be used.
ManagedOOMSwap|word|auto|Whether systemd-oomd acts on full swap.
ManagedOOMMemoryPressure|word|auto|Whether systemd-oomd acts on memory pressure.
ManagedOOMMemoryPressureLimit|percentage|0|Pressure at which it acts.
ManagedOOMPreference|word|none|Whether it spares the unit.
MemoryPressureWatch|word|auto|Tell the service of memory pressure (since 254).
MemoryPressureThresholdSec|time span|200ms|Stall at which it is told.
"""
ROWS = (*rows("Resource", _HONOURED), *rows("Resource", _PARTLY, "partly"), *noted("Resource", _NOTED),)

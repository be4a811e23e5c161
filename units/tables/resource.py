"""Resource control (systemd.resource-control(5))."""

from __future__ import annotations

from unitd.units.tables.row import noted

_NOTED = """
    MemoryMax! MemoryHigh! MemoryLow MemoryMin MemorySwapMax! MemoryZSwapMax MemoryLimit! MemoryAccounting CPUQuota! CPUQuotaPeriodSec CPUWeight CPUShares
    StartupCPUWeight CPUAccounting TasksMax! TasksAccounting IOWeight IOAccounting IODeviceWeight IOReadBandwidthMax! IOWriteBandwidthMax! IOReadIOPSMax!
    IOWriteIOPSMax! BlockIOWeight BlockIOAccounting AllowedCPUs! AllowedMemoryNodes! Delegate DelegateSubgroup Slice DisableControllers IPAccounting
    IPAddressAllow! IPAddressDeny! IPIngressFilterPath! IPEgressFilterPath! BPFProgram! SocketBindAllow! SocketBindDeny! RestrictNetworkInterfaces!
    DevicePolicy! DeviceAllow! ManagedOOMSwap ManagedOOMMemoryPressure ManagedOOMMemoryPressureLimit ManagedOOMPreference MemoryPressureWatch
    MemoryPressureThresholdSec
"""
ROWS = (*noted("Resource", _NOTED),)

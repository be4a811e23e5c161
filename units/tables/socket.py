"""[Socket] (systemd.socket(5))."""

from __future__ import annotations

from unitd.units.tables.row import noted

_NOTED = """
    ListenStream ListenDatagram ListenSequentialPacket ListenFIFO ListenSpecial ListenNetlink ListenMessageQueue ListenUSBFunction SocketProtocol
    BindIPv6Only Backlog BindToDevice SocketUser SocketGroup SocketMode DirectoryMode Accept Writable FlushPending MaxConnections MaxConnectionsPerSource
    KeepAlive KeepAliveTimeSec KeepAliveIntervalSec KeepAliveProbes NoDelay Priority DeferAcceptSec ReceiveBuffer SendBuffer IPTOS IPTTL Mark ReusePort
    SmackLabel PipeSize MessageQueueMaxMessages FreeBind Transparent Broadcast PassCredentials PassSecurity PassPacketInfo Timestamping TCPCongestion
    ExecStartPre ExecStartPost ExecStopPre ExecStopPost TimeoutSec Service RemoveOnStop Symlinks FileDescriptorName TriggerLimitIntervalSec
    TriggerLimitBurst PollLimitIntervalSec PollLimitBurst PassFileDescriptorsToExec
"""
ROWS = (*noted("Socket", _NOTED),)

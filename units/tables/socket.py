"""[Socket] (systemd.socket(5))."""

from __future__ import annotations

from unitd.units.tables.row import noted, rows

_HONOURED = """
ListenStream|listen:stream|socket.listeners||Listen for connections: a port, ADDRESS:PORT, /path or @name.
ListenDatagram|listen:datagram|socket.listeners||Receive datagrams at an address.
ListenSequentialPacket|listen:seqpacket|socket.listeners||Listen for sequential-packet connections at a unix address.
ListenFIFO|listen:fifo|socket.listeners||Read from a FIFO, made if need be.
ListenSpecial|listen:special|socket.listeners||Open a special file.
ListenNetlink|listen:netlink|socket.listeners||Listen on a netlink family and group.
SocketProtocol|socketprotocol|socket.protocol||Another protocol than the usual one: udplite, sctp or mptcp.
BindIPv6Only|bindipv6only|socket.bind_ipv6_only|default|Whether an IPv6 socket takes IPv4 connections too.
Backlog|uint|socket.backlog|2147483647|Connections that may wait to be accepted.
BindToDevice|str|socket.bind_to_device||Network interface to bind to.
SocketUser|str|socket.user||Owner of the node in the file system.
SocketGroup|str|socket.group||Group of the node in the file system.
SocketMode|mode|socket.mode|0666|Mode of the node in the file system.
DirectoryMode|mode|socket.directory_mode|0755|Mode of directories that are made on the way.
Accept|bool|socket.accept|no|Start one instance of NAME@.service for each connection.
Writable|bool|socket.writable|no|Open ListenSpecial= for writing too.
FlushPending|bool|socket.flush_pending|no|Throw away what waits before listening again.
MaxConnections|uint|socket.max_connections|64|Connections at a time with Accept=yes.
MaxConnectionsPerSource|uint|socket.max_connections_per_source|0|Connections at a time of one address or user; 0: no limit.
KeepAlive|bool|socket.keep_alive|no|TCP keep-alive (SO_KEEPALIVE).
KeepAliveTimeSec|span|socket.keep_alive_time||Idle time before the first probe.
KeepAliveIntervalSec|span|socket.keep_alive_interval||Time between probes.
KeepAliveProbes|uint|socket.keep_alive_probes||Probes without an answer before the connection is dropped.
NoDelay|bool|socket.no_delay|no|No Nagle algorithm (TCP_NODELAY).
Priority|int:0:2147483647|socket.priority||SO_PRIORITY.
DeferAcceptSec|span|socket.defer_accept||Count a connection only once data has come (TCP_DEFER_ACCEPT).
ReceiveBuffer|bytes|socket.receive_buffer||Size of the receive buffer.
SendBuffer|bytes|socket.send_buffer||Size of the send buffer.
IPTOS|iptos|socket.ip_tos||Type of service of packets: a number or low-delay, throughput, reliability, low-cost.
IPTTL|int:1:255|socket.ip_ttl||Time to live of packets.
Mark|int:0:2147483647|socket.mark||Firewall mark of packets (SO_MARK).
ReusePort|bool|socket.reuse_port|no|Several sockets on one port (SO_REUSEPORT).
PipeSize|bytes|socket.pipe_size||Size of the FIFO's buffer.
FreeBind|bool|socket.free_bind|no|Bind to an address that no interface has yet.
Transparent|bool|socket.transparent|no|IP_TRANSPARENT.
Broadcast|bool|socket.broadcast|no|Allow broadcast datagrams.
PassCredentials|bool|socket.pass_credentials|no|SO_PASSCRED.
PassSecurity|bool|socket.pass_security|no|SO_PASSSEC.
PassPacketInfo|bool|socket.pass_packet_info|no|Packet information with each datagram.
Timestamping|timestamping|socket.timestamping|off|Timestamps with each datagram: off, us or ns.
TCPCongestion|str|socket.tcp_congestion||TCP congestion algorithm.
ExecStartPre|command|socket.exec_start_pre||Runs before the sockets are made.
ExecStartPost|command|socket.exec_start_post||Runs once the sockets are made.
ExecStopPre|command|socket.exec_stop_pre||Runs before the sockets are closed.
ExecStopPost|command|socket.exec_stop_post||Runs after the sockets are closed.
TimeoutSec|timeout|socket.timeout|90s|How long each of these commands may take.
Service|socketservice|socket.service||Service to start; default: the one of the same name.
RemoveOnStop|bool|socket.remove_on_stop|no|Remove the node and the symlinks at stop.
Symlinks|symlinks|socket.symlinks||Symlinks to the node.
FileDescriptorName|fdname|socket.fd_name||Name in LISTEN_FDNAMES; default: the unit's name.
TriggerLimitIntervalSec|span|socket.trigger_limit_interval|2s|Window of the trigger limit; 0 switches it off.
TriggerLimitBurst|uint|socket.trigger_limit_burst||Activations in the window before the socket fails; default 20, 200 with Accept=yes.
PollLimitIntervalSec|span|socket.poll_limit_interval|2s|Window of the poll limit.
PollLimitBurst|uint|socket.poll_limit_burst|0|Wake-ups in the window before the socket rests until its end; default: no limit.
PassFileDescriptorsToExec|bool|socket.pass_fds_to_exec|no|Pass the sockets to ExecStartPost=, ExecStopPre= and ExecStopPost= too.
"""
_NOTED = """
ListenMessageQueue|path||POSIX message queue to listen on.
ListenUSBFunction|path||USB gadget function to listen on.
MessageQueueMaxMessages|number||Length of the message queue.
MessageQueueMessageSize|size||Size of its messages.
SmackLabel|text||SMACK label of the socket's file.
SmackLabelIPIn|text||SMACK label of packets that come in.
SmackLabelIPOut|text||SMACK label of packets that go out.
SELinuxContextFromNet|boolean|no|Take the SELinux context from the peer.
"""
ROWS = (*rows("Socket", _HONOURED), *noted("Socket", _NOTED))

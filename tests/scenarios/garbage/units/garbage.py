"""Throws at the bus what no client would send."""

import os
import socket

import zmq

path = os.environ["BUS"].removeprefix("ipc://")
context = zmq.Context()
dealer = context.socket(zmq.DEALER)
dealer.linger = 1000
dealer.connect(os.environ["BUS"])
for frames in (
    [b""],
    [b"not json"],
    [b"{}"],
    [b"[]"],
    [b"null"],
    [b'{"verb": 7}'],
    [b'{"verb": "start", "units": "web"}'],
    [b'{"verb": "__init__", "units": []}'],
    [b'{"verb": "show", "units": ["../../etc/passwd"]}'],
    [b'{"verb": "ping", "version": 99}'],
    [b"\xff\xfe\x00" * 1000],
    [b"[" * 100000],
    [b"a", b"b", b"c", b""],
    [b"x" * (1 << 20)],
):
    dealer.send_multipart(frames)
for pair in (zmq.REQ, zmq.SUB):
    other = context.socket(pair)
    other.linger = 0
    other.connect(os.environ["BUS"])
    if pair == zmq.REQ:
        other.send(b"hello")
    other.close()
dealer.close()
context.term()
for data in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\xff\0\0\0\0\0\0\0\x01\x7f" + b"\0" * 54, os.urandom(4096)):
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(path)
        try:
            raw.sendall(data)
        except OSError:
            pass
print("thrown")

"""Says READY=1 and a status, and another status after SIGHUP."""

import os
import signal
import socket


def say(text: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])


signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
say("READY=1\nSTATUS=serving")
while True:
    signal.sigwait({signal.SIGHUP})
    say("STATUS=serving what is new")

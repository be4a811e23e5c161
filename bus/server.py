"""The manager's end of the bus: a ROUTER for requests and an XPUB for events, on raw zmq sockets in the asyncio loop.

zmq's FD is edge-triggered and any send may eat an edge: after every send outside of the readers they are run once more, and
they read until EAGAIN, within a budget, so that a flooding client cannot own the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import zmq

from unitd.bus.messages import BadMessage, OutgoingEvent, Reply, Request, decode_request, encode, failed

log = logging.getLogger(__name__)

BUDGET = 64
MAX_PENDING = 4096
MAX_MESSAGE = 256 * 1024
#: Events that one subscriber may lag behind: a burst of a thousand units fits, and costs a stuck one a megabyte.
MAX_EVENTS = 2000
SYNC = b"sync."
_send = zmq.backend.Socket.send
_MORE, _NOBLOCK = int(zmq.SNDMORE | zmq.NOBLOCK), int(zmq.NOBLOCK)
_PEER = re.compile(r"localhost:(\d+):(\d+):(\d+)")


@dataclass(frozen=True)
class Peer:
    """Who connected, as the kernel says (SO_PEERCRED at connect time)."""

    uid: int
    gid: int
    pid: int


def peer_of(address: str) -> Peer | None:
    """Parse the `Peer-Address` of a frame from a socket that is bound to ipc:// alone. None: unknown, to be refused."""
    match = _PEER.fullmatch(address)
    return Peer(int(match[1]), int(match[2]), int(match[3])) if match else None


class BusServer:
    """Serves requests with `handle`, each in a task of its own, and publishes events.

    Only root and the manager's own user are served. Garbage is answered or dropped, never raised.
    """

    def __init__(self, runtime_dir: str, loop: asyncio.AbstractEventLoop, handle: Callable[[Request, Peer], Awaitable[Reply]]) -> None:
        self.bus_path, self.events_path = os.path.join(runtime_dir, "bus"), os.path.join(runtime_dir, "events")
        self._loop, self._handle = loop, handle
        self._allowed = {0, os.getuid()}
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router: zmq.Socket[bytes] | None = None
        self._events: zmq.Socket[bytes] | None = None
        self._tasks: dict[asyncio.Task[None], tuple[list[bytes], str]] = {}
        self._sequence: dict[str, tuple[int, int]] = {}  # topic -> seq and position of its last event
        self.position = 0
        self.instance = uuid.uuid4().hex[:16]
        self.on_subscriptions: Callable[[], None] = lambda: None
        self.on_event: Callable[[dict[str, Any]], None] = lambda data: None
        self.on_served: Callable[[str, float, bool], None] = lambda verb, seconds, ok: None
        self._subscriptions: set[bytes] = set()
        self._drain_due = False

    @property
    def endpoint(self) -> str:
        """What clients connect to."""
        return "ipc://" + self.bus_path

    def start(self, bus_fd: int = -1, events_fd: int = -1) -> None:
        """Bind both sockets, in the place of stale ones, and read them. Raises OSError.

        The descriptors are listening sockets at the two paths that are there already; they are taken over.
        """
        os.makedirs(os.path.dirname(self.bus_path), mode=0o750, exist_ok=True)
        self._router = self._bind(zmq.ROUTER, self.bus_path, bus_fd)
        self._events = self._bind(zmq.XPUB, self.events_path, events_fd)
        self._loop.add_reader(self._router.FD, self._read_requests)
        self._loop.add_reader(self._events.FD, self._read_subscriptions)
        self._drain_soon()

    def _bind(self, kind: int, path: str, fd: int) -> zmq.Socket[bytes]:
        sock = self._context.socket(kind)
        sock.set(zmq.LINGER, 0)
        sock.set(zmq.SNDHWM, MAX_EVENTS if kind == zmq.XPUB else 100)
        sock.set(zmq.MAXMSGSIZE, MAX_MESSAGE)
        sock.set(zmq.BACKLOG, 1024)
        sock.set(zmq.HANDSHAKE_IVL, 2000)
        if kind == zmq.ROUTER:
            sock.set(zmq.ROUTER_MANDATORY, 1)
        if fd >= 0:
            sock.set(zmq.USE_FD, fd)
        before = os.umask(0o117)
        try:
            sock.bind("ipc://" + path)
        except zmq.ZMQError as error:
            sock.close()
            raise OSError(error.errno, f"cannot open the bus: {error.strerror}", path) from None
        finally:
            os.umask(before)
        return sock

    # -- requests

    def _read_requests(self) -> None:
        for _ in range(BUDGET):
            if self._router is None:
                return
            try:
                frame = self._router.recv(zmq.NOBLOCK, copy=False)
                parts = [frame]
                while frame.more:
                    frame = self._router.recv(zmq.NOBLOCK, copy=False)
                    if len(parts) < 4:
                        parts.append(frame)
            except zmq.Again:
                return
            except zmq.ZMQError as error:
                log.error("cannot read from the bus: %s", error)
                return
            self._request(parts)
        self._loop.call_soon(self._read_requests)

    def _request(self, parts: list[zmq.Frame]) -> None:
        """One message: [identity, request], with an empty frame between for REQ clients."""
        envelope = [bytes(parts[0].buffer)]
        if len(parts) == 3 and not len(parts[1]):
            envelope.append(b"")
        elif len(parts) != 2:
            return self._answer(
                envelope, failed("", "bad-request", f"cannot read a message of {len(parts)} frames", "send one frame of JSON")
            )
        try:
            address = parts[-1].get("Peer-Address")
            peer = peer_of(address if isinstance(address, str) else "")
        except zmq.ZMQError:
            peer = None
        try:
            request = decode_request(bytes(parts[-1].buffer))
        except BadMessage as error:
            return self._answer(envelope, failed("", "bad-request", str(error), 'requests look like {"verb": "ping"}'))
        if peer is None or peer.uid not in self._allowed:
            who = "an unknown user" if peer is None else f"user {peer.uid}"
            return self._answer(
                envelope, failed(request.id, "permission", f"cannot serve {who}: permission denied", "use root or unitd's own user", 4)
            )
        if len(self._tasks) >= MAX_PENDING:
            return self._answer(
                envelope, failed(request.id, "busy", "cannot take more requests, because too many are waiting", "try again later")
            )
        task = self._loop.create_task(self._serve(envelope, request, peer))
        self._tasks[task] = (envelope, request.id)
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return None

    async def _serve(self, envelope: list[bytes], request: Request, peer: Peer) -> None:
        began = time.monotonic()
        try:
            reply = await self._handle(request, peer)
        except Exception:  # last line of defence: a bug in one verb must not cost the manager, or leave its client waiting
            log.exception("a request (%s) could not be served", request.verb)
            reply = failed(request.id, "internal", f"cannot {request.verb}, because of an error in unitd", "its log has the details")
        reply.id = request.id
        self._answer(envelope, reply)
        self.on_served(request.verb, time.monotonic() - began, reply.ok)
        self._drain_soon()

    def _answer(self, envelope: list[bytes], reply: Reply) -> None:
        if self._router is None:
            return
        try:
            body = encode(reply)
        except (TypeError, ValueError, RecursionError) as error:
            log.error("a reply cannot be encoded: %s", error)
            body = encode(failed(reply.id, "internal", "cannot encode the answer, because of an error in unitd", "its log has the details"))
        # gone (EHOSTUNREACH) or not reading (EAGAIN): nobody is there to be told
        with contextlib.suppress(zmq.ZMQError):
            self._router.send_multipart([*envelope, body], zmq.NOBLOCK)

    # -- events

    def _read_subscriptions(self) -> None:
        for _ in range(BUDGET):
            if self._events is None:
                return
            try:
                frame = self._events.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            except zmq.ZMQError as error:
                log.error("cannot read subscriptions: %s", error)
                return
            if frame[:1] == b"\x01" and frame[1:].startswith(SYNC):
                self._send_event(frame[1:], OutgoingEvent(0, {"instance": self.instance}, self.position))
            elif frame[:1] == b"\x01":
                self._subscriptions.add(frame[1:])
                self.on_subscriptions()
            elif frame[:1] == b"\x00":
                self._subscriptions.discard(frame[1:])
                self.on_subscriptions()
        self._loop.call_soon(self._read_subscriptions)

    def subscribed(self, prefix: str) -> bool:
        """Does anybody listen to a topic that begins with `prefix`?"""
        raw = prefix.encode()
        return any(s.startswith(raw) or raw.startswith(s) for s in self._subscriptions)

    def topics(self) -> list[str]:
        """Beginnings of topics that somebody subscribed to."""
        return [s.decode("utf-8", "replace") for s in self._subscriptions]

    def publish(self, topic: str, data: dict[str, Any] | msgspec.Struct) -> None:
        """Tell subscribers; who does not keep up loses events and sees it by `seq`. Costs next to nothing without subscribers."""
        if isinstance(data, dict):
            self.on_event(data)
        seq, previous = self._sequence.get(topic, (0, 0))
        self.position += 1
        self._sequence[topic] = (seq + 1, self.position)
        self._send_event(topic.encode("utf-8", "backslashreplace"), OutgoingEvent(seq + 1, data, self.position, previous))

    def forget(self, unit: str) -> None:
        """The unit is gone: its topics begin anew, should it come back."""
        for topic in (f"unit.{unit}", f"job.{unit}", f"log.{unit}", f"stats.{unit}"):
            self._sequence.pop(topic, None)

    def _send_event(self, topic: bytes, body: OutgoingEvent) -> None:
        if self._events is None:
            return
        try:
            # sent even if no subscription was read yet: the socket knows them before we do, and drops what nobody wants
            # (the backend's send: the friendly one takes as long as all the rest of an event)
            raw = encode(body)
            _send(self._events, topic, _MORE)
            _send(self._events, raw, _NOBLOCK)
        except (zmq.ZMQError, TypeError, ValueError) as error:
            log.error("cannot publish %s: %s", topic.decode("utf-8", "replace"), error)
        self._drain_soon()

    def _drain_soon(self) -> None:
        if not self._drain_due:
            self._drain_due = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._drain_due = False
        self._read_requests()
        self._read_subscriptions()

    # -- end

    def close(self) -> None:
        """Answer what is still waiting with an error and close both sockets."""
        for task, (envelope, request_id) in list(self._tasks.items()):
            task.cancel()
            self._answer(envelope, failed(request_id, "shutting-down", "unitd is shutting down", ""))
        self._tasks.clear()
        for sock in (self._router, self._events):
            if sock is not None:
                self._loop.remove_reader(sock.FD)
                sock.close(linger=200)
        self._router = self._events = None
        self._context.term()

"""The subscriber's end of the events, for programs: reconnects by itself, and says what it may have missed."""

from __future__ import annotations

import errno
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from unitd.bus import endpoint as endpoints
from unitd.bus import events as typed
from unitd.bus.connecting import GRACE, PATIENCE, Unreachable, connect, hint, misunderstood, why
from unitd.bus.messages import BadMessage, decode_event
from unitd.bus.zmtp import Connection

#: The manager answers a subscription to a topic that begins so with one event on it: all subscriptions before it are in force then.
SYNC = "sync."
SYNC_PATIENCE = 15.0


@dataclass(frozen=True)
class RawEvent:
    """One event as it came. `gap`: events of this topic before it were lost. After a reconnect comes one with the topic "bus.reconnected"."""

    topic: str
    seq: int
    data: dict[str, Any]
    gap: bool = False


class Feed:
    """A subscribed connection that is made again when the manager was replaced. Base of `Subscription` and `Events`.

    From the constructor's return on no event of the topics is missed unseen. Not for several threads. Raises Unreachable.
    """

    def __init__(self, endpoint: str, topics: Sequence[str]) -> None:
        self.endpoint, self._topics = endpoint, list(topics)
        self._path = endpoints.events_path(endpoint)
        self.instance = ""
        self.start = 0  # position of the manager's counter when the subscription came into force
        self._early: deque[list[bytes]] = deque()
        self._connection = self._subscribe(GRACE)

    def _subscribe(self, patience: float) -> Connection:
        """The manager may be replaced between any two steps: then once more."""
        end = time.monotonic() + patience
        while True:
            self._early.clear()
            connection = connect(self._path, "SUB", self.endpoint, max(GRACE, end - time.monotonic()) if patience > GRACE else GRACE)
            try:
                self._synchronise(connection)
                return connection
            except OSError as error:
                connection.close()
                if time.monotonic() > end:
                    raise Unreachable(f"cannot subscribe at unitd at {self.endpoint}: {why(error)}", hint(error)) from None
                time.sleep(0.02)
            except BadMessage as error:
                connection.close()
                raise misunderstood(self.endpoint, error) from None

    def _synchronise(self, connection: Connection) -> None:
        sync = f"{SYNC}{os.urandom(8).hex()}".encode()
        for topic in (*(t.encode() for t in self._topics), sync):
            connection.send(b"\x01" + topic)
        end = time.monotonic() + SYNC_PATIENCE
        while True:
            message = connection.receive(max(0.0, end - time.monotonic()))
            if message is None:
                raise TimeoutError(errno.ETIMEDOUT, "it does not answer")
            if message[0] == sync:
                break
            self._early.append(message)
        connection.send(b"\x00" + sync)
        body = decode_event(message[-1])
        self.instance, self.start = str(body.data.get("instance", "")), body.position

    def fileno(self) -> int:
        """For select, epoll and add_reader: readable means call `next_event(0)` until it returns None."""
        return self._connection.fileno()

    def _receive(self, timeout: float | None) -> list[bytes] | None:
        """The next message. None: none came in time. Raises OSError when the manager went away: `_again` is next."""
        if self._early:
            return self._early.popleft()
        return self._connection.receive(timeout)

    def _again(self) -> None:
        """Subscribe at the manager that follows."""
        self._connection.close()
        self._connection = self._subscribe(PATIENCE)

    def close(self) -> None:
        """End the subscription."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Subscription(Feed):
    """Events as they come on the wire, for topics of any kind."""

    def __init__(self, endpoint: str, topics: Sequence[str]) -> None:
        super().__init__(endpoint, topics)
        self._seen: dict[str, int] = {}

    def next_event(self, timeout: float | None = None) -> RawEvent | None:
        """The next event, None when none came in time. Raises Unreachable when the manager is gone and stays away, BusError."""
        try:
            message = self._receive(timeout)
        except OSError:
            self._again()
            self._seen.clear()
            return RawEvent("bus.reconnected", 0, {}, True)
        if message is None or len(message) != 2:
            return None
        try:
            body = decode_event(message[1])
        except BadMessage as error:
            raise misunderstood(self.endpoint, error) from None
        topic = message[0].decode("utf-8", "replace")
        last = self._seen.get(topic)
        self._seen[topic] = body.seq
        return RawEvent(topic, body.seq, body.data, last is not None and body.seq != last + 1)

    def __iter__(self) -> Iterator[RawEvent]:
        while True:
            event = self.next_event()
            if event is not None:
                yield event


class Events(Feed):
    """Typed events whose topics match patterns (`events.matches`): iterate, or call `next_event`.

    A `Gap` comes before an event that follows lost ones, and after a reconnect; then also ManagerEvent "started" if the manager is another.
    """

    def __init__(self, endpoint: str, patterns: Sequence[str]) -> None:
        self._patterns = list(patterns)
        self._exact = all(typed.prefix(p) == p for p in patterns)
        self._ready: deque[typed.Event] = deque()
        self._positions: dict[str, tuple[int, int]] = {}  # topic -> position and seq of its last event
        super().__init__(endpoint, list(dict.fromkeys(typed.prefix(p) for p in patterns)))

    def next_event(self, timeout: float | None = None) -> typed.Event | None:
        """The next event, None when none came in time. Raises Unreachable when the manager is gone and stays away, BusError."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self._ready:
            try:
                message = self._receive(None if end is None else max(0.0, end - time.monotonic()))
            except OSError:
                self._reconnect()
                break
            if message is None:
                return None
            self._take(message)
        return self._ready.popleft()

    def _reconnect(self) -> None:
        before = self.instance
        self._again()
        self._positions.clear()
        now = time.time()
        self._ready.append(typed.Gap(time=now, reason="reconnected"))
        if self.instance != before:
            self._ready.append(typed.ManagerEvent(time=now, topic="manager.started", what="started", instance=self.instance))

    def _take(self, message: list[bytes]) -> None:
        if len(message) != 2:
            return
        topic = message[0].decode("utf-8", "replace")
        if not self._exact and not typed.matches(topic, self._patterns):
            return
        try:
            event, previous = typed.decode(topic, message[1])
        except BadMessage as error:
            raise misunderstood(self.endpoint, error) from None
        position, seq = self._positions.get(topic, (self.start, 0))
        if previous > position:
            self._ready.append(
                typed.Gap(unit=event.unit, time=event.time, topic=topic, seq=event.seq, position=event.position, missed=event.seq - seq - 1 if seq else 0)
            )
        self._positions[topic] = (event.position, event.seq)
        self._ready.append(event)

    def __iter__(self) -> Iterator[typed.Event]:
        while True:
            event = self.next_event()
            if event is not None:
                yield event

"""What `unitctl top` hears and asks, in threads of its own: the screen never waits for the manager."""

from __future__ import annotations

import os
import queue
import select
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unitd.bus import events as bus
from unitd.bus.client import BusError, Client
from unitd.bus.logread import Follower

TOPICS = ("unit.", "job.", "stats.", "manager.")
#: Seconds before a manager that stays away is looked for again.
AGAIN = 1.0
#: Lines of output that are kept, and read at first.
OUTPUT_LINES, FIRST_LINES = 2000, 200


@dataclass(frozen=True)
class Picture:
    """A snapshot arrived."""

    position: int
    units: list[dict[str, Any]]


@dataclass(frozen=True)
class Lost:
    """No manager answers."""

    why: str


@dataclass(frozen=True)
class Said:
    """An action is over."""

    text: str
    good: bool


@dataclass(frozen=True)
class Output:
    """New output of a unit."""

    unit: str
    lines: list[str]


Item = bus.Event | Picture | Lost | Said | Output


class Inbox:
    """A queue whose other end can wait for it in select."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def fileno(self) -> int:
        """Readable when something is there."""
        return self._reader

    @property
    def wakeup(self) -> int:
        """A descriptor that wakes the reader when something is written to it."""
        return self._writer

    def put(self, item: Item) -> None:
        """From any thread."""
        self._items.put(item)
        self.wake()

    def wake(self) -> None:
        """Make it readable; a full pipe is so already."""
        try:
            os.write(self._writer, b"x")
        except BlockingIOError:
            return

    def take(self) -> list[Item]:
        """All that is there."""
        try:
            while len(os.read(self._reader, 65536)) == 65536:
                continue
        except BlockingIOError:
            pass
        found: list[Item] = []
        try:
            while True:
                found.append(self._items.get_nowait())
        except queue.Empty:
            return found


class Feed(threading.Thread):
    """Events and snapshots into the inbox, for as long as the program runs."""

    def __init__(self, endpoint: str, inbox: Inbox, topics: Sequence[str] = TOPICS) -> None:
        super().__init__(name="events", daemon=True)
        self.endpoint, self.inbox, self.topics = endpoint, inbox, topics
        self._pause = threading.Event()

    def run(self) -> None:
        """Subscribe, ask for a snapshot, pass on what comes; again and again when there is no manager."""
        while True:
            try:
                with Client(self.endpoint, timeout=20) as client, client.events(self.topics) as events:
                    self._picture(client)
                    for event in events:
                        self.inbox.put(event)
                        if isinstance(event, bus.Gap) or (isinstance(event, bus.Reloaded) and not event.unit):
                            self._picture(client)
            except BusError as error:
                self.inbox.put(Lost(str(error)))
            except OSError as error:
                self.inbox.put(Lost(error.strerror or str(error)))
            self._pause.wait(AGAIN)

    def _picture(self, client: Client) -> None:
        snapshot = client.snapshot()
        self.inbox.put(Picture(snapshot.position, snapshot.units))


class Worker(threading.Thread):
    """Carries out actions one after the other."""

    def __init__(self, endpoint: str, inbox: Inbox) -> None:
        super().__init__(name="actions", daemon=True)
        self.endpoint, self.inbox = endpoint, inbox
        self._todo: queue.SimpleQueue[tuple[str, str, dict[str, Any]]] = queue.SimpleQueue()

    def ask(self, verb: str, unit: str, **options: Any) -> None:
        """Queue an action."""
        self._todo.put((verb, unit, options))

    def run(self) -> None:
        """Never ends."""
        while True:
            verb, unit, options = self._todo.get()
            try:
                with Client(self.endpoint, timeout=60) as client:
                    reply = client.call(verb, [unit], **options)
                text = reply.err.strip().splitlines()
                self.inbox.put(Said(f"{verb} {unit}: {text[0] if text else 'asked for' if reply.ok else 'failed'}", reply.exit_code == 0))
            except (BusError, OSError) as error:
                self.inbox.put(Said(f"{verb} {unit}: {error}", False))


class OutputFeed(threading.Thread):
    """Follows the output of one unit at a time."""

    def __init__(self, endpoint: str, inbox: Inbox) -> None:
        super().__init__(name="output", daemon=True)
        self.endpoint, self.inbox = endpoint, inbox
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC)
        self._unit = ""

    def watch(self, unit: str) -> None:
        """Follow `unit` from now on, nothing with an empty name."""
        self._unit = unit
        os.write(self._writer, b"x")

    def run(self) -> None:
        """Never ends."""
        while True:
            os.read(self._reader, 4096)
            while unit := self._unit:
                try:
                    changed = self._follow(unit)
                except (BusError, OSError) as error:
                    self.inbox.put(Output(unit, [f"-- cannot follow the output: {error}"]))
                    changed = bool(select.select([self._reader], [], [], AGAIN)[0])
                if changed:
                    os.read(self._reader, 4096)

    def _follow(self, unit: str) -> bool:
        """Until another unit is wanted."""
        with Client(self.endpoint, timeout=20) as client, client.events([f"log.{unit}", "manager."]) as events:
            found = client.check("logs", [unit]).data or []
            follower = Follower(str(found[0]["dir"]), last=FIRST_LINES) if found else None
            while True:
                if follower is not None:
                    lines = [line.text.rstrip(b"\n").decode("utf-8", "replace") for line in follower.read_new()]
                    if lines:
                        self.inbox.put(Output(unit, lines[-OUTPUT_LINES:]))
                if self._reader in select.select([events.fileno(), self._reader], [], [])[0]:
                    return True
                while events.next_event(0) is not None:
                    continue


class Tail:
    """The last lines of output that were heard of."""

    def __init__(self) -> None:
        self.unit = ""
        self.lines: deque[str] = deque(maxlen=OUTPUT_LINES)

    def show(self, unit: str) -> None:
        """Begin anew with this unit."""
        self.unit = unit
        self.lines.clear()

    def add(self, output: Output) -> None:
        """Lines of another unit come too late."""
        if output.unit == self.unit:
            self.lines.extend(output.lines)

"""The bus end to end, over real sockets: server, client, events, garbage."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import zmq

from unitd.bus.client import BusError, CallFailed, Client, Unreachable
from unitd.bus.endpoint import BadEndpoint, find, runtime_dir
from unitd.bus.messages import BadMessage, Reply, Request, decode_reply, decode_request, encode, failed
from unitd.bus.server import BusServer, Peer, peer_of


class Manager:
    """A BusServer in a loop of its own thread, with a handler that tests steer."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.requests: list[Request] = []
        self.peers: list[Peer] = []
        self.loop = asyncio.new_event_loop()
        self.release = asyncio.Event()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self.run(lambda: BusServer(str(directory), self.loop, self.handle))
        self.run(self.server.start)

    def run(self, function: Callable[[], Any]) -> Any:
        """Call in the loop's thread."""
        done: Future[Any] = Future()

        def call() -> None:
            try:
                done.set_result(function())
            except BaseException as error:
                done.set_exception(error)

        self.loop.call_soon_threadsafe(call)
        return done.result(10)

    async def handle(self, request: Request, peer: Peer) -> Reply:
        if request.verb != "ping":
            self.requests.append(request)
            self.peers.append(peer)
        if request.verb == "start":
            await self.release.wait()
        if request.verb == "boom":
            raise RuntimeError("boom")
        if request.verb == "surrogate":
            return Reply("", True, data=[{"path\udcff": "a\udc80b"}])
        if request.verb == "odd":
            return Reply("", True, data=object())
        if request.verb == "refuse":
            return failed("", "refused", "cannot do it", "do something else", 4)
        return Reply("", True, out=f"{request.verb} {' '.join(request.units)}\n", data={"options": request.options})

    def close(self) -> None:
        self.run(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


def ask(manager: Manager, verb: str, *units: str) -> Reply:
    """One call over a connection of its own."""
    with Client(manager.server.endpoint) as client:
        return client.call(verb, units)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "run")
    yield made
    made.close()


@pytest.fixture
def client(manager: Manager) -> Iterator[Client]:
    with Client(manager.server.endpoint, timeout=10) as made:
        yield made


def test_a_request_is_answered(manager: Manager, client: Client) -> None:
    reply = client.call("is-active", ["a.service", "b.service"], quiet=True, other=None)
    assert (reply.ok, reply.out, reply.data) == (True, "is-active a.service b.service\n", {"options": {"quiet": True}})


def test_the_peer_is_known_by_the_kernel(manager: Manager, client: Client) -> None:
    client.call("status")
    assert manager.peers == [Peer(os.getuid(), os.getgid(), os.getpid())]


def test_sockets_and_directory_have_narrow_modes(manager: Manager) -> None:
    assert stat.S_IMODE(os.stat(manager.directory).st_mode) == 0o750
    assert [stat.S_IMODE(os.stat(manager.directory / name).st_mode) for name in ("bus", "events")] == [0o660, 0o660]


def test_a_slow_request_holds_up_nobody(manager: Manager, client: Client) -> None:
    slow: list[Reply] = []
    waiting = threading.Thread(target=lambda: slow.append(ask(manager, "start", "web.service")))
    waiting.start()
    while not manager.requests:
        client.call("ping")
    assert client.call("status").ok and not slow
    manager.loop.call_soon_threadsafe(manager.release.set)
    waiting.join(10)
    assert slow[0].out == "start web.service\n"


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "bus"))
    stale.close()
    made = Manager(tmp_path)
    assert ask(made, "x").ok
    made.close()


def test_a_job_verb_is_sent_again_to_the_next_manager(tmp_path: Path) -> None:
    first = Manager(tmp_path / "run")
    replies: list[Reply] = []
    waiting = threading.Thread(target=lambda: replies.append(ask(first, "start", "web.service")))
    waiting.start()
    with Client(first.server.endpoint) as other:
        while not first.requests:
            other.call("ping")
    first.run(first.server._tasks.clear)  # as after SIGKILL: nobody is told
    first.close()
    second = Manager(tmp_path / "run")
    second.loop.call_soon_threadsafe(second.release.set)
    waiting.join(20)
    assert replies[0].ok and [r.units for r in second.requests] == [["web.service"]]
    assert first.requests[0].id == second.requests[0].id
    second.close()


def test_closing_answers_who_waits(tmp_path: Path) -> None:
    made = Manager(tmp_path / "run")
    replies: list[Reply] = []
    waiting = threading.Thread(target=lambda: replies.append(ask(made, "start")))
    waiting.start()
    with Client(made.server.endpoint) as other:
        while not made.requests:
            other.call("ping")
    made.close()
    waiting.join(10)
    assert replies[0].error is not None and replies[0].error.code == "shutting-down"


def test_no_manager_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="cannot reach unitd at ipc://.*bus: No such file") as caught:
        Client(f"ipc://{tmp_path}/bus").call("ping")
    assert "is unitd running?" in caught.value.hint


def test_a_bug_in_a_verb_is_an_error_reply_and_a_traceback_in_the_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    reply = client.call("boom")
    assert reply.error is not None and (reply.ok, reply.error.code) == (False, "internal")
    assert client.call("status").ok
    [record] = [r for r in caplog.records if r.name == "unitd.bus.server" and r.levelname == "ERROR"]
    assert record.getMessage() == "a request (boom) could not be served"
    assert record.exc_info is not None and isinstance(record.exc_info[1], RuntimeError)


def test_replies_that_json_cannot_hold(client: Client) -> None:
    assert client.call("surrogate").data == [{"path\\udcff": "a\\udc80b"}]
    odd = client.call("odd")
    assert odd.error is not None and odd.error.code == "internal"


def test_check_raises_what_the_manager_refused(client: Client) -> None:
    with pytest.raises(CallFailed, match="cannot do it") as caught:
        client.check("refuse")
    assert (caught.value.reply.exit_code, caught.value.hint, caught.value.reply.err) == (
        4,
        "do something else",
        "cannot do it (do something else)\n",
    )


def test_large_messages_pass_and_too_large_ones_do_not_harm(manager: Manager, client: Client) -> None:
    names = [f"unit-{i:05d}.service" for i in range(5000)]
    assert client.call("status", names).out == "status " + " ".join(names) + "\n"
    with pytest.raises(BusError, match="name fewer|the limit"):
        client.call("status", ["x" * 300_000])
    with zmq.Context() as context:
        sock = context.socket(zmq.DEALER)
        sock.set(zmq.LINGER, 0)
        sock.connect(manager.server.endpoint)
        sock.send(b"x" * 3_000_000)
        sock.close()
    assert client.call("status").ok


# -- events


def test_events_are_numbered_by_topic(manager: Manager, client: Client) -> None:
    with client.subscribe(["unit."]) as events:
        _until(manager, lambda: manager.server.subscribed("unit."))
        for topic in ("unit.a", "job.a", "unit.b", "unit.a"):
            manager.run(lambda t=topic: manager.server.publish(t, {"of": t}))
        got = [events.next_event(10) for _ in range(3)]
    assert [(e.topic, e.seq, e.data, e.gap) for e in got if e] == [
        ("unit.a", 1, {"of": "unit.a"}, False),
        ("unit.b", 1, {"of": "unit.b"}, False),
        ("unit.a", 2, {"of": "unit.a"}, False),
    ]


def test_subscribed_follows_subscribers(manager: Manager, client: Client) -> None:
    assert not manager.run(lambda: manager.server.subscribed("stats."))
    events = client.subscribe(["stats.web.service"])
    _until(manager, lambda: manager.server.subscribed("stats."))
    assert manager.run(lambda: manager.server.subscribed("stats.web.service"))
    assert not manager.run(lambda: manager.server.subscribed("log."))
    events.close()
    _until(manager, lambda: not manager.server.subscribed("stats."))


def test_a_lost_event_shows_as_a_gap(manager: Manager, client: Client) -> None:
    with client.subscribe(["unit.a"]) as events:
        _until(manager, lambda: manager.server.subscribed("unit.a"))
        manager.run(lambda: manager.server.publish("unit.a", {}))
        manager.server._sequence["unit.a"] = (5, 5)
        manager.run(lambda: manager.server.publish("unit.a", {}))
        got = [events.next_event(10), events.next_event(10)]
    assert [(e.seq, e.gap) for e in got if e] == [(1, False), (6, True)]


def test_a_subscriber_outlives_the_manager(tmp_path: Path) -> None:
    first = Manager(tmp_path)
    events = Client(first.server.endpoint).subscribe(["unit."])
    first.close()
    second = Manager(tmp_path)
    told = events.next_event(10)
    assert told is not None and (told.topic, told.gap) == ("bus.reconnected", True)
    _until(second, lambda: second.server.subscribed("unit."))
    second.run(lambda: second.server.publish("unit.a", {"x": 1}))
    event = events.next_event(10)
    assert event is not None and event.data == {"x": 1}
    events.close()
    second.close()


def test_a_send_does_not_lose_a_request(manager: Manager) -> None:
    """The FD of zmq is edge-triggered: a request that comes while the manager sends must not wait for the next."""
    with Client(manager.server.endpoint, timeout=10) as client:
        for _ in range(200):
            manager.loop.call_soon_threadsafe(manager.server.publish, "unit.x", {})
            assert client.call("status").ok


def _until(manager: Manager, condition: Callable[[], bool]) -> None:
    """The socket's own thread takes subscriptions in: ask the loop until it has seen them."""
    with Client(manager.server.endpoint) as client:
        for _ in range(5000):
            if manager.run(condition):
                return
            client.call("ping")
    raise AssertionError("it never happened")


# -- garbage


def test_a_request_by_libzmq(manager: Manager) -> None:
    with zmq.Context() as context:
        for kind in (zmq.DEALER, zmq.REQ):
            sock = context.socket(kind)
            sock.set(zmq.LINGER, 0)
            sock.connect(manager.server.endpoint)
            sock.send(b'{"verb": "x", "id": "7"}')
            assert sock.poll(10_000)
            assert json.loads(sock.recv())["id"] == "7"
            sock.close()


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"nonsense"],
        [b"[]"],
        [b'{"units": []}'],
        [b'{"verb": 7}'],
        [b'{"verb": "x", "units": "abc"}'],
        [b'{"verb": "x", "version": 99}'],
        [b"\xff\xfe"],
        [b'{"verb": "x"}', b"more"],
        [b"a", b"b", b"c", b"d", b"e", b"f"],
        [b'{"verb":"x","options":' + b"[" * 100_000 + b"]" * 100_000 + b"}"],
    ],
    ids=lambda f: repr(f)[:30],
)
def test_garbage_is_answered(manager: Manager, client: Client, frames: list[bytes]) -> None:
    with zmq.Context() as context:
        sock = context.socket(zmq.DEALER)
        sock.set(zmq.LINGER, 0)
        sock.connect(manager.server.endpoint)
        sock.send_multipart(frames)
        assert sock.poll(10_000)
        error = decode_reply(sock.recv_multipart()[-1]).error
        sock.close()
    assert error is not None and error.code == "bad-request"
    assert client.call("status").ok


def test_bytes_that_are_not_zmtp_harm_nobody(manager: Manager, client: Client) -> None:
    chance = random.Random(7)
    for _ in range(50):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(manager.server.bus_path)
            sock.send(chance.randbytes(chance.randrange(1, 300)))
    assert client.call("status").ok


def test_others_are_refused(manager: Manager, client: Client) -> None:
    manager.server._allowed = set()
    reply = client.call("status")
    assert reply.error is not None and (reply.error.code, reply.exit_code) == ("permission", 4)
    assert manager.requests == []


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1", "::1", "localhost:0:0", "localhost:0:0:1:", "fd00:1:1:1:1:0:0:7", "xlocalhost:0:0:1", "localhost:0:0:1\n"]
)
def test_an_unknown_peer_fails_closed(address: str) -> None:
    assert peer_of(address) is None


# -- pure parts


def test_messages_survive_the_wire() -> None:
    request = Request("start", ["a"], {"no_block": True}, id="1")
    assert decode_request(encode(request)) == request
    reply = failed("1", "code", "message", "hint", 3)
    assert decode_reply(encode(reply)) == reply
    with pytest.raises(BadMessage):
        decode_reply(b"{}")


@pytest.mark.parametrize(
    ("bus", "environ", "uid", "expected"),
    [
        (None, {}, 0, "ipc:///run/unitd/bus"),
        (None, {"XDG_RUNTIME_DIR": "/run/user/7"}, 7, "ipc:///run/user/7/unitd/bus"),
        (None, {"XDG_RUNTIME_DIR": "relative"}, 7, "ipc:///tmp/unitd-7/bus"),
        (None, {"UNITD_BUS": "/x/bus"}, 0, "ipc:///x/bus"),
        ("ipc:///y/bus", {"UNITD_BUS": "/x/bus"}, 0, "ipc:///y/bus"),
        ("/tmp", {}, 0, "ipc:///tmp/bus"),
    ],
)
def test_find(bus: str | None, environ: dict[str, str], uid: int, expected: str) -> None:
    assert find(bus, environ, uid) == expected


@pytest.mark.parametrize("bus", ["tcp://host:1", "ipc://"])
def test_find_refuses(bus: str) -> None:
    with pytest.raises(BadEndpoint):
        find(bus, {}, 0)


def test_runtime_dir_of_root_ignores_the_environment() -> None:
    assert runtime_dir(0, {"XDG_RUNTIME_DIR": "/run/user/0"}) == "/run/unitd"

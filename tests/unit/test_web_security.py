"""What the status page refuses."""

from __future__ import annotations

from unitd.web import security
from unitd.web.security import Guesses, Policy, Question, decide

POLICY = Policy(security.local_hosts(8641), names=frozenset({"status.example.org"}))
HOST = "127.0.0.1:8641"


def code(policy: Policy = POLICY, **values: object) -> str:
    refusal = decide(policy, Question(**{"method": "GET", "host": HOST, "session": True, **values}))  # type: ignore[arg-type]
    return refusal.code if refusal else ""


def test_hosts_of_others_are_refused() -> None:
    for host in ("127.0.0.1:8641", "LOCALHOST:8641", "[::1]:8641", "status.example.org", "status.example.org:443"):
        assert code(host=host) == "", host
    for host in ("", "evil.example", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:8641", "127.0.0.1:8641.evil", "x:status.example.org", "[::1]"):
        assert code(host=host) == "bad-host", host
    assert security.known_host(Policy(security.local_hosts(80)), "localhost")


def test_changes_by_cookie_need_the_own_origin() -> None:
    own = f"http://{HOST}"
    assert code(method="POST", origin=own) == ""
    assert code(method="POST", origin=f"https://{HOST}") == ""  # behind a proxy with TLS
    assert code(method="POST", fetch_site="same-origin") == ""
    for origin in ("null", "http://evil.example", "http://127.0.0.1:9000", "file://", own + ".evil", HOST, "javascript://" + HOST):
        assert code(method="POST", origin=origin) == "bad-origin", origin
    assert code(method="POST", origin="http://evil.example", fetch_site="same-origin") == "bad-origin"
    for site in ("cross-site", "same-site", "none"):
        assert code(method="POST", fetch_site=site) == "bad-origin", site
    assert code(method="POST") == "bad-origin"
    assert code(method="DELETE") == "bad-origin"


def test_a_bearer_token_is_enough_unless_another_site_sends_it() -> None:
    assert code(method="POST", session=False, bearer=True) == ""
    assert code(method="POST", session=False, bearer=True, origin="http://evil.example") == "bad-origin"


def test_nothing_without_log_in() -> None:
    assert code(session=False) == "log-in"
    assert code(method="POST", session=False, fetch_site="same-origin") == "log-in"
    assert code(session=False, open=True) == ""
    assert code(session=False, login=True, method="POST") == ""
    assert code(session=False, login=True, method="POST", origin="http://evil.example") == "bad-origin"


def test_read_only_and_public() -> None:
    own = f"http://{HOST}"
    assert code(Policy(POLICY.hosts, read_only=True), method="POST", origin=own) == "read-only"
    assert code(Policy(POLICY.hosts, read_only=True)) == ""
    public = Policy(POLICY.hosts, public_read=True)
    assert code(public, session=False) == ""
    assert code(public, session=False, method="POST", origin=own) == "log-in"


def test_sessions_end_and_cannot_be_made() -> None:
    key = security.session_key(["token", "password"])
    cookie = security.make_session(key, "nonce", 1000.0)
    assert security.check_session(key, cookie, 1000.0)
    assert security.check_session(key, cookie, 1000.0 + security.SESSION - 1)
    assert not security.check_session(key, cookie, 1000.0 + security.SESSION + 1)
    assert not security.check_session(security.session_key(["token", "other"]), cookie, 1000.0)
    until, nonce, signature = cookie.split(".")
    for forged in ("", ".", "..", f"{int(until) + 9}.{nonce}.{signature}", f"{until}.x.{signature}", f"{until}.{nonce}.", f"{until}.{nonce}.\udcff", "9" * 5000):
        assert not security.check_session(key, forged, 1000.0), forged


def test_an_empty_secret_opens_nothing() -> None:
    assert not security.equal("", "")
    assert security.equal("a", "a")
    assert not security.equal("\udcff", "a")


def test_bearer() -> None:
    assert security.bearer_token("Bearer abc") == "abc"
    assert security.bearer_token("bearer  abc ") == "abc"
    assert security.bearer_token("Basic abc") == ""
    assert security.bearer_token("") == ""


def test_guessing_is_slow() -> None:
    guesses, now = Guesses(), 50.0
    for _ in range(security.GUESSES):
        assert guesses.allowed(now)
        guesses = guesses.wrong(now)
    assert not guesses.allowed(now)
    assert guesses.allowed(now + security.GUESS_EVERY)
    assert not guesses.wrong(now + security.GUESS_EVERY).allowed(now + security.GUESS_EVERY)


def test_after_log_in_only_this_page() -> None:
    assert security.safe_next("/unit/web.service?x=1") == "/unit/web.service?x=1"
    for path in ("//evil.example", "https://evil.example", "", "/\\evil", "/a\r\nSet-Cookie: x=1", "/\t/evil"):
        assert security.safe_next(path) == "/", path


def test_loopback() -> None:
    assert all(security.is_loopback(a) for a in ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"))
    assert not any(security.is_loopback(a) for a in ("0.0.0.0", "::", "10.0.0.1", "example.org", "", "1270.0.1"))

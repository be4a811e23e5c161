"""Who may do what on the page. Pure: headers and times in, verdicts out; `auth` reads and keeps secrets, `app` asks."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

#: A session ends after this many seconds.
SESSION = 12 * 3600
#: Wrong passwords that are forgiven at once, and how many seconds it takes until one more is.
GUESSES, GUESS_EVERY = 10, 6.0
#: No inline script or style, nothing from elsewhere, no frames around the page.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: Methods that change nothing (RFC 9110, 9.2.1).
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Refusal:
    """Why a request is not served."""

    status: int
    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Policy:
    """What this page allows. `hosts`: values of the Host header with port; `names`: hosts of any port (a proxy's)."""

    hosts: frozenset[str]
    names: frozenset[str] = frozenset()
    read_only: bool = False
    public_read: bool = False


@dataclass(frozen=True)
class Question:
    """What is known about a request. `bearer` and `session`: it carried a valid token, a valid cookie. `login`: it is the log-in itself."""

    method: str
    host: str
    origin: str = ""
    fetch_site: str = ""
    bearer: bool = False
    session: bool = False
    login: bool = False
    open: bool = False


def local_hosts(port: int) -> frozenset[str]:
    """Host headers of a listener on loopback."""
    names = ("127.0.0.1", "localhost", "[::1]")
    return frozenset(f"{name}:{port}" for name in names) | (frozenset(names) if port == 80 else frozenset())


def is_loopback(address: str) -> bool:
    """Is it a numeric loopback address, or localhost?"""
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"


def known_host(policy: Policy, host: str) -> bool:
    """Is the Host header one of ours? Another one means that somebody's DNS points here (rebinding)."""
    value = host.strip().lower()
    name = value.rpartition(":")[0] if ":" in value and not value.endswith("]") else value
    return value in policy.hosts or name in policy.names


def same_origin(question: Question) -> bool | None:
    """Did our own page send it? None: nothing says so, as from programs that are no browser."""
    if question.origin:
        scheme, separator, rest = question.origin.lower().partition("://")
        return bool(separator) and scheme in ("http", "https") and rest == question.host.strip().lower()
    if question.fetch_site:
        return question.fetch_site == "same-origin"
    return None


def decide(policy: Policy, question: Question) -> Refusal | None:
    """None when the request may be served.

    A cookie comes along by itself, so a change that relies on one must be from our own page; a bearer token is given on purpose.
    """
    if not known_host(policy, question.host):
        return Refusal(403, "bad-host", "cannot serve this host name, because it is not one of this page", "use the address that unitctl web prints")
    if question.method not in SAFE:
        origin = same_origin(question)
        if origin is False or (origin is None and not question.bearer and not question.login):
            return Refusal(403, "bad-origin", "cannot take a change that another site sends", "use the page itself, or a bearer token")
    if question.open or question.login:
        return None
    if not (question.bearer or question.session) and not (policy.public_read and question.method in SAFE):
        return Refusal(401, "log-in", "cannot serve this without log-in", "unitctl web prints address and token")
    if policy.read_only and question.method not in SAFE:
        return Refusal(403, "read-only", "cannot change anything, because this page is read-only", "use unitctl")
    return None


# -- sessions


def session_key(secrets: Iterable[str]) -> bytes:
    """What signs sessions: a change of any secret ends them all."""
    return hashlib.sha256(b"unitd session\0" + b"\0".join(s.encode() for s in secrets)).digest()


def make_session(key: bytes, nonce: str, now: float) -> str:
    """A cookie's value; `now` in seconds of CLOCK_REALTIME."""
    text = f"{int(now) + SESSION}.{nonce}"
    return f"{text}.{hmac.new(key, text.encode(), hashlib.sha256).hexdigest()}"


def check_session(key: bytes, cookie: str, now: float) -> bool:
    """Was the cookie made with this key, and is it still good?"""
    text, _, signature = cookie.rpartition(".")
    until = text.partition(".")[0]
    wanted = hmac.new(key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
    return equal(signature, wanted) and until.isascii() and until.isdigit() and now < int(until) <= now + SESSION + 60


def equal(given: str, wanted: str) -> bool:
    """Compare without telling by the time it takes; an empty secret equals nothing."""
    return bool(wanted) and hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())


def bearer_token(header: str) -> str:
    """The token in an Authorization header, empty if there is none."""
    scheme, _, value = header.partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


@dataclass(frozen=True)
class Guesses:
    """How many wrong passwords may still be tried: a bucket that fills by one every GUESS_EVERY seconds."""

    left: float = float(GUESSES)
    at: float = 0.0

    def fill(self, now: float) -> Guesses:
        """As it is at `now` (monotonic)."""
        return Guesses(min(float(GUESSES), self.left + max(0.0, now - self.at) / GUESS_EVERY), now)

    def allowed(self, now: float) -> bool:
        """May another one be tried?"""
        return self.fill(now).left >= 1

    def wrong(self, now: float) -> Guesses:
        """After one more wrong password."""
        filled = self.fill(now)
        return Guesses(max(0.0, filled.left - 1), now)


def safe_next(path: str) -> str:
    """Where to go after the log-in: a path of this page, never another site."""
    good = path.startswith("/") and not path.startswith("//") and "\\" not in path and all(0x20 < ord(c) < 0x7F for c in path)
    return path if good else "/"

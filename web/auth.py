"""Keeps the page's secrets and answers for them; the rules are in `security`."""

from __future__ import annotations

import secrets
import time

from unitd.web import security


class Auth:
    """Token and password of one page. `tag` tells its cookie from those of other pages on this host."""

    def __init__(self, token: str, password: str, tag: str) -> None:
        self._token, self._password = token, password
        self._key = security.session_key([token, password])
        self._guesses = security.Guesses()
        self.cookie = f"unitd-{tag}"

    def bearer(self, header: str) -> bool:
        """Is it the right token?"""
        return security.equal(security.bearer_token(header), self._token)

    def session(self, cookie: str) -> bool:
        """Is it a good session?"""
        return security.check_session(self._key, cookie, time.time())

    def log_in(self, secret: str) -> str | None:
        """A new session for the token or the password, None for anything else. Raises TooMany after many wrong ones."""
        now = time.monotonic()
        if not self._guesses.allowed(now):
            raise TooMany
        if security.equal(secret, self._token) or security.equal(secret, self._password):
            return security.make_session(self._key, secrets.token_hex(8), time.time())
        self._guesses = self._guesses.wrong(now)
        return None


class TooMany(Exception):
    """Too many wrong passwords in a short time."""

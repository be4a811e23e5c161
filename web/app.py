"""The page as a WSGI application: who may ask, which function answers, and what every answer carries."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, quote

import bottle
import msgspec

from unitd.bus.connecting import BusError
from unitd.web import openapi, requests, security
from unitd.web.api import Api
from unitd.web.auth import Auth, TooMany
from unitd.web.hub import Hub
from unitd.web.logs import Watches
from unitd.web.pages import Pages
from unitd.web.requests import Refused
from unitd.web.source import Source

STATIC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")
TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
#: Served to everybody: they tell nothing.
OPEN = frozenset({"/login", "/favicon.ico", openapi.BASE + "/openapi.json"})
LOGIN = "/login"


class Page:
    """Everything that serves one page."""

    def __init__(self, source: Source, auth: Auth, policy: security.Policy) -> None:
        self.source, self.auth, self.policy = source, auth, policy
        self.hub = Hub(source)
        self.watches = Watches(source)
        self.api = Api(source, self.hub, self.watches)
        self.pages = Pages(self.api, policy.read_only)
        self.seen: Callable[[], None] = lambda: None

    def application(self) -> Callable[..., Iterable[bytes]]:
        """The WSGI application."""
        app = bottle.Bottle()
        app.default_error_handler = self._error
        app.add_hook("before_request", self._guard)
        for method, path, function in self.api.routes():
            app.route(path, method, self._answer(function))
        app.route("/metrics", "GET", self._answer(self.api.metrics))
        for path, function in self.pages.routes():
            app.route(path, "GET", self._answer(function))
        app.route(LOGIN, "POST", self._answer(self._log_in))
        app.route("/logout", "POST", self._answer(self._log_out))
        app.route("/static/<name:re:[a-z]+\\.(?:js|css|svg)>", "GET", _static)
        app.route("/favicon.ico", "GET", lambda: _static("icon.svg"))
        return _with_headers(app, self)

    # -- who may ask

    def _session(self) -> bool:
        return self.auth.session(bottle.request.get_cookie(self.auth.cookie, ""))

    def _guard(self) -> None:
        """Refuses before any function runs."""
        request = bottle.request
        path = request.environ.get("PATH_INFO", "")
        question = security.Question(
            method=request.method,
            host=request.get_header("Host", ""),
            origin=request.get_header("Origin", ""),
            fetch_site=request.get_header("Sec-Fetch-Site", ""),
            bearer=self.auth.bearer(request.get_header("Authorization", "")),
            session=self._session(),
            login=path == LOGIN,
            open=path in OPEN or path.startswith("/static/"),
        )
        refusal = security.decide(self.policy, question)
        if refusal is None:
            return
        if refusal.status == 401 and question.method == "GET" and not _for_programs(path):
            target = path + ("?" + request.query_string if request.query_string else "")
            raise bottle.HTTPResponse("", 303, Location=f"{LOGIN}?next={quote(target)}")
        raise self._refused(Refused(refusal.status, refusal.code, refusal.message, refusal.hint))

    def _log_in(self) -> Any:
        try:
            form = dict(parse_qsl(requests.raw_body().decode("utf-8", "replace"), max_num_fields=20))
        except ValueError:
            form = {}
        target = security.safe_next(str(form.get("next", "")))
        try:
            session = self.auth.log_in(str(form.get("token", "")))
        except TooMany:
            raise Refused(429, "too-many", "cannot check it now, because there were too many wrong ones", "wait a minute") from None
        if session is None:
            bottle.response.status = 403
            return self.pages.login("This is not the token, nor the password.", target)
        answer = bottle.HTTPResponse("", 303, Location=target)
        answer.set_cookie(self.auth.cookie, session, path="/", httponly=True, samesite="strict", maxage=security.SESSION)
        return answer

    def _log_out(self) -> Any:
        answer = bottle.HTTPResponse("", 303, Location=LOGIN)
        answer.delete_cookie(self.auth.cookie, path="/", httponly=True, samesite="strict")
        return answer

    # -- what comes back

    def _answer(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A route: structs become JSON, refusals become answers."""

        def route(**arguments: str) -> Any:
            self.seen()
            try:
                found = function(**arguments)
            except Refused as refused:
                return self._refused(refused)
            except BusError as error:
                return self._refused(requests.of_bus(error))
            if isinstance(found, msgspec.Struct):
                bottle.response.content_type = "application/json"
                return msgspec.json.encode(found)
            if isinstance(found, bytes) and bottle.request.path.endswith(".json"):
                bottle.response.content_type = "application/json"
            return found

        return route

    def _refused(self, refused: Refused) -> bottle.HTTPResponse:
        if _for_programs(bottle.request.environ.get("PATH_INFO", "")):
            answer = bottle.HTTPResponse(requests.failure(refused), refused.status, Content_Type="application/json")
        else:
            answer = bottle.HTTPResponse(self.pages.problem(refused), refused.status, Content_Type="text/html; charset=UTF-8")
        if refused.status == 401:
            answer.set_header("WWW-Authenticate", "Bearer")
        return answer

    def _error(self, error: bottle.HTTPError) -> Any:
        """What bottle itself refuses (no such path, method not allowed), and what went wrong in here."""
        code = error.status_code
        known = {404: ("not-found", "there is nothing at this path"), 405: ("bad-method", "this path does not take this method"), 400: ("bad-request", "cannot read the request")}
        word, message = known.get(code, ("internal" if code >= 500 else "refused", "an error in the page; its log has the details" if code >= 500 else str(error.body)))
        answer = self._refused(Refused(code, word, message))
        bottle.response.content_type = answer.content_type
        return answer.body


def _for_programs(path: str) -> bool:
    return path.startswith(("/api/", "/metrics"))


def _static(name: str) -> Any:
    answer = bottle.static_file(name, root=STATIC, mimetype=TYPES[name.rpartition(".")[2]])
    answer.set_header("Cache-Control", "no-cache")  # asked for again each time, answered with 304
    return answer


def _with_headers(app: bottle.Bottle, page: Page) -> Callable[..., Iterable[bytes]]:
    """The security headers go with every answer, also with those that bottle makes."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            have = {name.lower() for name, _ in headers}
            return start_response(status, headers + [(n, v) for n, v in security.HEADERS.items() if n.lower() not in have], exc_info)

        found: Iterable[bytes] = app(environ, start)
        return found

    return application

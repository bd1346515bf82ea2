"""The door of the review server: only this computer's browser, with the token, from our own page.

Each request is checked before any other code sees it: the Host (against DNS rebinding), the Origin
(against other web pages), the token, and the declared size of the body.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class TooLarge(Exception):
    """The body is longer than allowed."""


class Guard:
    """ASGI middleware that lets nothing pass but our own page, and says who is before it.

    Args:
        app: What it guards; it finds the person's name in `scope["state"]["guest"]`, None for the owner.
        token: Secret of the printed address; the page gets it as a cookie.
        hosts: Names under which the server may be addressed, with port.
        max_body: Gives the longest body accepted for a path, bytes, when one comes.
        guests: Gives the names of others by their tokens.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        hosts: set[str],
        max_body: Callable[[str], int],
        guests: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.app, self.token, self.hosts, self.max_body = app, token, hosts, max_body
        self.guests = guests
        # Cookies do not know ports; two servers on one computer must not sign each other out.
        self.cookie = "cathode_review_" + token[:6].replace("-", "_")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        refusal = await run_in_threadpool(self._refusal, scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        most = (
            0 if scope["method"] in ("GET", "HEAD") else await run_in_threadpool(self.max_body, scope["path"])
        )
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdigit() or int(length) > most:
            await _too_large(most)(scope, receive, send)
            return
        await self._bounded(scope, receive, self._hardened(send), most)

    def _refusal(self, scope: Scope) -> PlainTextResponse | RedirectResponse | None:
        headers = Headers(scope=scope)
        if headers.get("host", "") not in self.hosts:
            return PlainTextResponse("Wrong host: open the address that the server printed.", 421)
        origin = headers.get("origin")
        ours = {f"http://{host}" for host in self.hosts}
        foreign = origin is not None and origin not in ours
        if foreign or headers.get("sec-fetch-site", "same-origin") == "cross-site":
            return PlainTextResponse("Refused: this request comes from another site.", 403)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if given and scope["path"] == "/" and self._knows(given)[0]:
            answer = RedirectResponse("/", 303, headers=_HEADERS)
            answer.set_cookie(self.cookie, given, httponly=True, samesite="strict", path="/")
            return answer
        known, guest = self._knows(self._cookie_of(headers))
        if not known:
            return PlainTextResponse(
                "Open the whole address that `cathode-tf` printed, with ?token=, or that you were given.", 401
            )
        scope.setdefault("state", {})["guest"] = guest
        return None

    def _knows(self, value: str) -> tuple[bool, str | None]:
        """Whether someone has this token, and the name of whom, None for the owner."""
        if hmac.compare_digest(value.encode(), self.token.encode()):
            return True, None
        for token, name in self.guests().items():
            if hmac.compare_digest(value.encode(), token.encode()):
                return True, name
        return False, None

    def _cookie_of(self, headers: Headers) -> str:
        for part in headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self.cookie:
                return value
        return ""

    async def _bounded(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        """Pass the request on, but stop a body that grows beyond the limit while it comes."""
        received = 0
        started = False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, counted, watched)
        except TooLarge:
            if not started:
                await _too_large(most)(scope, receive, send)

    @staticmethod
    def _hardened(send: Send) -> Send:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        return with_headers


def _too_large(most: int) -> PlainTextResponse:
    return PlainTextResponse(f"Too large: at most {most} bytes.", 413)

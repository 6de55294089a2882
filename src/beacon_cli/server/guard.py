"""Who may ask what: the hosts that are known, the token, the size and the time of a request. Knows no route.

A web page that somebody looks at can send requests to a server on loopback too: by its address or, once its own
name leads there (DNS rebinding), as if it were the server's page. So every request has to name a known host and to
come from the server's own page or from no page; one that changes something has to bring the token.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

import anyio
import msgspec

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""The names of this machine for itself."""
READING = frozenset({"GET", "HEAD"})
"""Methods that change nothing."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_OWN_PAGE = frozenset({"same-origin", "none"})
"""What a browser says of a request of our own page, or of one that its user typed."""

_SAFE_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
"""On every answer that does not say otherwise. There are no CORS headers: no other page reads anything."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What is let in: hosts by name, the token, bytes of a body, seconds in which it has to be there.

    `guarded` says whether what is read at a path needs the token too.
    """

    hosts: frozenset[str]
    token: str
    largest: int = 1_000_000
    patience: float = 15.0
    guarded: Callable[[str], bool] = lambda _: False


class Refusal(msgspec.Struct, frozen=True):
    """Why a request is not let in: a status of HTTP, one line, further headers."""

    status: int
    error: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


def host_name(value: str) -> str:
    """The host in a Host header, in lower case and without its port: `localhost`, `::1`; empty if it is none."""
    name, bracket, rest = value.lower().partition("]")
    if bracket:
        return name[1:] if name.startswith("[") and (not rest or _is_port(rest)) else ""
    name, colon, port = name.partition(":")
    return name if not colon or _is_port(f":{port}") else ""


def refusal(method: str, path: str, headers: Iterable[tuple[bytes, bytes]], rules: Rules) -> Refusal | None:
    """Why a request with this head is not let in; None: it is."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return (
        _of_its_place(found, rules, reads=method in READING)
        or _of_its_path(path)
        or _without_token(found, rules, needed=method not in READING or rules.guarded(path))
        or _of_its_body(found, rules, reads=method in READING)
    )


class Guard:
    """The application behind the rules. It gets a body only once that is there, whole."""

    def __init__(self, application: Application, rules: Rules) -> None:
        self._application = application
        self._rules = rules

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return
        refused = refusal(scope["method"], scope["path"], scope["headers"], self._rules)
        if refused is None and scope["method"] not in READING:
            body = await self._body(receive)
            if body is None:
                return
            if isinstance(body, Refusal):
                refused = body
            else:
                receive = _having(body, receive)
        if refused is not None:
            await _refuse(refused, send)
            return
        await self._application(scope, receive, _safely(send))

    async def _body(self, receive: Receive) -> bytes | Refusal | None:
        """The whole body; why it is not taken; None if the client has gone away."""
        body = bytearray()
        with anyio.move_on_after(self._rules.patience):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body += message.get("body", b"")
                if len(body) > self._rules.largest:
                    return _too_large(self._rules)
                if not message.get("more_body", False):
                    return bytes(body)
        return Refusal(408, f"the body was not there within {self._rules.patience:g} s")


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit()


def _of_its_path(path: str) -> Refusal | None:
    """A router may take a line break at a path's end for nothing: what was refused would be let in under it."""
    return Refusal(404, "no address has a control character in it") if _CONTROL.search(path) else None


def _of_its_place(found: dict[str, list[str]], rules: Rules, *, reads: bool) -> Refusal | None:
    """Where the request was sent to, and from which page."""
    hosts, origins = found.get("host", []), found.get("origin", [])
    if len(hosts) != 1:
        return Refusal(400, "a request names one host")
    if host_name(hosts[0]) not in rules.hosts:
        return Refusal(421, "this server does not go by that name; beacon serve --allow-host NAME lets it")
    own = {f"http://{hosts[0].lower()}", f"https://{hosts[0].lower()}"}
    if any(origin.lower() not in own for origin in origins):
        return Refusal(403, "requests of another page are refused")
    if not reads and any(site.lower() not in _OWN_PAGE for site in found.get("sec-fetch-site", [])):
        return Refusal(403, "requests of another page are refused")
    return None


def _without_token(found: dict[str, list[str]], rules: Rules, *, needed: bool) -> Refusal | None:
    if not needed:
        return None
    given = found.get("authorization", [])
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    known = hmac.compare_digest(token.strip().encode(), rules.token.encode())
    if known and scheme.lower() == "bearer":
        return None
    return Refusal(
        401,
        "this needs the server's token, as Authorization: Bearer TOKEN",
        ((b"www-authenticate", b'Bearer realm="beacon"'),),
    )


def _of_its_body(found: dict[str, list[str]], rules: Rules, *, reads: bool) -> Refusal | None:
    lengths = found.get("content-length", [])
    if reads and ("transfer-encoding" in found or any(length != "0" for length in lengths)):
        return Refusal(400, "such a request has no body")
    if "transfer-encoding" in found and lengths:
        return Refusal(400, "a request says in one way where its body ends")
    if any(length.isdigit() and int(length[:20]) > rules.largest for length in lengths):
        return _too_large(rules)
    return None


def _too_large(rules: Rules) -> Refusal:
    return Refusal(413, f"the body has more than {rules.largest:,} bytes")


def _having(body: bytes, receive: Receive) -> Receive:
    """What gives the body at once, and then waits for the client to go away."""
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_part() -> Message:
        return parts.pop() if parts else await receive()

    return next_part


def _safely(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", []))
            names = {name.lower() for name, _ in given}
            message["headers"] = given + [pair for pair in _SAFE_HEADERS if pair[0] not in names]
        await send(message)

    return send_with_headers


async def _refuse(refused: Refusal, send: Send) -> None:
    """Say why, and close the connection: what is left of the request is never read."""
    body = json.dumps({"error": refused.error}).encode("ascii") + b"\n"
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"connection", b"close"),
        *refused.headers,
    ]
    safely = _safely(send)
    await safely({"type": "http.response.start", "status": refused.status, "headers": headers})
    await safely({"type": "http.response.body", "body": body})

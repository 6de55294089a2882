"""Who may ask the server what."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from beacon_cli.server.guard import LOOPBACK, Guard, Message, Receive, Refusal, Rules, Send, host_name, refusal
from beacon_cli.server.routes import guarded

TOKEN = "t" * 43
RULES = Rules(hosts=LOOPBACK | {"beacon.example"}, token=TOKEN, largest=1_000, patience=0.05)
BEARER = ("authorization", f"Bearer {TOKEN}")
HOST = ("host", "localhost:8585")


def refused(method: str, *headers: tuple[str, str], path: str = "/jobs", rules: Rules = RULES) -> Refusal | None:
    """What the guard says of such a request."""
    return refusal(method, path, [(name.encode(), value.encode("latin-1")) for name, value in headers], rules)


def status(method: str, *headers: tuple[str, str], **more: Any) -> int:
    """Its status; 0: let in."""
    found = refused(method, *headers, **more)
    return found.status if found else 0


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:8585",
        "127.0.0.1:9999",
        "[::1]:8585",
        "[::1]",
        "beacon.example",
        "beacon.example:443",
    ],
)
def test_a_known_host_is_let_in_whatever_its_port(host: str) -> None:
    """A tunnel may change the port; a name is what an attacker cannot have."""
    assert status("GET", ("host", host)) == 0


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:8585",
        "localhost@evil.example",
        "localhost:8585@evil.example",
        "localhost:",
        "localhost:80:80",
        "127.0.0.1.",
        "::1",
        "[::1",
        "[::1]x",
        "0.0.0.1",
        "127.1",
        "",
        " ",
        "localhost, evil.example",
    ],
)
def test_another_host_is_refused_for_reading_too(host: str) -> None:
    """Under another name a page of somebody else's could read as if it were ours."""
    assert status("GET", ("host", host)) == 421


@pytest.mark.parametrize("hosts", [(), ("localhost", "localhost"), ("localhost", "evil.example")])
def test_a_request_names_one_host(hosts: tuple[str, ...]) -> None:
    """None, or two, could mean one to us and another to what stands before us."""
    assert status("GET", *(("host", host) for host in hosts)) == 400


def test_hosts_are_read_as_they_are_written() -> None:
    """Without its port and in lower case."""
    assert [host_name(each) for each in ("A:1", "[FE80::1]:2", "a", "a:x")] == ["a", "fe80::1", "a", ""]


@pytest.mark.parametrize("origin", ["http://localhost:8585", "https://localhost:8585", "HTTP://LOCALHOST:8585"])
def test_our_own_page_may_ask(origin: str) -> None:
    """Its origin is the host that the request names."""
    assert status("POST", HOST, BEARER, ("origin", origin)) == 0


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://localhost:3000", "http://localhost", "null", "", "file://", "localhost:8585"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_another_page_may_not(method: str, origin: str) -> None:
    """With the token and without, on this machine and elsewhere."""
    assert status(method, HOST, BEARER, ("origin", origin)) == 403


@pytest.mark.parametrize(
    ("site", "expected"), [("same-origin", 0), ("none", 0), ("cross-site", 403), ("same-site", 403)]
)
def test_what_a_browser_says_of_the_page_is_heeded(site: str, expected: int) -> None:
    """For what changes something; a link from elsewhere may lead to the page."""
    assert status("POST", HOST, BEARER, ("sec-fetch-site", site)) == expected
    assert status("GET", HOST, ("sec-fetch-site", site)) == 0


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "BREW", "get"])
def test_what_is_no_reading_needs_the_token(method: str) -> None:
    """Whatever its method is called."""
    assert (status(method, HOST), status(method, HOST, BEARER)) == (401, 0)


@pytest.mark.parametrize(
    "given",
    [
        (),
        (("authorization", ""),),
        (("authorization", "Bearer"),),
        (("authorization", "Bearer "),),
        (("authorization", f"Bearer {TOKEN[:-1]}"),),
        (("authorization", f"Bearer {TOKEN}x"),),
        (("authorization", f"Bearer {TOKEN[:-1]}\xe9"),),
        (("authorization", f"Basic {TOKEN}"),),
        (("authorization", TOKEN),),
        (BEARER, BEARER),
        (("cookie", f"token={TOKEN}"),),
    ],
)
def test_only_the_token_itself_will_do(given: tuple[tuple[str, str], ...]) -> None:
    """It comes once, as a bearer's, and a browser adds it by itself nowhere."""
    found = refused("POST", HOST, *given)
    assert found is not None
    assert found.status == 401
    assert dict(found.headers)[b"www-authenticate"].startswith(b"Bearer")


@pytest.mark.parametrize("path", ["/jobs/run/results\n", "/jobs/run\x00", "/\r", "/queue/status/eu\x7f"])
def test_a_path_holds_no_control_character(path: str) -> None:
    """The router takes a line break at its end for nothing, and would let in what the guard has not looked at."""
    assert status("GET", HOST, path=path) == 404


@pytest.mark.parametrize("end", ["results", "results\n", "results/", "/results", "other"])
def test_all_that_is_below_a_run_needs_the_token(end: str) -> None:
    """Whoever reads a path otherwise than the router fails closed."""
    assert guarded(f"/jobs/run/{end}")
    assert not guarded("/jobs/run")


def test_answers_need_the_token_though_they_are_read() -> None:
    """What the routes call guarded."""
    rules = Rules(hosts=LOOPBACK, token=TOKEN, guarded=lambda path: path == "/answers")
    assert status("GET", HOST, path="/answers", rules=rules) == 401
    assert status("GET", HOST, BEARER, path="/answers", rules=rules) == 0
    assert status("GET", HOST, path="/", rules=rules) == 0


@pytest.mark.parametrize(("length", "expected"), [("1000", 0), ("1001", 413), ("9" * 30, 413), ("9" * 5_000, 413)])
def test_a_body_that_says_that_it_is_too_large_is_not_read(length: str, expected: int) -> None:
    """By its length alone."""
    assert status("POST", HOST, BEARER, ("content-length", length)) == expected


def test_a_body_ends_in_one_way() -> None:
    """A proxy that goes by the length would take what we take for the next request for a part of this one."""
    assert status("POST", HOST, BEARER, ("transfer-encoding", "chunked"), ("content-length", "5")) == 400
    assert status("POST", HOST, BEARER, ("transfer-encoding", "chunked")) == 0


@pytest.mark.parametrize("header", [("content-length", "1"), ("transfer-encoding", "chunked")])
def test_reading_has_no_body(header: tuple[str, str]) -> None:
    """One that never ends would be read for ever."""
    assert status("GET", HOST, header) == 400


def sent(parts: list[Message], *, method: str = "POST", stall: bool = False) -> tuple[list[Message], list[bytes]]:
    """What comes back for a body in these parts, and which bodies the application got."""
    answers: list[Message] = []
    bodies: list[bytes] = []

    async def application(_scope: Message, receive: Receive, send: Send) -> None:
        message = await receive()
        bodies.append(message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"max-age=1")]})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        if not parts and stall:
            await anyio.sleep_forever()
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        answers.append(message)

    headers = [(name.encode(), value.encode()) for name, value in (HOST, BEARER)]
    scope = {"type": "http", "method": method, "path": "/jobs", "headers": headers}
    anyio.run(Guard(application, RULES), scope, receive, send)
    return answers, bodies


def part(body: bytes, *, more: bool) -> Message:
    """A part of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_is_handed_on_whole() -> None:
    """In one piece, whatever it came in."""
    answers, bodies = sent([part(b"a", more=True), part(b"b", more=True), part(b"", more=False)])
    assert bodies == [b"ab"]
    assert answers[0]["status"] == 200


def test_a_body_that_turns_out_too_large_is_refused() -> None:
    """No matter what its head said; the application is not asked."""
    answers, bodies = sent([part(b"x" * 600, more=True), part(b"x" * 600, more=True)], stall=True)
    assert (answers[0]["status"], bodies) == (413, [])
    assert (b"connection", b"close") in answers[0]["headers"]


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    """A client that sends a byte now and then holds nothing up."""
    answers, bodies = sent([part(b"x", more=True)], stall=True)
    assert (answers[0]["status"], bodies) == (408, [])


def test_a_client_that_goes_away_is_forgotten() -> None:
    """Nobody is told anything."""
    assert sent([part(b"x", more=True)]) == ([], [])


def test_every_answer_says_how_it_may_be_used() -> None:
    """No other page reads or frames it; what the application says itself stays."""
    headers = dict(sent([part(b"", more=False)])[0][0]["headers"])
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"cross-origin-resource-policy"] == b"same-origin"
    assert headers[b"cache-control"] == b"max-age=1"
    assert not any(name.startswith(b"access-control") for name in headers)


def test_a_refusal_is_one_line_of_json() -> None:
    """With the same headers as any answer."""
    answers, _ = sent([part(b"x" * 2_000, more=False)])
    assert answers[1]["body"] == b'{"error": "the body has more than 1,000 bytes"}\n'
    assert (b"x-content-type-options", b"nosniff") in answers[0]["headers"]

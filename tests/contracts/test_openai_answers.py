"""What real answers are worth: broken off, thoughts alone, calls of tools, keys refused, waits of hours."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from typing import Any

import anyio
import pytest
from tests.contracts.executing import Book, asking, failed
from tests.support.endpoint import Asked, answer, in_turn, plain, raw, serving
from tests.support.openai import KEY, opened, outcome

from beacon_cli.errors import StartError
from beacon_cli.executors import completions, waits
from beacon_cli.model import INFRASTRUCTURE, ErrorKind, Failed, Succeeded

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0


@pytest.fixture
def anyio_backend() -> str:
    """The HTTP library knows asyncio alone."""
    return "asyncio"


def _refused(status: int, body: Any, **headers: str) -> Failed:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    said = completions.of_status(status, json.dumps(body).encode(), named, NOW)
    assert isinstance(said, Failed)
    return said


@pytest.mark.parametrize("finish", ["error", "abort", "insufficient_system_resource"])
async def test_an_answer_that_its_server_broke_off_is_none(finish: str) -> None:
    """Half an answer of a server that failed is asked again: it is no short answer of the model's own."""
    said = failed(await outcome(answer("Fo", finish=finish, usage={"total_tokens": 5}, id="c-1")))
    assert (said.kind, said.transient) == (ErrorKind.MODEL, True)
    assert finish in said.message
    assert said.provenance["usage"] == {"total_tokens": 5}
    assert said.provenance["id"] == "c-1"


async def test_an_error_beside_half_an_answer_is_told() -> None:
    """Where the server says why it broke off, its words and its status count."""
    said = failed(await outcome(answer("Fo", finish="error", error={"message": "no capacity", "code": 503})))
    assert (said.kind, said.message) == (ErrorKind.PLATFORM, "no capacity")


@pytest.mark.parametrize("content", [None, ""])
async def test_thoughts_and_then_nothing_is_an_empty_answer(content: str | None) -> None:
    """A model that thinks and says nothing has answered nothing, written as null or as text."""
    said = await outcome(answer(content, message={"reasoning_content": "Hm."}))
    assert isinstance(said, Succeeded)
    assert (said.response, said.provenance["reasoning_content"]) == ("", "Hm.")


@pytest.mark.parametrize("content", [None, ""])
async def test_a_call_of_a_tool_is_no_answer(content: str | None) -> None:
    """A model that calls a tool has not answered, whether its server writes the text as null or as empty."""
    calls = [{"id": "t", "function": {"name": "f", "arguments": "{}"}}]
    said = failed(await outcome(answer(content, finish="tool_calls", message={"tool_calls": calls})))
    assert said.kind is ErrorKind.BAD_ANSWER
    assert "calls a tool" in said.message


async def test_words_beside_a_call_of_a_tool_are_an_answer() -> None:
    """What a model says before it calls a tool is kept."""
    said = await outcome(answer("Four.", message={"tool_calls": [{"id": "t"}]}))
    assert isinstance(said, Succeeded)
    assert said.response == "Four."


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}]),
        (400, [{"error": {"code": 400, "message": "API key expired. Please renew the API key."}}]),
        (400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: x."}),
        (403, {"Message": "Bearer Token has expired"}),
        (403, {"Message": "Authentication failed: Please make sure your API Key is valid."}),
        (403, {"message": "The security token included in the request is expired"}),
    ],
)
def test_a_key_that_is_refused_in_other_words_is_the_keys_fault(status: int, body: Any) -> None:
    """Google, xAI and Bedrock refuse a key with a 400 or a 403: the region stops soon, and says what helps."""
    said = _refused(status, body)
    assert (said.kind, said.transient) == (ErrorKind.AUTH, False)
    assert said.kind in INFRASTRUCTURE


def test_bedrocks_words_are_read() -> None:
    """Amazon begins the name of its message with a capital."""
    assert _refused(403, {"Message": "Not here"}).message == "HTTP 403: Not here"


def test_a_tier_without_room_is_asked_again() -> None:
    """Groq says a 498 where its flexible tier is full: others wait, too."""
    said = _refused(498, {"error": {"message": "capacity_exceeded"}})
    assert (said.kind, said.transient) == (ErrorKind.THROTTLED, True)


DAILY = {
    "X-RateLimit-Limit": "50",
    "X-RateLimit-Remaining": "0",
    "X-RateLimit-Reset": f"{(NOW + 18000) * 1000:.0f}",
}


@pytest.mark.parametrize(
    ("error", "headers", "wait"),
    [
        ({"message": "Daily limit"}, {"retry_after": "3600"}, "1 h"),
        ({"message": "Daily limit"}, {"retry_after": "1200"}, "20 min"),
        (
            {"message": "Daily"},
            {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "1d2h"},
            "26 h",
        ),
        ({"message": "free-models-per-day", "metadata": {"headers": DAILY}}, {}, "5 h"),
        ({"message": "m" * 9_000}, {"retry_after": "7200"}, "2 h"),
    ],
)
def test_a_wait_of_hours_is_not_sat_out_by_a_run(error: Any, headers: dict[str, str], wait: str) -> None:
    """A daily quota that is spent ends the region soon, and the line says when to come back and how."""
    said = _refused(429, {"error": error}, **headers)
    assert (said.kind, said.transient, said.retry_after) == (ErrorKind.THROTTLED, False, None)
    assert said.message.startswith(f"wait {wait}, then beacon retry: HTTP 429: ")


def test_a_wait_that_a_run_has_is_waited_for() -> None:
    """A quarter of an hour is waited for; a server that is down for an hour is asked again before that."""
    assert _refused(429, {}, retry_after="900").retry_after == 900.0
    said = _refused(503, {}, retry_after="3600")
    assert (said.transient, said.retry_after) == (True, waits.LONGEST_WAIT)


@pytest.mark.parametrize(
    "metadata", [7, {"headers": 7}, {"headers": {"X-RateLimit-Remaining": None}}, {"headers": {}}]
)
def test_metadata_of_another_form_asks_for_no_wait(metadata: Any) -> None:
    """What a gateway adds to an error is read only where it is of the known form."""
    said = _refused(429, {"error": {"message": "slow", "metadata": metadata}})
    assert (said.transient, said.retry_after) == (True, None)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
UNREADABLE = {
    "another protocol": raw(b"SSH-2.0-OpenSSH_9\r\n"),
    "a status of letters": raw(b"HTTP/1.1 2x0 OK\r\n\r\n"),
    "a header without a colon": raw(b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"),
    "a chunk without a length": raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "a chunk without an end": raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\n{}"),
    "a coding that is another": plain(200, b"nope", content_encoding="gzip"),
    "a coding that nobody asked for": plain(200, b"nope", content_encoding="br"),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_the_library_cannot_read_looks_like_no_status(name: str) -> None:
    """The HTTP library calls whatever it cannot read a 400: the endpoint said no such thing."""
    said = failed(await outcome(UNREADABLE[name]))
    assert (said.kind, said.transient) == (ErrorKind.CONNECTION, True)
    assert "400" not in said.message
    assert "message" not in said.message
    assert "http://" not in said.message


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (400, b'[{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}]', True),
        (403, b'{"Message": "Bearer Token has expired"}', True),
        (401, b"", True),
        (400, b'{"error": {"message": "no such list"}}', False),
        (404, b"", False),
        (500, b"API key expired", False),
    ],
)
async def test_no_run_begins_with_a_key_that_is_refused(
    status: int,
    body: bytes,
    refused: bool,  # noqa: FBT001 - a table
) -> None:
    """However an endpoint refuses the key as the run begins, nothing is asked; other refusals stop nobody."""
    async with serving(answer()) as server:
        server.models = plain(status, body)
        with pytest.raises(StartError, match="refuses the key in KEY") if refused else nullcontext():
            async with opened(server, environ={"KEY": KEY}, api_key_env="KEY"):
                pass


@pytest.mark.parametrize("status", [408, 500, 502, 504])
async def test_an_answer_that_comes_after_its_failure_is_nobodys(status: int) -> None:
    """A server that gives up, and answers a little later all the same, does not answer another question."""
    late = b'{"choices":[{"message":{"content":"Late."},"finish_reason":"stop"}]}'
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"

    async def gives_up(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head % (status, 2) + b"{}")
        await writer.drain()
        with anyio.move_on_after(1):
            await asked.gone()  # or the next question has begun to come
        writer.write(head % (200, len(late)) + late)

    async with serving(in_turn(gives_up, answer("Mine."))) as server, opened(server) as executor:
        assert failed(await executor.attempt(asking(), 1, Book().placed)).transient
        said = await executor.attempt(asking(), 2, Book().placed)
    assert isinstance(said, Succeeded)
    assert said.response == "Mine."

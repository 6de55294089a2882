"""Endpoints that mean ill, or mean well and are odd: sizes, echoes of keys, waits without end, gateways."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
import urllib.error
import urllib.request
import zlib
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from tests.contracts.executing import LLAMA, US, Book, asking, failed
from tests.support.endpoint import Asked, Reply, answer, in_turn, plain, raw, serving
from tests.support.openai import KEY, opened, outcome

from beacon_cli.emulator import endpoint as emulated
from beacon_cli.errors import StartError
from beacon_cli.executors import completions, waits
from beacon_cli.executors.openai import OpenaiExecutor
from beacon_cli.model import ErrorKind, Failed, Limits, OpenaiTarget, Succeeded

pytestmark = pytest.mark.anyio

GOOD = b'{"choices":[{"message":{"content":"Four."},"finish_reason":"stop"}]}'
KEYED: Any = {"environ": {"KEY": KEY}, "api_key_env": "KEY"}


@pytest.fixture
def anyio_backend() -> str:
    """The HTTP library knows asyncio alone."""
    return "asyncio"


def bomb(megabytes: int) -> bytes:
    """So many megabytes of nothing, compressed."""
    packer = zlib.compressobj(wbits=31)
    return b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(megabytes)), packer.flush()])


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("told", [True, False])
async def test_a_bomb_is_not_unpacked(status: int, told: bool) -> None:  # noqa: FBT001 - a parameter
    """A compressed answer that nobody asked for is unpacked no further than an answer may be long."""
    packed = bomb(300)
    length = f"Content-Length: {len(packed)}\r\n" if told else ""
    head = f"HTTP/1.1 {status} B\r\nContent-Encoding: gzip\r\nContent-Type: application/json\r\n{length}\r\n"
    tracemalloc.start()
    try:
        said = failed(await outcome(raw(head.encode(), packed)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60_000_000
    assert (said.kind is ErrorKind.BAD_ANSWER) is (status == 200)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_an_answer_that_is_compressed_all_the_same_is_read(coding: str) -> None:
    """Some servers compress whatever they are asked: the answer is read."""
    packed = gzip.compress(GOOD) if coding == "gzip" else zlib.compress(GOOD)
    said = await outcome(plain(200, packed, content_encoding=coding))
    assert isinstance(said, Succeeded)


async def _endless(asked: Asked, writer: asyncio.StreamWriter) -> None:
    del asked
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"x-more: and more\r\n" * 1000)
        await writer.drain()


async def test_headers_without_end_are_cut_off() -> None:
    """A server that never comes to the end of its headers is left."""
    assert failed(await outcome(_endless)).kind is ErrorKind.CONNECTION


ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
ECHOES: dict[str, Reply] = {
    "location": plain(302, b"", location=f"https://elsewhere.example/?key={KEY}"),
    "request id": plain(500, b"{}", x_request_id=KEY),
    "request id of an answer": plain(200, GOOD, x_request_id=KEY),
    "escaped in an error": plain(401, f'{{"error": {{"message": "bad {ESCAPED}"}}}}'.encode()),
    "escaped in an answer": plain(200, GOOD.replace(b"Four.", ESCAPED.encode())),
    "content type": plain(200, b"hello", f"text/{KEY}"),
    "a detail": plain(422, json.dumps({"detail": [{"input": KEY}]}).encode()),
    "at the edge of an excerpt": plain(500, b"x" * 290 + KEY.encode()),
    "no HTTP": raw(f"{KEY}\r\n\r\n".encode()),
    "a chunk": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + KEY.encode() + b"\r\n"),
}


@pytest.mark.parametrize("name", ECHOES)
async def test_no_echo_of_a_key_gets_through(name: str) -> None:
    """Wherever and however a server repeats the key, neither it nor half of it is in the outcome."""
    said = repr(await outcome(ECHOES[name], **KEYED))
    assert KEY[:10] not in said


async def test_a_key_with_slashes_and_quotes_is_known_escaped() -> None:
    r"""Servers write `/` as `\/` in JSON, and everybody writes a quotation mark with a backslash."""
    key = 'abc/def+ghi"jkl/mno='
    body = json.dumps({"error": {"message": key}}).replace("/", "\\/").encode()
    said = await outcome(plain(401, body), environ={"KEY": key}, api_key_env="KEY")
    assert "ghi" not in repr(said)


SLASHED = 'abc/def+ghi"jkl/mno='


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("letters", [False, True])
async def test_a_key_in_a_gateways_quotation_is_masked(depth: int, letters: bool) -> None:  # noqa: FBT001 - a parameter
    """An error that a gateway passes on is JSON within JSON, escaped once more: no key gets through."""
    echoed = "".join(f"\\u{ord(each):04x}" for each in SLASHED) if letters else json.dumps(SLASHED)[1:-1]
    raw_one = '{"error": {"message": "bad key ' + echoed.replace("/", "\\/") + '"}}'
    for _ in range(depth):
        raw_one = json.dumps({"error": {"message": "Provider returned error", "metadata": {"raw": raw_one}}})
    for status in (200, 400):
        said = await outcome(plain(status, raw_one.encode()), environ={"KEY": SLASHED}, api_key_env="KEY")
        assert "ghi" not in repr(said)
        assert "bad key" in repr(said) or depth > 1


@pytest.mark.parametrize("key", ["EMPTY", "ollama", "x", "choices", "stop"])
async def test_a_key_that_is_a_common_word_changes_no_answer(key: str) -> None:
    """Servers of one's own take any word as a key: it stands in answers by chance, and they are kept."""
    text = f"{key}: one of the words that x marks; choices stop here, EMPTY or not, in ollama."
    said = await outcome(answer(text, system_fingerprint="fp_ollama"), environ={"KEY": key}, api_key_env="KEY")
    assert isinstance(said, Succeeded)
    assert said.response == text
    assert said.provenance["system_fingerprint"] == "fp_ollama"


async def test_a_header_that_is_no_secret_changes_no_answer() -> None:
    """A variable in a header that is no credential by its name may stand in an answer: it is kept."""
    said = await outcome(
        answer("The United States of America."),
        environ={"PLACE": "United States"},
        headers={"x-place": "${PLACE}"},
    )
    assert isinstance(said, Succeeded)
    assert said.response == "The United States of America."


@pytest.mark.parametrize("header", ["x-functions-key", "Authorization", "x-auth", "Cookie"])
async def test_a_header_that_is_a_secret_is_masked(header: str) -> None:
    """Other headers than the key's own carry credentials too."""
    said = await outcome(plain(401, KEY.encode()), environ={"V": KEY}, headers={header: "Basic ${V}"})
    assert KEY not in repr(said)


async def test_a_key_does_not_follow_to_another_host() -> None:
    """A redirect is not followed, neither for a question nor for the list of models."""
    async with serving(answer()) as other:
        leading = plain(307, b"", location=f"{other.url}/chat/completions")
        async with serving(leading) as server:
            server.models = leading
            async with opened(server, **KEYED) as executor:
                said = failed(await executor.attempt(asking(), 1, Book().placed))
        assert (said.kind, said.transient) == (ErrorKind.NOT_FOUND, False)
        assert other.asked == []


NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "Sat, 21 Nov 2026 10:00:30 -0000"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:30"}, 30.0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, waits.LONGEST_WAIT),
        ({"retry-after": "2026-11-21T10:00:30Z"}, 30.0),
        ({"retry-after": "", "retry-after-ms": ""}, None),
        ({"retry-after": "30, 60"}, None),
        ({"retry-after": "1m30s"}, 90.0),
        ({"retry-after": "\u0663"}, 3.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"}, 90.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1d2h"}, waits.LONGEST_WAIT),
        ({"x-ratelimit-remaining-requests": "-3", "x-ratelimit-reset-requests": "5"}, 5.0),
        ({"x-ratelimit-remaining-requests": "00", "x-ratelimit-reset-requests": "5"}, 5.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{NOW + 40:.0f}"}, 40.0),
        (
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{NOW * 1000 + 40_000:.0f}"},
            40.0,
        ),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW * 1000 + 40_000:.0f}"}, 40.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2026-11-21T10:00:40Z"}, 40.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "-7"}, None),
        (
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9" * 8000},
            waits.LONGEST_WAIT,
        ),
        ({"x-ratelimit-remaining-requests": "nan", "x-ratelimit-reset-requests": "5"}, None),
    ],
)
def test_waits_as_providers_write_them(headers: dict[str, str], seconds: float | None) -> None:
    """Spans, points in time in three forms, budgets under three names; what is nonsense is no wait."""
    assert waits.wait(headers, NOW) == (None if seconds is None else pytest.approx(seconds, abs=0.01))


async def test_a_wait_that_a_success_asks_for_is_not_part_of_the_attempt() -> None:
    """A budget that is spent holds the next question back, and does not eat the time that its answer may take."""
    spent = {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "10m"}
    async with serving(in_turn(plain(200, GOOD, **spent), answer())) as server, opened(server) as executor:
        first = await executor.attempt(asking(), 1, Book().placed)
        with anyio.fail_after(5):
            second = await executor.attempt(asking(), 1, Book().placed)
    assert isinstance(first, Succeeded)
    assert first.respite == 600.0
    assert isinstance(second, Succeeded)


GATEWAYS: dict[str, tuple[bytes, ErrorKind, bool]] = {
    "no choices": (b'{"error": {"message": "oops"}, "choices": []}', ErrorKind.MODEL, True),
    "null choices": (b'{"error": {"message": "oops", "code": 503}, "choices": null}', ErrorKind.PLATFORM, True),
    "a code in text": (b'{"error": {"message": "oops", "code": "429"}}', ErrorKind.THROTTLED, True),
    "a status in its place": (b'{"error": {"message": "oops", "status": 401}}', ErrorKind.AUTH, False),
    "a huge code": (b'{"error": {"message": "oops", "code": 99999999999999999}}', ErrorKind.MODEL, True),
    "vllm of old": (b'{"object": "error", "message": "oops", "code": 400}', ErrorKind.BAD_REQUEST, False),
    "within the choice": (
        b"""{"choices": [{"error": {"code": 502, "message": "oops"}, "finish_reason": "error",
        "message": {"role": "assistant", "content": ""}}]}""",
        ErrorKind.PLATFORM,
        True,
    ),
}


@pytest.mark.parametrize("name", GATEWAYS)
async def test_an_error_with_a_status_of_success(name: str) -> None:
    """Gateways tell failures of what is behind them in many forms, all of them with a 200."""
    body, kind, transient = GATEWAYS[name]
    said = failed(await outcome(plain(200, body)))
    assert (said.kind, said.transient) == (kind, transient)
    assert "oops" in said.message


async def test_a_throttling_gateway_says_how_long() -> None:
    """`Retry-After` is heard where the 429 stands in the body alone."""
    body = b'{"error": {"message": "slow down", "code": 429}}'
    assert failed(await outcome(plain(200, body, retry_after="7"))).retry_after == 7.0


AZURE = {
    "error": {
        "message": "The response was filtered",
        "code": None,
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
        },
    }
}


async def test_azures_filter_says_what_it_filtered() -> None:
    """Azure names its filter in an inner error: it is a refusal, with the categories as evidence."""
    said = await outcome(plain(400, json.dumps(AZURE).encode()))
    assert isinstance(said, Succeeded)
    assert said.provenance["finish_reason"] == "content_filter"
    assert said.provenance["content_filter_result"]["violence"]["severity"] == "high"


ODD: dict[str, tuple[Reply, str | None]] = {
    "several choices": (
        plain(200, b'{"choices":[{"message":{"content":"Four."}},{"message":{"content":"Five."}}]}'),
        "Four.",
    ),
    "usage in text": (answer(usage={"total_tokens": "5", "prompt_tokens": "x"}), "Four."),
    "usage is text": (answer(usage="a lot"), "Four."),
    "parts of other kinds": (
        answer([{"type": "text", "text": "Fo"}, 7, None, {"text": 9}, {"text": "ur."}]),
        "Four.",
    ),
    "tool calls alone": (
        answer(None, finish="tool_calls", message={"tool_calls": [{"id": "t", "function": {"name": "f"}}]}),
        None,
    ),
    "null and stop": (answer(None), None),
    "a byte order mark": (plain(200, b"\xef\xbb\xbf" + GOOD), "Four."),
    "a filter after the first words": (answer("Fo", finish="content_filter"), "Fo"),
    "cut at the limit": (answer(None, finish="length"), ""),
}


@pytest.mark.parametrize("name", ODD)
async def test_odd_answers(name: str) -> None:
    """What has a text is an answer, whatever is odd beside it; what has none is a bad answer, not an empty one."""
    reply, text = ODD[name]
    said = await outcome(reply)
    if text is None:
        assert failed(said).kind is ErrorKind.BAD_ANSWER
    else:
        assert isinstance(said, Succeeded)
        assert said.response == text


async def test_an_answer_without_text_keeps_what_it_cost() -> None:
    """A bad answer was paid for too: usage and ids are kept with the failure."""
    said = failed(await outcome(answer(None, usage={"total_tokens": 5}, id="c-1")))
    assert said.provenance["usage"] == {"total_tokens": 5}
    assert said.provenance["id"] == "c-1"


async def test_a_second_answer_is_nobodys() -> None:
    """A server that answers a question twice does not answer the next one with it."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(GOOD)}\r\n\r\n".encode()
    stale = head + GOOD.replace(b"Four.", b"Nope.")

    async def twice(asked: Asked, writer: asyncio.StreamWriter) -> None:
        del asked
        writer.write(head + GOOD)
        await writer.drain()
        await asyncio.sleep(0.05)  # the connection lies idle by then
        writer.write(stale)

    async with serving(in_turn(twice, answer("Six."))) as server, opened(server) as executor:
        await executor.attempt(asking(), 1, Book().placed)
        await asyncio.sleep(0.15)
        said = await executor.attempt(asking(), 2, Book().placed)
    assert not isinstance(said, Succeeded) or said.response == "Six."


async def test_prepared_twice_nothing_is_left_open() -> None:
    """To prepare again, for other models or the same, opens no second session."""
    async with serving(answer()) as server:
        async with OpenaiExecutor(OpenaiTarget(base_url=server.url), environ={}) as executor:
            for _ in range(3):
                await executor.prepare([(US, LLAMA)])
        assert len(server.connections) == 1


@pytest.mark.parametrize(
    "base_url",
    [
        "http://exa..mple/v1",
        "http://[::1%eth0]/v1",
        "http://" + "a" * 70 + ".example/v1",
        "http://\u00e4\u00df.invalid/",
    ],
)
async def test_an_address_that_is_none_is_told(base_url: str) -> None:
    """An address at which nothing can be is refused in one line, as any endpoint that is not there."""
    async with serving(answer()) as server:
        with pytest.raises(StartError, match="endpoint of us"):
            async with opened(server, base_url=base_url):
                pass


async def test_a_drip_of_headers_ends_by_the_limit() -> None:
    """An endpoint that keeps on sending, and never comes to an end, keeps nobody from cancelling."""
    book = Book()
    drip = raw(b"HTTP/1.1 200 OK\r\n", *[b"x: y\r\n"] * 99, pause=0.05)
    async with serving(drip) as server, opened(server, limits=Limits(timeout=5)) as executor:
        with anyio.move_on_after(0.3):
            await executor.attempt(asking(), 1, book.placed)
        assert await executor.cancel(book.ids[0])


def test_a_failure_is_not_made_of_a_huge_wait() -> None:
    """Whatever stands in the headers, a permanent failure asks for no wait."""
    said = completions.of_status(404, b"", {"retry-after": "9"}, NOW)
    assert isinstance(said, Failed)
    assert said.retry_after is None


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff", b"[]", b'{"model": "m", "messages": 5}'])
def test_our_own_endpoint_refuses_what_is_no_request(body: bytes) -> None:
    """The endpoint of a rehearsal answers 400 to whatever it cannot understand, and stays up."""
    with emulated.running(emulated.Endpoint(speed=1000.0)) as url:
        request = urllib.request.Request(f"{url}/us/v1/chat/completions", data=body)  # noqa: S310 - our own server
        with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request):  # noqa: S310
            pass
        assert refused.value.code == 400
        refused.value.close()


@pytest.mark.parametrize("told", [True, False])
async def test_many_large_answers_are_held_few_at_a_time(told: bool) -> None:  # noqa: FBT001 - a parameter
    """Twenty answers of 5 MB at once are all read, and take no hundred megabytes."""
    body = b'{"choices":[{"message":{"content":"%b"},"finish_reason":"stop"}]}' % (b"x" * 5_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    chunks = (b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body), body, b"\r\n0\r\n\r\n")
    reply = raw(head, b"Content-Length: %d\r\n\r\n" % len(body), body) if told else raw(head, *chunks)
    async with serving(reply) as server, opened(server, limits=Limits(answer_bytes=1_000)) as executor:
        tracemalloc.start()
        try:
            said = await asyncio.gather(*(executor.attempt(asking(), 1, Book().placed) for _ in range(20)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert all(isinstance(each, Succeeded) for each in said)
    assert peak < 70_000_000

"""Matters of HTTP: what an endpoint may answer, say in headers, or leave unsaid, and what beacon makes of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.executing import LLAMA, Book, asking, failed
from tests.support.endpoint import Reply, answer, hang, in_turn, plain, raw, serving
from tests.support.openai import KEY, opened, outcome

from beacon_cli.errors import StartError
from beacon_cli.executors import completions, waits
from beacon_cli.model import ErrorKind, Failed, Limits, Sampling, Succeeded

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The HTTP library knows asyncio alone."""
    return "asyncio"


async def test_a_request_says_what_the_job_says() -> None:
    """Model, messages, sampling, stop, extra, key and headers arrive as the job has them, and nothing else."""
    async with (
        serving(answer()) as server,
        opened(
            server,
            sampling=Sampling(temperature=0.1, max_tokens=5, seed=7, top_p=0.5),
            environ={"KEY": KEY, "TEAM": "red"},
            api_key_env="KEY",
            headers={"x-team": "team ${TEAM}"},
            models={LLAMA.id: "meta/llama"},
            stop=("END",),
            extra={"reasoning_effort": "low"},
        ) as executor,
    ):
        await executor.attempt(asking(), 1, Book().placed)
    (asked,) = server.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.json == {
        "model": "meta/llama",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "What is 2+2?"},
        ],
        "temperature": 0.1,
        "max_tokens": 5,
        "seed": 7,
        "top_p": 0.5,
        "stop": ["END"],
        "reasoning_effort": "low",
    }
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["x-team"] == "team red"
    assert asked.headers["content-type"] == "application/json"


async def test_what_the_job_ignores_is_not_sent() -> None:
    """A setting that the job leaves out with its consent does not reach the endpoint."""
    sampling = Sampling(temperature=0.1, seed=7)
    async with (
        serving(answer()) as server,
        opened(server, sampling=sampling, ignore=("seed", "system_prompt")) as executor,
    ):
        await executor.attempt(asking(), 1, Book().placed)
    assert server.asked[0].json.keys() == {"model", "messages", "temperature"}
    assert [message["role"] for message in server.asked[0].json["messages"]] == ["user"]


async def test_an_address_may_have_a_query() -> None:
    """What stands after a question mark in the address stays at its end."""
    async with serving(answer()) as server:
        base_url = f"{server.url}/deployments/a/?api-version=1"
        async with opened(server, base_url=base_url) as executor:
            await executor.attempt(asking(), 1, Book().placed)
    assert server.asked[0].path == "/v1/deployments/a/chat/completions?api-version=1"


async def test_what_is_reported_is_kept() -> None:
    """Usage, finish reason, ids, model and fingerprint as the endpoint reports them are the provenance."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    said = await outcome(answer(id="c-1", model="m-0613", system_fingerprint="fp", usage=usage))
    assert said == Succeeded(
        response="Four.",
        provenance={
            "id": "c-1",
            "model": "m-0613",
            "system_fingerprint": "fp",
            "usage": usage,
            "finish_reason": "stop",
        },
    )


VARIATIONS: dict[str, tuple[bytes, str]] = {
    "vllm": (
        b"""{"id":"chat-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":
        {"role":"assistant","content":"Four.","tool_calls":[],"reasoning_content":null},"logprobs":null,
        "finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":3,"total_tokens":5,
        "completion_tokens":2,"prompt_tokens_details":null},"prompt_logprobs":null}""",
        "application/json",
    ),
    "ollama": (
        b"""{"id":"chatcmpl-9","object":"chat.completion","created":1,"model":"llama3.2:1b","system_fingerprint":
        "fp_ollama","choices":[{"index":0,"message":{"role":"assistant","content":"Four."},
        "finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}
        """,
        "application/json; charset=utf-8",
    ),
    "parts": (
        b"""{"choices":[{"message":{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"Fo"},
        {"type":"text","text":"ur."}]},"finish_reason":"stop"}]}""",
        "application/json",
    ),
    "untyped": (b'{"choices":[{"message":{"content":"Four."}}]}', "text/plain"),
}


@pytest.mark.parametrize("name", VARIATIONS)
async def test_answers_of_other_servers(name: str) -> None:
    """The forms in which vLLM, Ollama and gateways answer are read alike."""
    said = await outcome(plain(200, *VARIATIONS[name]))
    assert isinstance(said, Succeeded)
    assert said.response == "Four."


async def test_a_chunked_answer_without_a_length_is_read() -> None:
    """An answer whose length nobody announced is read to its end."""
    body = b'{"choices":[{"message":{"content":"Four."}}]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:9], body[9:]))
    said = await outcome(raw(head, chunks + b"0\r\n\r\n"))
    assert isinstance(said, Succeeded)


REFUSALS = {
    "filtered": answer(None, finish="content_filter"),
    "refused": answer(None, message={"refusal": "I will not."}),
    "azure": plain(400, b'{"error":{"code":"content_filter","message":"filtered by policy"}}'),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_is_an_answer(name: str) -> None:
    """A provider's filter and a model that declines have answered: it is kept, and is not tried again."""
    said = await outcome(REFUSALS[name])
    assert isinstance(said, Succeeded)
    assert said.provenance["finish_reason"] == "content_filter" or said.response == "I will not."


@pytest.mark.parametrize(
    ("status", "kind", "transient"),
    [
        (301, ErrorKind.NOT_FOUND, False),
        (400, ErrorKind.BAD_REQUEST, False),
        (401, ErrorKind.AUTH, False),
        (403, ErrorKind.BAD_REQUEST, False),
        (404, ErrorKind.NOT_FOUND, False),
        (408, ErrorKind.TIMEOUT, True),
        (409, ErrorKind.PLATFORM, True),
        (413, ErrorKind.BAD_REQUEST, False),
        (422, ErrorKind.BAD_REQUEST, False),
        (425, ErrorKind.PLATFORM, True),
        (429, ErrorKind.THROTTLED, True),
        (500, ErrorKind.PLATFORM, True),
        (502, ErrorKind.PLATFORM, True),
        (503, ErrorKind.PLATFORM, True),
        (529, ErrorKind.PLATFORM, True),
    ],
)
async def test_what_a_status_means(status: int, kind: ErrorKind, transient: bool) -> None:  # noqa: FBT001 - a table
    """Each status has its kind, and is tried again or not; the endpoint's own words are kept."""
    said = failed(await outcome(plain(status, b'{"error": {"message": "because"}}', x_request_id="r-1")))
    assert (said.kind, said.transient) == (kind, transient)
    assert said.message.startswith(f"HTTP {status}: because")
    assert said.provenance == {"http_status": status, "request_id": "r-1"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "because"}',
        b'{"object": "error", "message": "because", "code": 400}',
        b'{"detail": "because"}',
        b'{"detail": [{"msg": "because"}]}',
        b"because",
    ],
)
async def test_errors_are_told_in_the_servers_words(body: bytes) -> None:
    """The words of an error are found in each form in which servers have them."""
    assert "because" in failed(await outcome(plain(400, body))).message


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
BREAKING = {
    "nothing": (raw(), ErrorKind.CONNECTION, True),
    "reset at once": (raw(reset=True), ErrorKind.CONNECTION, True),
    "reset in mid-answer": (raw(HEAD + b'{"choi', reset=True, pause=0.01), ErrorKind.CONNECTION, True),
    "closed in mid-answer": (raw(HEAD + b'{"choi'), ErrorKind.CONNECTION, True),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), ErrorKind.CONNECTION, True),
    "half a JSON": (plain(200, b'{"choices": [{"mess'), ErrorKind.BAD_ANSWER, True),
    "a web page": (plain(200, b"<html>welcome</html>", "text/html"), ErrorKind.BAD_ANSWER, False),
    "an error in the body": (plain(200, b'{"error": {"message": "oops"}}'), ErrorKind.MODEL, True),
    "an error with a code": (
        plain(200, b'{"error": {"code": 429, "message": "oops"}}'),
        ErrorKind.THROTTLED,
        True,
    ),
    "no choices": (plain(200, b'{"choices": []}'), ErrorKind.BAD_ANSWER, False),
    "a tool call": (answer(None, finish="tool_calls"), ErrorKind.BAD_ANSWER, False),
    "deep": (plain(200, b"[" * 100_000), ErrorKind.BAD_ANSWER, True),
}


@pytest.mark.parametrize("name", BREAKING)
async def test_what_breaks_is_told_apart(name: str) -> None:
    """Whatever goes wrong on the way is a value with its kind, never an exception; the next is answered."""
    reply, kind, transient = BREAKING[name]
    async with serving(in_turn(reply, answer())) as server, opened(server) as executor:
        with anyio.fail_after(20):
            said = failed(await executor.attempt(asking(), 1, Book().placed))
            again = await executor.attempt(asking(), 2, Book().placed)
    assert (said.kind, said.transient) == (kind, transient)
    assert isinstance(again, Succeeded)


@pytest.mark.parametrize("told", [True, False])
async def test_fifty_megabytes_are_not_held(told: bool) -> None:  # noqa: FBT001 - a parameter
    """An answer beyond measure is refused, before it is read where its length is told, soon where it is not."""
    length = b"Content-Length: 50000000\r\n" if told else b""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + length + b"\r\n"
    async with serving(raw(head, *[b" " * 1_000_000] * 50)) as server, opened(server) as executor:
        said = failed(await executor.attempt(asking(), 1, Book().placed))
    assert (said.kind, said.transient) == (ErrorKind.BAD_ANSWER, False)
    assert "longer than 10,000,000 bytes" in said.message


async def test_silence_ends_by_the_jobs_own_limit() -> None:
    """An endpoint that takes a request and says nothing is given up after `limits.timeout`."""
    said = failed(await outcome(hang, limits=Limits(timeout=0.2)))
    assert (said.kind, said.transient) == (ErrorKind.TIMEOUT, True)


async def test_a_slow_drip_can_be_cancelled() -> None:
    """An answer that comes byte by byte is no answer yet: who waits can end it, and the connection is closed."""
    book = Book()
    async with serving(raw(HEAD, *[b" "] * 99, pause=0.05)) as server, opened(server) as executor:
        with anyio.move_on_after(0.3):
            await executor.attempt(asking(), 1, book.placed)
        assert await executor.cancel(book.ids[0])
        assert failed(await executor.collect(asking(), book.ids[0])).kind is ErrorKind.GONE


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1e300"}, waits.LONGEST_WAIT),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 09:00:00 GMT"}, 0.0),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT", "date": "Sat, 21 Nov 2026 10:00:20 GMT"}, 10.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2.5s"}, 62.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "1s"}, None),
        ({"x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "60"}, None),
        ({"x-ratelimit-remaining-tokens": "-120", "x-ratelimit-reset-tokens": "60"}, 60.0),
        ({"retry-after": "3", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "9s"}, 3.0),
    ],
)
def test_how_long_an_endpoint_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    """`Retry-After` in seconds, as a date by the server's clock, in milliseconds, and budgets that are spent."""
    now = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC).timestamp()
    assert waits.wait(headers, now) == (None if seconds is None else pytest.approx(seconds))


async def test_retry_after_a_date() -> None:
    """A date in `Retry-After` arrives as the seconds until then."""
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    said = failed(await outcome(plain(429, b"{}", retry_after=until)))
    assert said.retry_after is not None
    assert 55 < said.retry_after <= 60


@pytest.mark.parametrize(
    "reply",
    [
        plain(401, f'{{"error": {{"message": "bad key {KEY}"}}}}'.encode()),
        plain(200, f'{{"id": "{KEY}", "choices": [{{"message": {{"content": "{KEY}"}}}}]}}'.encode()),
        plain(200, KEY.encode()),
    ],
)
async def test_a_key_that_comes_back_is_masked(reply: Reply) -> None:
    """A server that repeats the key in an error or an answer does not get it into the journal."""
    said = await outcome(reply, environ={"KEY": KEY}, api_key_env="KEY")
    assert KEY not in repr(said)
    assert "withheld" in repr(said)


async def test_prepare_refuses_what_cannot_work() -> None:
    """No key, an endpoint that refuses it, one that is not there: each is a StartError that names the region."""
    async with serving(answer()) as server:
        with pytest.raises(StartError, match="not set in the environment: ABSENT"):
            async with opened(server, api_key_env="ABSENT"):
                pass
        server.models = plain(401, b"{}")
        with pytest.raises(StartError, match=r"endpoint of us.*refuses the key in KEY") as refused:
            async with opened(server, environ={"KEY": KEY}, api_key_env="KEY"):
                pass
        assert KEY not in str(refused.value)
        with pytest.raises(StartError, match=r"endpoint of us.*cannot be reached"):
            async with opened(server, base_url="http://127.0.0.1:1/v1"):
                pass


async def test_models_need_not_be_listed() -> None:
    """An endpoint that does not say which models it has can be asked all the same."""
    async with serving(answer()) as server:
        server.models = plain(404, b"not here", "text/plain")
        async with opened(server) as executor:
            assert isinstance(await executor.attempt(asking(), 1, Book().placed), Succeeded)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
KEYS = ["choices", "message", "content", "error", "usage", "id", "finish_reason", "refusal", "code", "status"]
SHAPED = st.recursive(
    JSON,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(body=SHAPED.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200))
def test_any_body_is_an_outcome(body: bytes) -> None:
    """Whatever comes as an answer is `Succeeded` with text within the limit, or `Failed`; nothing is raised."""
    said = completions.of_body(body, {"content-type": "application/json"}, 10, 1e9)
    if isinstance(said, Succeeded):
        assert isinstance(said.response, str)
        assert len(said.response.encode("utf-8", "surrogatepass")) <= 10
    else:
        assert said.message


@given(
    status=st.integers(100, 599),
    body=SHAPED.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200),
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "date", "location", "x-ratelimit-remaining-tokens", "x-request-id"]),
        st.text(st.characters(codec="latin-1"), max_size=30),
    ),
)
def test_any_status_is_an_outcome(status: int, body: bytes, headers: dict[str, str]) -> None:
    """Whatever comes with an error is a value; no wait is longer than the longest."""
    said = completions.of_status(status, body, headers, 1e9)
    if isinstance(said, Failed):
        assert said.retry_after is None or 0 <= said.retry_after <= waits.LONGEST_WAIT


@given(text=st.text(max_size=20) | st.from_regex(r"[0-9.]{1,8}(h|m|s|ms)?[0-9]{0,3}(s|ms)?", fullmatch=True))
def test_any_span_is_bounded(text: str) -> None:
    """A span that can be read lies between nothing and the longest wait."""
    seconds = waits.span(text)
    assert seconds is None or 0 <= seconds <= waits.LONGEST_WAIT
